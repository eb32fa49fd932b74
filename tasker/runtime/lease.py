"""Who this worker is on its log: its name, its row among the workers, and the lease that keeps it alive."""

from __future__ import annotations

import os
import secrets
import socket
import time
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, NamedTuple

from tasker.errors import LogUnavailable
from tasker.log.workers import LIVING, Arrival

if TYPE_CHECKING:
    from collections.abc import Callable

    from tasker.log.workers import Vitals, Worker, Workers, WorkerState

MOST_SKEW_SECONDS = 5.0
"""A clock that is further off makes retries and timeouts of this worker early or late."""


class Tempo(NamedTuple):
    """How a worker shows that it lives.

    Attributes:
        heartbeat: Seconds between two heartbeats.
        lease: Seconds for which one keeps it alive; None where it holds the lock of the one runner of its log.
    """

    heartbeat: float
    lease: float | None


def new_worker_id() -> str:
    """Name a worker: host, process and a random part, new for each start."""
    return f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"


def _release() -> str:
    try:
        return version("tasker-engine")
    except PackageNotFoundError:  # run from a checkout that was never installed
        return "unknown"


class Lease:
    """The name of one worker, and what keeps it.

    Attributes:
        worker_id: The name under which it starts and reports attempts; another one after its death.
        held: True while its row is there and, as far as known, living.
        skew: Seconds by which this machine's clock is ahead of the store's.
    """

    def __init__(
        self, workers: Callable[[], Workers], vitals: Callable[[], Vitals], *, slots: int, seconds: float | None
    ) -> None:
        """Take a name; nothing is written before `take`.

        Args:
            workers: Gives the workers of the log, which is opened at first use.
            vitals: Says what this worker has.
            slots: How many attempts it may run at once.
            seconds: How long a heartbeat keeps it alive; None where a lock does.
        """
        self._workers = workers
        self._vitals = vitals
        self._slots = slots
        self._seconds = seconds
        self.worker_id = new_worker_id()
        self.held = False
        self.skew = 0.0

    @property
    def ends(self) -> bool:
        """Say whether it runs out without heartbeats; one without end proves that no other worker lives."""
        return self._seconds is not None

    def take(self) -> None:
        """Register under the present name.

        Raises:
            LogUnavailable: The store failed; nothing is held, and the next try takes another name: a row of this one
                may be there all the same.
        """
        host, pid = socket.gethostname(), os.getpid()
        arrival = Arrival(self.worker_id, host, pid, _release(), self._slots, self._vitals())
        try:
            self._workers().register(arrival, lease_seconds=self._seconds)
        except LogUnavailable:
            self.lose()
            raise
        self.held = True

    def beat(self) -> WorkerState:
        """Keep it for as long again; say what the worker is now.

        Raises:
            LogUnavailable: The store failed.
        """
        before = time.time()
        vitals = self._vitals()._replace(skew=round(self.skew, 1) if abs(self.skew) > 1 else 0.0)
        heard = self._workers().beat(self.worker_id, vitals, lease_seconds=self._seconds)
        self.skew = (before + time.time()) / 2 - heard.now / 1e6
        return heard.state

    def lose(self) -> None:
        """Take note that the worker of this name is dead, and go by another one; `take` registers it."""
        self.held = False
        self.worker_id = new_worker_id()

    def give_back(self) -> None:
        """Say that this worker has stopped and left nothing behind."""
        self.held = False
        self._workers().stop(self.worker_id)

    def others(self, *, prove_dead: bool) -> tuple[list[Worker], list[str]]:
        """Look at all workers and declare those dead whose leases ran out.

        Args:
            prove_dead: True if a lock proves that every other one is dead.

        Returns:
            All rows, and the names of those that died by this call.
        """
        workers = self._workers()
        if prove_dead:
            died = workers.bury(but=self.worker_id)
            return workers.all(), died
        rows = workers.all()
        overdue = any(row.lease_left is not None and row.lease_left <= 0 and row.state in LIVING for row in rows)
        died = workers.bury() if overdue else []
        return (workers.all() if died else rows), died
