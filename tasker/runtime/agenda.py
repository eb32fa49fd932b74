"""What a runner could do next: ready steps in order, timers by due time, and ready steps that something holds back.

It belongs to the leader: only the thread that leads changes it. Entries are hints; a state decides when one is taken.
It is bounded: what finds no room stays in the live work and is looked for when there is room again.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from itertools import count
from typing import TYPE_CHECKING, NamedTuple

from tasker.domain.work import WorkItem, WorkKind

if TYPE_CHECKING:
    from tasker.domain.events import Instant

MOST = 20_000
"""How many ready steps, how many that one reason holds, and how many timers are noted at once."""

_Key = tuple[bytes, int, int, int | None]
_READY = WorkKind.READY


class Entry(NamedTuple):
    """One item of live work and the stream it belongs to."""

    stream_id: bytes
    item: WorkItem


class Agenda:
    """Ready steps, timers and held steps of one runner.

    Attributes:
        unnoted: Grows whenever a ready step found no room here.
        more: True if ready steps may wait in the live work that are not noted here.
        timers_from: From this due time on, timers may be in the live work that are not noted here; None: all are noted.
    """

    def __init__(self, most: int = MOST) -> None:
        """Start empty."""
        self.unnoted = 0
        self.more = False
        self.timers_from: Instant | None = None
        self._most = most
        self._order = count()
        self._ready: list[tuple[int, int, Entry]] = []
        self._timers: list[tuple[int, int, Entry]] = []
        self._held: dict[str, list[tuple[int, int, Entry]]] = defaultdict(list)
        self._startable: set[_Key] = set()
        self._timed: set[_Key] = set()

    def add(self, stream_id: bytes, item: WorkItem, now: Instant) -> bool:
        """Note an item: as ready, as a timer, or not at all if nothing is to be done for it.

        Returns:
            False if it is not noted by this call.
        """
        step, kind, due, rank, attempt, _ = item
        if kind is _READY and (due is None or due <= now):
            key = (stream_id, step, attempt, None)
            if key in self._startable:
                return False
            if len(self._ready) >= self._most:
                self._leave_out(due)
                return False
            self._startable.add(key)
            heapq.heappush(self._ready, (rank, next(self._order), Entry(stream_id, item)))
            return True
        return due is not None and self._await(stream_id, item, due)

    def knows(self, stream_id: bytes, item: WorkItem) -> bool:
        """Say whether an item without a due time is noted already; from another thread only a hint."""
        return (stream_id, item.step, item.attempt, None) in self._startable

    def _await(self, stream_id: bytes, item: WorkItem, due: Instant) -> bool:
        key = (stream_id, item.step, item.attempt, due)
        if key in self._timed:
            return False
        if len(self._timers) >= self._most:
            self._leave_out(due)
            return False
        self._timed.add(key)
        heapq.heappush(self._timers, (due, next(self._order), Entry(stream_id, item)))
        return True

    def _leave_out(self, due: Instant | None) -> None:
        """Note that something is not noted: it waits in the live work, under its due time if it has one."""
        if due is None:
            self.unnoted += 1
            self.more = True
        else:
            self.timers_from = due if self.timers_from is None else min(self.timers_from, due)

    def pop_ready(self) -> Entry | None:
        """Take the ready step that comes first, or None."""
        if not self._ready:
            return None
        entry = heapq.heappop(self._ready)[2]
        self._startable.discard((entry.stream_id, entry.item.step, entry.item.attempt, None))
        return entry

    def pop_due(self, now: Instant) -> list[Entry]:
        """Take what has fallen due; ready steps among it become ready, the rest is given."""
        due: list[Entry] = []
        while self._timers and self._timers[0][0] <= now:
            entry = heapq.heappop(self._timers)[2]
            stream_id, item = entry
            self._timed.discard((stream_id, item.step, item.attempt, item.due))
            if item.kind is _READY:
                self.add(stream_id, item, now)
            else:
                due.append(entry)
        return due

    def hold(self, reason: str, entry: Entry) -> None:
        """Set a ready step aside until its reason is lifted."""
        held = self._held[reason]
        if len(held) >= self._most:
            self._leave_out(entry.item.due)
            return
        self._startable.add((entry.stream_id, entry.item.step, entry.item.attempt, None))
        heapq.heappush(held, (entry.item.rank, next(self._order), entry))

    def lift(self, reason: str) -> None:
        """Make the steps that one reason held ready again."""
        for held in self._held.pop(reason, ()):
            heapq.heappush(self._ready, held)

    def lift_first(self, reason: str) -> None:
        """Make the first of the steps that one reason held ready again."""
        held = self._held.get(reason)
        if held:
            heapq.heappush(self._ready, heapq.heappop(held))
            if not held:
                del self._held[reason]

    def lift_all(self) -> None:
        """Make every held step ready again; what still holds it holds it again."""
        for reason in list(self._held):
            self.lift(reason)

    @property
    def reasons(self) -> tuple[str, ...]:
        """Name what holds steps back at present."""
        return tuple(self._held)

    @property
    def has_ready(self) -> bool:
        """Say whether a ready step waits for a slot."""
        return bool(self._ready)

    @property
    def runs_low(self) -> bool:
        """Say whether ready steps should be looked for in the live work."""
        return self.more and len(self._ready) * 10 < self._most

    @property
    def next_due(self) -> Instant | None:
        """Give the earliest time at which a timer falls due, or may, or None."""
        noted = self._timers[0][0] if self._timers else None
        unnoted = self.timers_from
        if noted is None or unnoted is None:
            return unnoted if noted is None else noted
        return min(noted, unnoted)
