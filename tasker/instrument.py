"""The one wrapper through which Tasker measures itself: nothing happens until telemetry installs a sink.

    with span("tasker.append", events=3):
        ...
    count("tasker.conflict", namespace="default")

A sink that raises changes nothing of what is measured: the failure is logged once for each kind of call.
"""

from __future__ import annotations

import logging
from contextlib import nullcontext
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager
    from types import TracebackType


class Sink(Protocol):
    """What telemetry installs."""

    def span(self, name: str, attributes: Mapping[str, object]) -> AbstractContextManager[object]:
        """Measure what runs inside the returned context."""
        ...

    def count(self, name: str, attributes: Mapping[str, object]) -> None:
        """Note that something happened once."""
        ...


class _Installed:
    """The sink of this process and what has been said about its failures."""

    sink: Sink | None = None
    reported: frozenset[str] = frozenset()


_NOTHING: AbstractContextManager[object] = nullcontext()


def install(sink: Sink | None) -> Sink | None:
    """Send spans and counts to a sink from now on, or, with None, nowhere.

    Returns:
        What was installed before, so that it can be put back.
    """
    before = _Installed.sink
    _Installed.sink = sink
    _Installed.reported = frozenset()
    return before


def is_installed() -> bool:
    """Say whether there is a sink."""
    return _Installed.sink is not None


def span(name: str, **attributes: object) -> AbstractContextManager[object]:
    """Measure a block under a name; exceptions of the block pass through."""
    sink = _Installed.sink
    return _NOTHING if sink is None else _Guarded(sink, name, attributes)


def count(name: str, **attributes: object) -> None:
    """Note that something happened once."""
    sink = _Installed.sink
    if sink is not None:
        try:
            sink.count(name, attributes)
        except Exception as error:  # noqa: BLE001 - reported; a broken exporter must not fail a task
            _report("count", error)


def logger(component: str) -> logging.Logger:
    """Return the logger of a component, `tasker.<component>`; structured fields go into `extra=`."""
    return logging.getLogger(f"tasker.{component}")


class _Guarded:
    """A sink's span that cannot hurt the block: its own exceptions are reported, the block's pass."""

    __slots__ = ("_attributes", "_inner", "_name", "_sink")

    def __init__(self, sink: Sink, name: str, attributes: Mapping[str, object]) -> None:
        self._sink = sink
        self._name = name
        self._attributes = attributes
        self._inner: AbstractContextManager[object] | None = None

    def __enter__(self) -> None:
        try:
            inner = self._sink.span(self._name, self._attributes)
            inner.__enter__()
            self._inner = inner
        except Exception as error:  # noqa: BLE001 - reported; a broken exporter must not fail a task
            _report("span", error)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._inner is not None:
            try:
                self._inner.__exit__(kind, error, trace)
            except Exception as own:  # noqa: BLE001 - reported; a broken exporter must not fail a task
                if own is not error:
                    _report("span", own)


def _report(call: str, error: Exception) -> None:
    if call not in _Installed.reported:
        _Installed.reported |= {call}
        kind = type(error).__qualname__  # not its text: an exporter's errors may quote its credentials
        text = "telemetry raised %s in %s; tasks go on, further failures of this kind are not logged"
        logger("instrument").warning(text, kind, call)
