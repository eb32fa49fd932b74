"""Figures from the log alone: it is read backwards from its head, as far as asked for and as long as allowed."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from heapq import nlargest
from math import ceil
from typing import TYPE_CHECKING, NamedTuple

from tasker.clock import micros, rfc3339
from tasker.codec.decode import id_bytes
from tasker.codec.recorded import RecordedEvent

if TYPE_CHECKING:
    from tasker.runtime.context import Context

Json = dict[str, object]

_HOURS = (1, 4, 24)
_PAGE = 2_000
_SECONDS = 1.0
"""For which one request reads the log at most."""
_MOST = 10
_MICROS = 1_000_000
_TASK_ENDS = {"task.completed": "completed", "task.failed": "failed", "task.cancelled": "cancelled"}


class Choice(NamedTuple):
    """Which events count.

    Attributes:
        sees: Says whether the caller may look into a namespace.
        namespace: Of one namespace.
        name: Of definitions of this name.
        version: Of definitions of this version.
    """

    sees: Callable[[str | None], bool]
    namespace: str | None = None
    name: str | None = None
    version: str | None = None

    def takes(self, event: RecordedEvent) -> bool:
        """Say whether an event counts."""
        if event.namespace is None or not self.sees(event.namespace):
            return False
        if self.namespace not in {None, event.namespace} or self.name not in {None, event.task_name}:
            return False
        return self.version is None or event.body.get("version") == self.version


class Look:
    """Events of the last hours, the latest first; afterwards `reached` tells how far it came (microseconds)."""

    def __init__(self, context: Context, hours: float, wanted: Callable[[str], bool]) -> None:
        """Take how far to look back, and which types of events count."""
        self._log = context.log()
        self.now = context.office.now()
        self.since = self.now - int(hours * 3600 * _MICROS)
        self.reached = self.now
        self._wanted = wanted

    def events(self) -> Iterator[RecordedEvent]:
        """Read backwards, page by page, until the time asked for or the time allowed is over."""
        deadline = time.monotonic() + _SECONDS
        last = self._log.head()
        while last > 0 and time.monotonic() < deadline:
            first = max(0, last - _PAGE)
            rows = self._log.tail(first, limit=last - first)
            for row in reversed(rows):
                if row.time >= self.since and self._wanted(row.type):
                    yield RecordedEvent(row)
            self.reached = min((row.time for row in rows), default=self.reached)
            if self.reached < self.since:
                break
            last = first
        if last <= 0 or self.reached < self.since:
            self.reached = self.since

    @property
    def covered(self) -> float:
        """Give how far it came, in seconds."""
        return (self.now - self.reached) / _MICROS


class _Tally:
    """What happened within some hours."""

    def __init__(self, hours: int) -> None:
        self.hours = hours
        self.counts: Counter[str] = Counter()
        self.tasks: list[float] = []
        self.steps: list[float] = []

    def add(self, event: RecordedEvent) -> None:
        seconds = _seconds(event)
        self.counts[event.type] += 1
        if event.type in _TASK_ENDS and seconds is not None:
            self.tasks.append(seconds)
        elif event.type == "step.completed" and seconds is not None:
            self.steps.append(seconds)

    def shown(self, covered: float) -> Json:
        ended = {name: self.counts[kind] for kind, name in _TASK_ENDS.items()}
        total = sum(ended.values())
        seconds = min(covered, self.hours * 3600.0)
        return {
            "hours": float(self.hours),
            "covered_seconds": round(seconds, 3),
            "created": self.counts["task.created"],
            **ended,
            "throughput_per_minute": round(total * 60 / seconds, 3) if seconds else 0.0,
            "completion_rate": round(ended["completed"] / total, 4) if total else None,
            "error_rate": round(ended["failed"] / total, 4) if total else None,
            "task_seconds": durations(self.tasks),
            "steps_completed": self.counts["step.completed"],
            "steps_failed": self.counts["step.failed"],
            "step_seconds": durations(self.steps),
        }


def performance(context: Context, choice: Choice) -> Json:
    """Count and measure the last 1, 4 and 24 hours."""
    wanted = {*_TASK_ENDS, "task.created", "step.completed", "step.failed"}
    look = Look(context, max(_HOURS), wanted.__contains__)
    tallies = [_Tally(hours) for hours in _HOURS]
    for event in look.events():
        if choice.takes(event):
            age = (look.now - micros(event.time)) / _MICROS
            for tally in tallies:
                if age <= tally.hours * 3600:
                    tally.add(event)
    return {"time": rfc3339(look.now), "windows": [one.shown(look.covered) for one in tallies]}


def bottlenecks(context: Context, choice: Choice, hours: int) -> Json:
    """Find what took longest, what failed and what that kept from running."""
    look = Look(context, hours, {*_TASK_ENDS, "step.completed", "step.failed"}.__contains__)
    tasks: list[tuple[float, RecordedEvent]] = []
    steps: list[tuple[float, RecordedEvent]] = []
    failures: list[RecordedEvent] = []
    for event in look.events():
        if not choice.takes(event):
            continue
        if event.type == "step.failed":
            failures.append(event)
        elif (seconds := _seconds(event)) is not None:
            (tasks if event.type in _TASK_ENDS else steps).append((seconds, event))
    return {
        "time": rfc3339(look.now),
        "hours": float(hours),
        "covered_seconds": round(look.covered, 3),
        "slowest_tasks": [_slow_task(*one) for one in _slowest(tasks)],
        "slowest_steps": [_slow_step(*one) for one in _slowest(steps)],
        "error_types": _error_types(failures),
        "blocking_steps": _blocking(context, failures),
    }


def _slowest(found: list[tuple[float, RecordedEvent]]) -> list[tuple[float, RecordedEvent]]:
    return nlargest(_MOST, found, key=lambda one: one[0])


def _slow_task(seconds: float, event: RecordedEvent) -> Json:
    body = event.body
    about: Json = {"task_id": event.stream_id, "namespace": event.namespace, "name": event.task_name}
    return about | {"version": body.get("version"), "seconds": seconds, "status": body.get("status")}


def _slow_step(seconds: float, event: RecordedEvent) -> Json:
    about: Json = {"task_id": event.stream_id, "namespace": event.namespace, "name": event.task_name}
    return about | {"step": event.step, "attempt": event.attempt, "seconds": seconds}


def _error_types(failures: list[RecordedEvent]) -> list[Json]:
    every = Counter(str(event.body.get("error_type")) for event in failures)
    final = Counter(str(event.body.get("error_type")) for event in failures if event.body.get("final"))
    return [{"type": kind, "count": count, "final": final[kind]} for kind, count in every.most_common(_MOST)]


def _blocking(context: Context, failures: list[RecordedEvent]) -> list[Json]:
    """Count the steps behind each step that failed for good."""
    counts: Counter[tuple[str, str, str]] = Counter()
    blocked: Counter[tuple[str, str, str]] = Counter()
    for event in failures:
        if event.body.get("final"):
            key = (str(event.namespace), str(event.task_name), str(event.step))
            counts[key] += 1
            blocked[key] += _behind(context, event)
    most = blocked.most_common(_MOST)
    return [
        {"namespace": key[0], "name": key[1], "step": key[2], "failures": counts[key], "blocked_steps": number}
        for key, number in most
    ]


def _behind(context: Context, event: RecordedEvent) -> int:
    header = context.log().header(id_bytes(event.stream_id))
    if header is None or event.step is None:
        return 0
    graph = context.plans.get(header.definition_digest).definition.graph
    return len(graph.descendants(graph.number(event.step)))


def durations(seconds: list[float]) -> Json:
    """Give the percentiles of durations (nearest rank)."""
    ordered = sorted(seconds)

    def at(percent: int) -> float | None:
        return ordered[max(0, ceil(len(ordered) * percent / 100) - 1)] if ordered else None

    return {"count": len(ordered), "p50": at(50), "p95": at(95), "p99": at(99)}


def _seconds(event: RecordedEvent) -> float | None:
    found = event.body.get("duration")
    return float(found) if isinstance(found, int | float) else None
