"""Counts what parts of Tasker note through `instrument.count`; for the whole process, as those parts speak for it."""

from __future__ import annotations

import threading
from collections import Counter
from contextlib import nullcontext
from typing import TYPE_CHECKING

from tasker import instrument

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager


class Incidents:
    """A sink that counts by name alone: attributes such as names of custom events would have no bound."""

    def __init__(self) -> None:
        """Start at zero."""
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()

    def span(self, name: str, attributes: Mapping[str, object]) -> AbstractContextManager[object]:  # noqa: ARG002 - the port of a sink
        """Measure nothing."""
        return nullcontext()

    def count(self, name: str, attributes: Mapping[str, object]) -> None:  # noqa: ARG002 - see the class
        """Count one more."""
        with self._lock:
            self._counts[name.removeprefix("tasker.")] += 1

    def snapshot(self) -> dict[str, int]:
        """Give how often each has happened."""
        with self._lock:
            return dict(self._counts)


INCIDENTS = Incidents()
"""Those of this process."""


def listen() -> None:
    """Count from now on, unless another sink was installed."""
    if not instrument.is_installed():
        instrument.install(INCIDENTS)
