"""Counters and histograms of the events that this process has appended; the hot path of metrics."""

from __future__ import annotations

import threading
from bisect import bisect_left
from typing import TYPE_CHECKING, NamedTuple

from tasker.domain import events as ev
from tasker.telemetry.routing import Routes

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tasker.telemetry.change import Change

BUCKETS = (
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1_800.0, 3_600.0, 21_600.0,
    86_400.0,
)  # fmt: skip
"""Upper bounds of the histograms, in seconds."""

TASKS: Mapping[type[ev.Event], str] = {
    ev.TaskCreated: "created",
    ev.TaskCompleted: "completed",
    ev.TaskFailed: "failed",
    ev.TaskCancelled: "cancelled",
}
"""The events that `tasker_tasks_…_total` count."""
STEPS: Mapping[type[ev.Event], str] = {
    ev.StepStarted: "started",
    ev.StepCompleted: "completed",
    ev.StepFailed: "failed",
    ev.StepRetryScheduled: "retried",
}
"""The events that `tasker_steps_…_total` count."""
_TIMED = frozenset({ev.TaskCompleted, ev.TaskFailed, ev.StepCompleted, ev.StepFailed})


class Place(NamedTuple):
    """What is counted under: the definition and, for what happens to a step, its name."""

    namespace: str
    name: str
    step: str | None = None


class Histogram:
    """Durations by bucket."""

    __slots__ = ("buckets", "total")

    def __init__(self) -> None:
        """Begin at zero."""
        self.buckets = [0] * (len(BUCKETS) + 1)
        self.total = 0.0

    def observe(self, seconds: float) -> None:
        """Add one duration."""
        self.buckets[bisect_left(BUCKETS, seconds)] += 1
        self.total += seconds

    def copy(self) -> Histogram:
        """Give what it holds now."""
        made = Histogram()
        made.buckets, made.total = list(self.buckets), self.total
        return made


class Snapshot(NamedTuple):
    """What was counted up to a moment.

    Attributes:
        events: How many events of each class, by place.
        durations: The durations of tasks (places without a step) and of steps.
    """

    events: Mapping[tuple[type[ev.Event], Place], int]
    durations: Mapping[Place, Histogram]


class _OfDefinition:
    """The counters of one definition."""

    __slots__ = ("durations", "events")

    def __init__(self) -> None:
        self.events: dict[tuple[type[ev.Event], str | None], int] = {}
        self.durations: dict[str | None, Histogram] = {}


class Counts:
    """What this process has appended, by definition and step; their number bounds the number of counters."""

    def __init__(self, routes: Routes | None = None) -> None:
        """Start at zero; what the routes keep from metrics is not counted."""
        routes = routes or Routes()
        self._counted = frozenset(kind for kind in (*TASKS, *STEPS) if routes.of(kind.type).metrics)
        self._of: dict[tuple[str, str], _OfDefinition] = {}
        self._lock = threading.Lock()

    def note(self, changes: Iterable[Change]) -> None:
        """Count what was appended."""
        counted, known = self._counted, self._of
        with self._lock:
            for change in changes:
                definition = change.after.definition
                label = (definition.namespace, definition.name)
                mine = known.get(label)
                if mine is None:
                    mine = known[label] = _OfDefinition()
                events = mine.events
                for event in change.events:
                    kind = type(event)
                    if kind not in counted:
                        continue
                    key = (kind, getattr(event, "step", None))
                    events[key] = events.get(key, 0) + 1
                    if kind in _TIMED:
                        _time(mine.durations, key[1], getattr(event, "duration", None))

    def snapshot(self) -> Snapshot:
        """Give everything as it is now."""
        events: dict[tuple[type[ev.Event], Place], int] = {}
        durations: dict[Place, Histogram] = {}
        with self._lock:
            for (namespace, name), mine in self._of.items():
                for (kind, step), count in mine.events.items():
                    events[kind, Place(namespace, name, step)] = count
                for step, histogram in mine.durations.items():
                    durations[Place(namespace, name, step)] = histogram.copy()
        return Snapshot(events, durations)


def _time(durations: dict[str | None, Histogram], step: str | None, seconds: float | None) -> None:
    if seconds is None:
        return
    histogram = durations.get(step)
    if histogram is None:
        histogram = durations[step] = Histogram()
    histogram.observe(seconds)
