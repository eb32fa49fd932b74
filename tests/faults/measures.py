"""How quickly things go on: after the lease of a dead worker has ended, and after the server has come back."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tasker.domain.work import WorkItem, WorkKind
from tasker.errors import LogUnavailable
from tasker.log.port import Store
from tests.faults.cast import Cast
from tests.faults.follower import Follower
from tests.faults.processes import Actor

_SEARCH_SECONDS = 0.3
_LOOK_SECONDS = 0.005


@dataclass
class Measured:
    """What was measured in a history, in seconds.

    Attributes:
        taken_over: From the end of a dead worker's lease (without leases from its death) to the next start of each
            step that it held or, where one worker at a time runs, of any step.
        returned: From the return of the server to the first new event.
        stopped: From the request to stop to the end of the last worker, when all work was done.
    """

    taken_over: list[float] = field(default_factory=list)
    returned: list[float] = field(default_factory=list)
    stopped: list[float] = field(default_factory=list)


class Watch:
    """Takes the times. A measurement counts only if nothing else happens to the history meanwhile."""

    def __init__(self, store: Store, follower: Follower, free: Callable[[], bool]) -> None:
        """Measure nothing yet.

        Args:
            store: The log.
            follower: Whoever reads it as it grows.
            free: Says whether nothing keeps steps from starting: nobody has paused anything, all clocks are right.
        """
        self.measured = Measured()
        self._store = store
        self._follower = follower
        self._free = free
        self._held: dict[tuple[bytes, int], int] = {}
        self._ended = 0.0
        self._alone = False
        self._killed = False
        self._seen = 0
        self._back: tuple[float, int] | None = None

    @property
    def measuring(self) -> bool:
        """Say whether something is being measured."""
        return bool(self._held) or self._alone or self._back is not None

    def disturb(self) -> None:
        """Forget what was being measured: something happens."""
        self._held, self._alone, self._back = {}, False, None

    def busiest(self, workers: Sequence[Actor]) -> Actor | None:
        """Give the worker that runs most at the moment, after a short search; None if none of them runs anything."""
        until = time.monotonic() + _SEARCH_SECONDS
        while time.monotonic() < until:
            try:
                running = [one.worker_id or "" for _, one in self._store.work.all() if one.kind is WorkKind.RUNNING]
            except LogUnavailable:
                return None
            counts = {actor: sum(f"-{actor.pid}-" in name for name in running) for actor in workers}
            best = max(workers, key=lambda actor: counts[actor])
            if counts[best]:
                return best
            time.sleep(_LOOK_SECONDS)
        return None

    def before_kill(self, actor: Actor) -> None:
        """Note what a worker that is about to be killed holds, and until when it counts as alive."""
        mine = f"-{actor.pid}-"
        try:
            until = [one.lease_until for one in self._store.workers.all() if mine in one.worker_id]
            items = list(self._store.work.all())
        except LogUnavailable:
            return
        if not until:
            return
        self._seen, self._ended = len(self._follower.started), (until[-1] or time.time_ns() // 1000) / 1e6
        self._alone = until[-1] is None and any(map(_due, (item for _, item in items)))
        if until[-1] is not None:
            self._held = {(task, one.step): one.attempt for task, one in items if mine in (one.worker_id or "")}

    def after_return(self, cast: Cast) -> None:
        """Note when the server has come back, if somebody has something to do then."""
        try:
            due = any(actor.moves for actor in cast.submitters) or any(_due(item) for _, item in self._store.work.all())
            if due and self._free():
                self._back = time.time(), len(self._follower.seen)
        except LogUnavailable:
            return

    def look(self, cast: Cast) -> None:
        """Take the times of what has happened since."""
        if self._back is not None:
            self._look_for_return(cast)
        for one in self._follower.started[self._seen :]:
            if self._alone or self._held.pop((one.stream_id, one.step), one.attempt) < one.attempt:
                self.measured.taken_over.append(max(0.0, one.at - self._ended))
                self._alone = False
        self._seen = len(self._follower.started)
        if (self._held or self._alone) and time.time() >= self._ended and not self._free():
            self.disturb()

    def _look_for_return(self, cast: Cast) -> None:
        at, before = self._back or (0.0, 0)
        if not any(actor.moves for actor in cast.actors):
            self._back = None
        elif len(self._follower.seen) > before:
            self.measured.returned.append(self._follower.at - at)
            self._back = None


def _due(item: WorkItem) -> bool:
    return item.kind is WorkKind.READY and (item.due or 0) <= time.time_ns() // 1000
