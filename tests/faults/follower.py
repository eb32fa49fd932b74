"""Whoever watches a history from outside: a reader of the log as it grows, and one of the rows of workers."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

from tasker.codec.decode import text_id
from tasker.codec.jsonbytes import mapping
from tasker.codec.recorded import CONTROL_NAMESPACE
from tasker.codec.rows import StoredEvent
from tasker.domain.status import LIVE
from tasker.errors import LogUnavailable
from tasker.log.port import Store

_PAGE = 1000
_ROWS_SECONDS = 0.05
_DEAD = "dead"


class Started(NamedTuple):
    """A start as it was seen: when (seconds of the system's clock), of which task and step, by which worker."""

    at: float
    stream_id: bytes
    step: int
    attempt: int
    worker_id: str


class Follower:
    """Reads the log as it grows, past everything that is done to others.

    Attributes:
        seen: Position and hash of every event, in the order in which they were read.
        at: When the last of them was read (seconds of the system's clock).
        statuses: Status of every task.
        waiting: What waits for somebody outside, with the time after which it is answered (monotonic seconds).
        started: Every start.
        graves: For each worker that was found dead, a position that the log had when its row said so.
    """

    def __init__(self, store: Store, patience: Callable[[], float]) -> None:
        """Begin at the first event.

        Args:
            store: The log.
            patience: Gives the seconds after which a waiting step is answered.
        """
        self._store = store
        self._patience = patience
        self._next_rows = 0.0
        self.seen: list[tuple[int, str]] = []
        self.at = 0.0
        self.statuses: dict[str, str] = {}
        self.waiting: dict[tuple[str, str], float] = {}
        self.started: list[Started] = []
        self.graves: dict[str, int] = {}

    def look(self) -> None:
        """Read what is new; a log that is not available is read later."""
        try:
            while rows := self._store.log.tail(len(self.seen), limit=_PAGE):
                self.at = time.time()
                for row in rows:
                    self._take(row)
            if time.monotonic() >= self._next_rows:
                self._next_rows = time.monotonic() + _ROWS_SECONDS
                self._count_graves()
        except LogUnavailable:
            return

    def live(self) -> list[str]:
        """List the tasks that have not ended."""
        return [task for task, status in self.statuses.items() if status in LIVE]

    def _take(self, row: StoredEvent) -> None:
        self.seen.append((row.position, row.hash.hex()))
        if row.header.namespace == CONTROL_NAMESPACE:
            return
        task = text_id(row.stream_id)
        data = mapping(row.data)
        if row.type.startswith("task."):
            self.statuses[task] = str(data["status"])
        elif row.type == "step.waiting":
            self.waiting[task, str(data["step"])] = time.monotonic() + self._patience()
        elif row.type == "step.started":
            who = str(data["worker_id"])
            self.started.append(Started(self.at, row.stream_id, row.step or 0, row.attempt or 0, who))

    def _count_graves(self) -> None:
        """Note who is dead by now; whatever a dead worker appends stands in front of the position noted."""
        new = [one.worker_id for one in self._store.workers.all() if one.state == _DEAD]
        if any(worker_id not in self.graves for worker_id in new):
            head = self._store.log.head()
            for worker_id in new:
                self.graves.setdefault(worker_id, head)
