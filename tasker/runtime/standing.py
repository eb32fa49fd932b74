"""This worker among the others: its name and lease, its share of the work, its death and its return."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from tasker.domain.events import WORKER_LOST
from tasker.errors import LogUnavailable
from tasker.instrument import logger
from tasker.runtime.pulse import Pulse

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tasker.log.port import Found, Store
    from tasker.runtime.claiming import Claiming
    from tasker.runtime.commander import Office
    from tasker.runtime.lease import Lease
    from tasker.runtime.lookout import Lookout
    from tasker.runtime.roster import Roster
    from tasker.runtime.threads import Threads

_log = logger("runner")


class Standing:
    """What a worker is to the others, and they to it.

    Attributes:
        draining: True once it was asked to start nothing more.
        first: True if it is the worker that does what one does for all, such as serving the read models.
    """

    def __init__(
        self, store: Callable[[], Store], office: Office, lease: Lease, claiming: Claiming, lookout: Lookout,
        roster: Roster,
    ) -> None:  # fmt: skip
        """Take the parts of one runner; nothing is registered yet."""
        self.draining = False
        self.first = True
        self._store = store
        self._office = office
        self._lease = lease
        self._claiming = claiming
        self._lookout = lookout
        self._roster = roster
        self._pulse: Pulse | None = None

    @property
    def worker_id(self) -> str:
        """Give the name under which this worker starts and reports attempts."""
        return self._lease.worker_id

    def start(self, heartbeat: float, threads: Threads) -> None:
        """Register, take over from dead workers, and send heartbeats from now on.

        Args:
            heartbeat: Seconds between two of them.
            threads: Gives the thread and real time.

        Raises:
            LogUnavailable: The store failed; nothing runs.
        """
        self._pulse = Pulse(self, self._lease, seconds=heartbeat, threads=threads)
        self._pulse.start()

    def stop(self) -> None:
        """Send no more heartbeats."""
        if self._pulse is not None:
            self._pulse.stop()

    def sign_off(self) -> None:
        """Say that this worker stopped, unless something of it is left: that is abandoned with the end of its lease."""
        try:
            if not self._store().work.held_by(self.worker_id):
                self._lease.give_back()
        except LogUnavailable as error:
            _log.warning("this worker could not say that it stopped; others see it when its lease ends: %s", error)

    # --- called by the pulse ---

    def lift(self) -> None:
        """Look again at what waits: this worker may start steps again."""
        self._office.inbox.errands.append(self._claiming.agenda.lift_all)
        self._lookout.look_again()

    def drain(self) -> None:
        """Start nothing more; what runs goes on."""
        if not self.draining:
            self.draining = True
            self._claiming.on = False
            _log.info("this worker was asked to drain: it starts nothing more and ends with what runs")

    def know(self, living: Sequence[str]) -> None:
        """Take note of the workers that start steps: each prefers its share of all streams."""
        mine = self.worker_id
        self.first = living[0] == mine if living else True
        shared = len(living) > 1 and mine in living
        self._lookout.divide((living.index(mine), len(living)) if shared else None)

    def abandon_orphans(self, dead: Sequence[str]) -> None:
        """Have the attempts of dead workers abandoned; when none is left, they are settled.

        Raises:
            LogUnavailable: The store failed.
        """
        orphans = self._store().work.orphans()
        if orphans:
            self._office.inbox.errands.append(partial(self._abandon_all, orphans))
            self._lookout.wake()
        elif dead:
            self._store().workers.settle(dead)

    def _abandon_all(self, orphans: Sequence[Found]) -> None:
        for stream_id, item in orphans:
            self._claiming.abandon(stream_id, item.step, item.attempt, WORKER_LOST)

    def fenced_later(self, worker_id: str) -> None:
        """Have the leader take note of this worker's death under a name."""
        self._office.inbox.errands.append(partial(self.fenced, worker_id))
        self._lookout.wake()

    # --- called by the leader ---

    def fenced(self, worker_id: str) -> None:
        """Cancel everything that runs, for none of it counts any more, and return under a new name."""
        if worker_id != self.worker_id:
            return
        _log.error("this worker was declared dead: what it runs does not count; it returns under a new name")
        self._lease.lose()
        for running in self._roster.all():
            running.cancel()
            self._roster.drop(running)
        if self._pulse is not None:
            self._pulse.hurry()
