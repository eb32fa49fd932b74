"""What shows how far something long is."""

from __future__ import annotations

import io

import pytest

from tasker.cli import auditing


class Terminal(io.StringIO):
    """A standard error that somebody watches."""

    def isatty(self) -> bool:
        """Say so."""
        return True


def test_a_terminal_shows_how_far_and_how_fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal a bar shows text, share and events per second, on the standard error."""
    screen = Terminal()
    monkeypatch.setattr("sys.stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    with auditing._working("Folding the log") as progress:
        assert progress is not None
        progress(50, 100)
        progress(100, 100)
    assert "Folding the log" in screen.getvalue()
    assert "100%" in screen.getvalue()
    assert "events/s" in screen.getvalue()


def test_elsewhere_nothing_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the standard error is no terminal there is no bar, and nothing is printed."""
    file = io.StringIO()
    monkeypatch.setattr("sys.stderr", file)
    with auditing._working("Folding the log") as progress:
        assert progress is None
    assert file.getvalue() == ""
