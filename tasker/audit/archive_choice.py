"""Which tasks an archive takes: those that ended long enough ago, and of which every reader has heard everything."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import timedelta
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple

from tasker.codec.registry import CODES
from tasker.domain import events as ev
from tasker.errors import InvalidRequest
from tasker.fold.columns import kinds, last

if TYPE_CHECKING:
    from tasker.log.port import EventLog

ERASED = CODES[ev.TaskErased]
_FINAL = {CODES[kind] for kind in (ev.TaskCompleted, ev.TaskCancelled, ev.TaskResolvedManually)}
_EVENTS_AT_ONCE = 2_000  # larger pages leave the processor's cache
_AGE = re.compile(r"(\d+(?:\.\d+)?)\s*([smhdw]?)", re.ASCII)
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}

Age = timedelta | float | str


class Reader(NamedTuple):
    """A durable reader of the log that shall hear of tasks before their payloads go.

    Attributes:
        name: Its name, for people.
        checkpoint: The position that it has reached.
        held: Streams of which events before that position wait for it all the same.
    """

    name: str
    checkpoint: int
    held: AbstractSet[bytes]

    def lacks(self, stream_id: bytes, position: int) -> bool:
        """Say whether it has not heard all of a stream, the last event of which stands at a position."""
        return position > self.checkpoint or stream_id in self.held


class Chosen(NamedTuple):
    """What is to be archived.

    Attributes:
        streams: The tasks with the number of their events, by the time of their end.
        awaited: How many more tasks wait for which readers.
        waiting: How many tasks that are in all.
    """

    streams: Mapping[bytes, int]
    awaited: Mapping[str, int]
    waiting: int


class _Ended(NamedTuple):
    at: int
    stream_id: bytes
    events: int
    position: int


def microseconds(age: Age) -> int:
    """Read an age: a duration, a number of seconds, or a text such as `90d` (s, m, h, d or w; without one, seconds).

    Raises:
        InvalidRequest: It is none of these, or below zero.
    """
    seconds = _seconds(age)
    if seconds is None or not 0 <= seconds < float("inf"):
        message = f"expected for older_than a duration, seconds, or a text such as '90d' or '12h', found {age!r}"
        raise InvalidRequest(message, problems={"$.older_than": message})
    return round(seconds * 1_000_000)


def choose(log: EventLog, ended_by: int, readers: Sequence[Reader]) -> Chosen:
    """Look through the log for tasks that came to a final status by a time and are not erased.

    Args:
        log: The log.
        ended_by: Time in microseconds.
        readers: Who shall have heard of them.

    Raises:
        LogUnavailable: The store failed.
    """
    streams: dict[bytes, int] = {}
    awaited: Counter[str] = Counter()
    waiting = 0
    for task in sorted(_ended(log, ended_by)):
        lacking = [reader.name for reader in readers if reader.lacks(task.stream_id, task.position)]
        if lacking:
            awaited.update(lacking)
            waiting += 1
        else:
            streams[task.stream_id] = task.events
    return Chosen(streams, awaited, waiting)


def _ended(log: EventLog, ended_by: int) -> Iterator[_Ended]:
    after, upto = b"", log.head()
    while (page := log.heads(after, limit=_EVENTS_AT_ONCE, upto=upto)).events:
        after = last(page.heads)
        for stream_id, heads in groupby(kinds(page.heads), itemgetter(0)):
            events = list(heads)
            ends = [time for _, _, code, time in events if code in _FINAL]
            if ends and ends[-1] <= ended_by and all(code != ERASED for _, _, code, _ in events):
                yield _Ended(ends[-1], stream_id, len(events), events[-1][1])


def _seconds(age: object) -> float | None:
    if isinstance(age, timedelta):
        return age.total_seconds()
    if isinstance(age, str):
        found = _AGE.fullmatch(age.strip())
        return None if found is None else float(found[1]) * _UNITS[found[2]]
    return age if isinstance(age, int | float) and not isinstance(age, bool) else None
