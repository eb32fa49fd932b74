"""The workers on PostgreSQL, by the clock of the server.

Whatever ends a worker has the head of the log, and gives it a new token: an append that waits for the head looks at the
worker afterwards, and one that was sent from memory finds another head than it knows.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tasker.log.postgres_connect import COMMIT, LOCK_HEAD, NEW_TOKEN, TOKEN_BYTES, begin
from tasker.log.postgres_pack import Bytea, texts
from tasker.log.postgres_pipe import Statement, run
from tasker.log.worker_rows import COLUMNS, FORGET_AFTER, LIVES, arrived, lease, said, worker
from tasker.log.workers import LIVING, Heard, WorkerState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from psycopg.pq.abc import PGresult

    from tasker.log.postgres_connect import Database
    from tasker.log.workers import Arrival, Vitals, Worker

_NOW = "(SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS now)"
_REGISTER = (
    f"WITH clock AS MATERIALIZED {_NOW}, gone AS (DELETE FROM workers WHERE worker_id IN (SELECT worker_id "
    "FROM workers, clock WHERE settled AND beat_at < now - %s::bigint FOR UPDATE OF workers SKIP LOCKED)) "
    f"INSERT INTO workers ({COLUMNS}) SELECT %s, 'alive', %s, %s, %s, %s, now, now, now + %s::bigint, false, "
    "%s, %s, %s FROM clock"
)
# What is not moved is dead, gone, or has nothing to say; the last is told from what this statement saw of it. One that
# another statement has ended meanwhile is not moved, although it is seen alive: it is dead.
_BEAT = f"""
WITH clock AS MATERIALIZED {_NOW}, news AS (
    SELECT %(lease)s::bigint AS lease, %(handlers)s::text AS handlers, %(lacking)s::text AS lacking,
        %(skew)s::double precision AS skew
), moved AS (
    UPDATE workers SET beat_at = now, lease_until = now + news.lease, handlers = news.handlers,
        lacking = news.lacking, skew = news.skew
    FROM clock, news WHERE worker_id = %(worker)s AND {LIVES} AND (news.lease IS NOT NULL OR
        (workers.handlers, workers.lacking, workers.skew) IS DISTINCT FROM (news.handlers, news.lacking, news.skew))
    RETURNING state
)
SELECT (SELECT state FROM moved), workers.state, {LIVES} AND news.lease IS NULL AND
    (workers.handlers, workers.lacking, workers.skew) IS NOT DISTINCT FROM (news.handlers, news.lacking, news.skew),
    now FROM clock CROSS JOIN news LEFT JOIN workers ON worker_id = %(worker)s
"""
_DRAIN = f"UPDATE workers SET state = 'draining' WHERE worker_id = %s AND {LIVES}"
_STOP = (
    f"UPDATE workers SET state = 'stopped', settled = true, beat_at = now FROM {_NOW} AS clock "
    f"WHERE worker_id = ANY ($1) AND {LIVES}"
)
_LATE = f"{LIVES} AND lease_until < (SELECT now FROM {_NOW} AS clock)"
_OTHERS = f"{LIVES} AND worker_id <> ALL ({{names}})"
_BURY = "UPDATE workers SET state = 'dead' WHERE {lost} RETURNING worker_id"
_SETTLE = (
    "UPDATE workers SET settled = true WHERE worker_id IN (SELECT worker_id FROM workers WHERE worker_id = ANY (%s) "
    "AND state = 'dead' AND NOT settled ORDER BY worker_id FOR UPDATE)"
)
_ALL = f"SELECT now, {COLUMNS} FROM workers CROSS JOIN {_NOW} AS clock ORDER BY started_at, worker_id"


class PostgresWorkers:
    """The workers; see `tasker.log.workers.Workers`."""

    def __init__(self, database: Database) -> None:
        """Take the database."""
        self._database = database

    def register(self, arrival: Arrival, *, lease_seconds: float | None) -> None:
        """Add a living worker, and remove rows of settled ones that were not heard of for seven days."""
        values = (FORGET_AFTER, *arrived(arrival), lease(lease_seconds), *said(arrival.vitals))
        with self._database.reading() as connection:
            connection.execute(_REGISTER, values)

    def beat(self, worker_id: str, vitals: Vitals, *, lease_seconds: float | None) -> Heard:
        """Move the lease of a living worker and note what it says of itself; one that is dead stays dead."""
        handlers, lacking, skew = said(vitals)
        values = {"lease": lease(lease_seconds), "handlers": handlers, "lacking": lacking, "skew": skew}
        with self._database.reading() as connection:
            row = connection.execute(_BEAT, {**values, "worker": worker_id}).fetchone()
        moved, seen, silent, now = row or (None, None, False, 0)
        found = WorkerState(moved or seen or WorkerState.DEAD)
        if moved is None and found in LIVING and not silent:
            found = WorkerState.DEAD
        return Heard(found, now)

    def drain(self, worker_id: str) -> bool:
        """Ask a worker to drain; False if it does not live."""
        with self._database.reading() as connection:
            return connection.execute(_DRAIN, (worker_id,)).rowcount == 1

    def stop(self, worker_id: str) -> None:
        """Note that a living worker has stopped and left nothing behind: it is settled."""
        self._end(Statement(_STOP.encode(), (texts([worker_id]),)))

    def bury(self, *, but: str | None = None) -> list[str]:
        """Declare every living worker dead whose lease ran out, or all but one; give those that died by this call."""
        lost = _LATE if but is None else _OTHERS
        with self._database.reading() as connection:
            names = [] if but is None else [[but]]
            look = f"SELECT 1 FROM workers WHERE {lost.format(names='%s')} LIMIT 1"
            if connection.execute(look, names).fetchone() is None:
                return []
        sql = _BURY.format(lost=lost.format(names="$1")).encode()
        found = self._end(Statement(sql, [] if but is None else [texts([but])]))
        return sorted((found.get_value(row, 0) or b"").decode() for row in range(found.ntuples))

    def settle(self, worker_ids: Sequence[str]) -> None:
        """Note that nothing is left of some dead workers."""
        with self._database.reading() as connection:
            connection.execute(_SETTLE, (list(worker_ids),))

    def all(self) -> list[Worker]:
        """Read the rows of all workers, the first that was registered first."""
        with self._database.reading() as connection:
            rows = connection.execute(_ALL).fetchall()
        return [worker((*row,), now) for now, *row in rows]

    def _end(self, statement: Statement) -> PGresult:
        """Run what ends workers, behind the lock of the head, in one round trip; give its result.

        The new token comes even where nobody was left to end: it costs the next append one look.
        """
        token = Statement(NEW_TOKEN, [Bytea(os.urandom(TOKEN_BYTES))])
        with self._database.reading() as connection:
            return run(connection, *begin(connection), LOCK_HEAD, statement, token, COMMIT)[-3]
