"""Rules of spans, counts and loggers."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tasker.instrument import count, install, logger, span

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from contextlib import AbstractContextManager


class Recording:
    """A sink that keeps what it is told, and raises where it is told to."""

    def __init__(self, broken: str = "") -> None:
        """Name the place at which to raise: create, enter, exit or count."""
        self.broken = broken
        self.seen: list[object] = []

    def _note(self, place: str, *what: object) -> None:
        if place == self.broken:
            raise OSError(place)
        self.seen.append((place, *what))

    def span(self, name: str, attributes: Mapping[str, object]) -> AbstractContextManager[object]:
        """Begin a span."""
        self._note("create", name, dict(attributes))
        return Span(self)

    def count(self, name: str, attributes: Mapping[str, object]) -> None:
        """Count."""
        self._note("count", name, dict(attributes))

    def at(self, place: str) -> None:
        """Note, or raise at, a place without more to tell."""
        self._note(place)


class Span:
    """A span of the recording sink."""

    def __init__(self, sink: Recording) -> None:
        """Belong to a sink."""
        self.sink = sink

    def __enter__(self) -> None:
        """Begin."""
        self.sink.at("enter")

    def __exit__(self, *error: object) -> None:
        """End."""
        self.sink.at("exit")


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    """Put back whatever sink was installed before a test."""
    before = install(None)
    yield
    install(before)


def test_without_a_sink_nothing_happens() -> None:
    """Spans and counts are no-ops, and nest, until a sink is installed."""
    with span("a", x=1), span("b"):
        count("c", y=2)
    assert install(None) is None


def test_a_sink_gets_names_and_attributes() -> None:
    """An installed sink sees each span's beginning and end, and each count, with attributes."""
    sink = Recording()
    assert install(sink) is None
    with span("a", x=1):
        count("c", y=2)
    assert sink.seen == [("create", "a", {"x": 1}), ("enter",), ("count", "c", {"y": 2}), ("exit",)]
    assert install(None) is sink


@pytest.mark.parametrize("broken", ["create", "enter", "exit", "count"])
def test_a_raising_sink_changes_nothing_and_is_logged_once(broken: str, caplog: pytest.LogCaptureFixture) -> None:
    """Wherever the sink raises, the block runs; the first failure of a kind is logged, without the error's text."""
    install(Recording(broken))
    done = 0
    for _ in range(3):
        with span("a"):
            done += 1
            count("c")
    assert done == 3
    assert [record.name for record in caplog.records] == ["tasker.instrument"]
    assert "OSError" in caplog.text


def test_an_exception_of_the_block_passes_through(caplog: pytest.LogCaptureFixture) -> None:
    """A span never swallows the block's exception, and a sink that raises it again is not blamed for it."""

    class Generating(Recording):
        @contextmanager
        def span(self, name: str, attributes: Mapping[str, object]) -> Iterator[None]:
            self.seen.append((name, dict(attributes)))
            yield

    for sink in (Recording(), Recording("exit"), Generating()):
        install(sink)
        caplog.clear()
        with pytest.raises(ZeroDivisionError), span("a"):
            raise ZeroDivisionError
        assert len(caplog.records) == (sink.broken == "exit")


def test_loggers_are_named_after_components() -> None:
    """A component's logger is a standard one under `tasker`, so that one handler serves all."""
    assert logger("relay") is logging.getLogger("tasker.relay")
