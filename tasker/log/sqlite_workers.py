"""The workers on SQLite; every process that has the file open is on one machine, so its clock is the store's."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tasker.log.worker_rows import COLUMNS, FORGET_AFTER, LIVES, arrived, lease, said, worker
from tasker.log.workers import LIVING, Heard, WorkerState

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from tasker.log.sqlite_connect import Database
    from tasker.log.worker_rows import Said
    from tasker.log.workers import Arrival, Vitals, Worker

_INSERT = f"INSERT INTO workers ({COLUMNS}) VALUES (?, 'alive', ?, ?, ?, ?, ?, ?, ?, 0, ?, ?, ?)"
_FORGET = "DELETE FROM workers WHERE settled AND beat_at < ?"
_STATE = "SELECT state, handlers, lacking, skew FROM workers WHERE worker_id = ?"
_BEAT = (
    "UPDATE workers SET beat_at = ?, lease_until = ?, handlers = ?, lacking = ?, skew = ? "
    f"WHERE worker_id = ? AND {LIVES}"
)
_OTHERS = f"SELECT worker_id FROM workers WHERE {LIVES} AND worker_id <> ? ORDER BY worker_id"
_LATE = f"SELECT worker_id FROM workers WHERE {LIVES} AND lease_until < ? ORDER BY worker_id"


class SqliteWorkers:
    """The workers; see `tasker.log.workers.Workers`."""

    def __init__(self, database: Database) -> None:
        """Take the database."""
        self._database = database

    def register(self, arrival: Arrival, *, lease_seconds: float | None) -> None:
        """Add a living worker, and remove rows of settled ones that were not heard of for seven days."""
        now = _now()
        values = (*arrived(arrival), now, now, _until(now, lease_seconds), *said(arrival.vitals))
        with self._database.translated(), self._database.transaction() as connection:
            connection.execute(_FORGET, (now - FORGET_AFTER,))
            connection.execute(_INSERT, values)

    def beat(self, worker_id: str, vitals: Vitals, *, lease_seconds: float | None) -> Heard:
        """Move the lease of a living worker and note what it says of itself; one that is dead stays dead."""
        news = said(vitals)
        if lease_seconds is None:
            with self._database.reading() as connection:
                state, before = _read(connection, worker_id)
            if before == news or state not in LIVING:
                return Heard(state, _now())
        with self._database.translated(), self._database.transaction() as connection:
            now = _now()
            connection.execute(_BEAT, (now, _until(now, lease_seconds), *news, worker_id))
            state, _ = _read(connection, worker_id)
        return Heard(state, now)

    def drain(self, worker_id: str) -> bool:
        """Ask a worker to drain; False if it does not live."""
        sql = f"UPDATE workers SET state = 'draining' WHERE worker_id = ? AND {LIVES}"
        with self._database.translated(), self._database.transaction() as connection:
            return connection.execute(sql, (worker_id,)).rowcount == 1

    def stop(self, worker_id: str) -> None:
        """Note that a living worker has stopped and left nothing behind: it is settled."""
        sql = f"UPDATE workers SET state = 'stopped', settled = 1, beat_at = ? WHERE worker_id = ? AND {LIVES}"
        with self._database.translated(), self._database.transaction() as connection:
            connection.execute(sql, (_now(), worker_id))

    def bury(self, *, but: str | None = None) -> list[str]:
        """Declare every living worker dead whose lease ran out, or all but one; give those that died by this call."""
        with self._database.reading() as connection:
            if not _lost(connection, but):
                return []
        with self._database.translated(), self._database.transaction() as connection:
            dead = _lost(connection, but)
            connection.executemany(
                "UPDATE workers SET state = 'dead' WHERE worker_id = ?", [(worker_id,) for worker_id in dead]
            )
        return dead

    def settle(self, worker_ids: Sequence[str]) -> None:
        """Note that nothing is left of some dead workers."""
        sql = "UPDATE workers SET settled = 1 WHERE worker_id = ? AND state = 'dead'"
        with self._database.translated(), self._database.transaction() as connection:
            connection.executemany(sql, [(worker_id,) for worker_id in worker_ids])

    def all(self) -> list[Worker]:
        """Read the rows of all workers, the first that was registered first."""
        with self._database.reading() as connection:
            rows = connection.execute(f"SELECT {COLUMNS} FROM workers ORDER BY started_at, worker_id").fetchall()
        now = _now()
        return [worker(row, now) for row in rows]


def _now() -> int:
    """Give the time in microseconds."""
    return time.time_ns() // 1000


def _until(now: int, seconds: float | None) -> int | None:
    """Give the end of a lease that begins now."""
    length = lease(seconds)
    return None if length is None else now + length


def _read(connection: sqlite3.Connection, worker_id: str) -> tuple[WorkerState, Said | None]:
    """Read what a worker is, and what it said of itself; one without a row is dead."""
    row = connection.execute(_STATE, (worker_id,)).fetchone()
    return (WorkerState.DEAD, None) if row is None else (WorkerState(row[0]), row[1:])


def _lost(connection: sqlite3.Connection, but: str | None) -> list[str]:
    """Find living workers that are to be declared dead."""
    found = connection.execute(_LATE, (_now(),)) if but is None else connection.execute(_OTHERS, (but,))
    return [worker_id for (worker_id,) in found]
