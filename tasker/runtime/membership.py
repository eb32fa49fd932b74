"""Workers as people see them: who lives, what each runs, and how to ask one to drain."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from tasker.clock import from_micros
from tasker.errors import InvalidRequest, NotAllowed, TaskerError, near
from tasker.instrument import logger
from tasker.log.port import Shared
from tasker.log.workers import LIVING, WorkerState

if TYPE_CHECKING:
    from tasker.log.port import Store
    from tasker.log.workers import Worker
    from tasker.runtime.context import Context
    from tasker.runtime.operations import By

_log = logger("workers")


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerInfo:
    """One worker.

    Attributes:
        worker_id: Its name, new for each start.
        state: `alive`, `draining`, `stopped` or `dead`.
        host: Its machine.
        pid: Its process there.
        release: Its release of Tasker.
        slots: How many attempts it may run at once.
        running: How many it has begun that have not ended; of a dead one, those that nobody has given back yet.
        started_at: When it was registered (clock of the database).
        last_heartbeat: When it was heard of last (clock of the database); on SQLite only changes are heard of.
        lease_until: Until when it is known to live (clock of the database); None where no lease is needed.
        silent: True if it counts as living, but its lease is over: the next worker that looks declares it dead.
        handlers: Registry names of its handlers.
        missing_env: Variables of the environment that its steps need and it does not have.
        clock_skew: Seconds by which its clock is ahead of the database's.
    """

    worker_id: str
    state: str
    host: str
    pid: int
    release: str
    slots: int
    running: int
    started_at: datetime
    last_heartbeat: datetime
    lease_until: datetime | None
    silent: bool
    handlers: tuple[str, ...]
    missing_env: tuple[str, ...]
    clock_skew: float


class Membership:
    """The use cases about workers; any process may call them, whether it runs tasks or not."""

    def __init__(self, context: Context) -> None:
        """Take what use cases share; nothing is opened yet."""
        self._context = context

    def workers(self) -> list[WorkerInfo]:
        """Give every worker that is known, the first that was registered first.

        Raises:
            LogUnavailable: The log failed.
        """
        store = self._context.store
        return [_info(row, len(store.work.held_by(row.worker_id))) for row in seen(store)]

    def drain(self, worker_id: str, by: By) -> WorkerInfo:
        """Ask a worker to start nothing more, to finish what runs, and to stop. Safe to repeat.

        Raises:
            InvalidRequest: There is no such worker; near names are offered.
            NotAllowed: It does not live any more.
            LogUnavailable: The log failed.
        """
        lives = self._find(worker_id).state in LIVING
        if not lives or not self._context.store.workers.drain(worker_id):
            state = self._find(worker_id).state
            message = (
                f"cannot drain worker {worker_id!r}: expected one that is alive, found it {state}, so that nothing is "
                "left to stop. `tasker workers` lists those that live"
            )
            raise NotAllowed(message)
        _log.info("worker %s is to drain: asked by %s (%s)", worker_id, by.actor, by.reason)
        return self._find(worker_id)

    def _find(self, worker_id: str) -> WorkerInfo:
        if not isinstance(worker_id, str):
            message = f"expected the id of a worker, found {worker_id!r}"
            raise InvalidRequest(message, problems={"$.worker_id": message})
        known = {one.worker_id: one for one in self.workers()}
        if worker_id not in known:
            message = (
                f"there is no worker {worker_id!r}.{near(worker_id, known)} `tasker workers` lists those that are known"
            )
            raise InvalidRequest(message, problems={"$.worker_id": message})
        return known[worker_id]


def seen(store: Store) -> list[Worker]:
    """Give the rows of all workers; where no process can be behind a row that says alive, it is given as dead.

    Args:
        store: An opened store.
    """
    rows = store.workers.all()
    if any(row.state in LIVING for row in rows) and not _may_live(store):
        return [row._replace(state=WorkerState.DEAD) if row.state in LIVING else row for row in rows]
    return rows


def _may_live(store: Store) -> bool:
    """Say whether a worker may be there: where there can be one at a time, the free lock proves that there is none."""
    lock = store.runner_lock()
    if not lock.exclusive or not isinstance(store, Shared) or store.url is None:
        return True  # leases tell, or nobody else can have opened this log
    try:
        lock.acquire()
    except TaskerError:  # held, or not to be had: neither proves that nobody lives
        return True
    lock.release()
    return False


def _info(row: Worker, running: int) -> WorkerInfo:
    return WorkerInfo(
        worker_id=row.worker_id,
        state=str(row.state),
        host=row.host,
        pid=row.pid,
        release=row.release,
        slots=row.slots,
        running=running,
        started_at=from_micros(row.started_at),
        last_heartbeat=from_micros(row.beat_at),
        lease_until=None if row.lease_until is None else from_micros(row.lease_until),
        silent=row.state in LIVING and row.lease_left is not None and row.lease_left < 0,
        handlers=row.vitals.handlers,
        missing_env=row.vitals.lacking,
        clock_skew=row.vitals.skew,
    )
