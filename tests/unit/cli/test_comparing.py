"""What shows how many live tasks were compared."""

from __future__ import annotations

import io

import pytest

from tasker.cli import comparing


class Terminal(io.StringIO):
    """A standard error that somebody watches."""

    def isatty(self) -> bool:
        """Say so."""
        return True


@pytest.mark.parametrize(("screen", "shows"), [(Terminal(), True), (io.StringIO(), False)])
def test_a_terminal_shows_how_many(monkeypatch: pytest.MonkeyPatch, screen: io.StringIO, shows: bool) -> None:
    """On a terminal the standard error counts the tasks that pass; elsewhere nothing shows, and they pass as well."""
    monkeypatch.setattr("sys.stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    assert list(comparing._counted([1, 2, 3])) == [1, 2, 3]
    assert ("Comparing live tasks" in screen.getvalue()) is shows
