"""What a runner could do next: ready steps in order, timers by due time, and ready steps that something holds back.

It belongs to the leader: only the thread that leads touches it. Entries are hints; a state decides when one is taken.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from itertools import count
from typing import TYPE_CHECKING, NamedTuple

from tasker.domain.work import WorkItem, WorkKind

if TYPE_CHECKING:
    from tasker.domain.events import Instant


class Entry(NamedTuple):
    """One item of live work and the stream it belongs to."""

    stream_id: bytes
    item: WorkItem


class Agenda:
    """Ready steps, timers and held steps of one runner."""

    def __init__(self) -> None:
        """Start empty."""
        self._order = count()
        self._ready: list[tuple[int, int, Entry]] = []
        self._timers: list[tuple[int, int, Entry]] = []
        self._held: dict[str, list[tuple[int, int, Entry]]] = defaultdict(list)

    def add(self, stream_id: bytes, item: WorkItem, now: Instant) -> None:
        """Note an item: as ready, as a timer, or not at all if nothing is to be done for it."""
        entry = Entry(stream_id, item)
        if item.kind is WorkKind.READY and (item.due is None or item.due <= now):
            heapq.heappush(self._ready, (item.rank, next(self._order), entry))
        elif item.due is not None:
            heapq.heappush(self._timers, (item.due, next(self._order), entry))

    def pop_ready(self) -> Entry | None:
        """Take the ready step that comes first, or None."""
        return heapq.heappop(self._ready)[2] if self._ready else None

    def pop_due(self, now: Instant) -> list[Entry]:
        """Take what has fallen due; ready steps among it become ready, the rest is given."""
        due: list[Entry] = []
        while self._timers and self._timers[0][0] <= now:
            entry = heapq.heappop(self._timers)[2]
            if entry.item.kind is WorkKind.READY:
                heapq.heappush(self._ready, (entry.item.rank, next(self._order), entry))
            else:
                due.append(entry)
        return due

    def hold(self, reason: str, entry: Entry) -> None:
        """Set a ready step aside until its reason is lifted."""
        heapq.heappush(self._held[reason], (entry.item.rank, next(self._order), entry))

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
    def next_due(self) -> Instant | None:
        """Give the earliest due time of a timer, or None."""
        return self._timers[0][0] if self._timers else None
