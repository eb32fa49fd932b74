"""The attempts of a task as bars over one span of time."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tasker.clock import from_micros

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from tasker.handlers.step_view import HistoryEntry
    from tasker.handlers.views import Step

WIDTH = 1_000
MOST = 300
"""Attempts that are shown: the latest."""
_THINNEST = 6


class Bar(NamedTuple):
    """One attempt.

    Attributes:
        step: Of this step.
        number: The attempt.
        outcome: `running`, or how it ended.
        worker: Who ran it.
        started_at: When.
        seconds: How long, so far.
        x: Where its bar begins, of `WIDTH`.
        width: Of its bar.
    """

    step: str
    number: int
    outcome: str
    worker: str | None
    started_at: datetime
    seconds: float
    x: int
    width: int


class Timeline(NamedTuple):
    """The attempts.

    Attributes:
        bars: In the order in which they started.
        seconds: From the first start to the last end.
        left_out: Attempts before those shown.
    """

    bars: list[Bar]
    seconds: float
    left_out: int


def timeline(steps: Iterable[Step], now: int) -> Timeline:
    """Draw the attempts of some steps.

    Args:
        steps: The steps.
        now: Until when those that run have run (microseconds).
    """
    found = sorted(((step.name, one) for step in steps for one in step.history), key=lambda pair: pair[1].started_at)
    shown = found[-MOST:]
    if not shown:
        return Timeline([], 0.0, 0)
    moment = from_micros(now)
    begin = shown[0][1].started_at
    span = max(((one.ended_at or max(moment, one.started_at)) - begin).total_seconds() for _, one in shown)
    return Timeline([_bar(name, one, begin, moment, span) for name, one in shown], span, len(found) - len(shown))


def _bar(name: str, one: HistoryEntry, begin: datetime, now: datetime, span: float) -> Bar:
    seconds = max(((one.ended_at or now) - one.started_at).total_seconds(), 0.0)
    scale = (WIDTH - _THINNEST) / span if span else 0.0
    x = int((one.started_at - begin).total_seconds() * scale)
    outcome = one.outcome or "running"
    return Bar(name, one.number, outcome, one.worker_id, one.started_at, seconds, x, int(seconds * scale) + _THINNEST)
