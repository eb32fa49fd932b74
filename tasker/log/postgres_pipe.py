"""Several statements in one round trip, through libpq: sent in one piece, answered within a bound.

The driver's own pipeline sends statement by statement. A process that freezes between two of them would hold the lock
of the head for as long as it is frozen, because the server ends only transactions whose client is idle.
"""

from __future__ import annotations

import select
import time
from typing import TYPE_CHECKING, NamedTuple

import psycopg
from psycopg.errors import error_from_result
from psycopg.pq import ConnStatus, ExecStatus

if TYPE_CHECKING:
    from collections.abc import Sequence

    from psycopg.pq.abc import PGconn, PGresult

    from tasker.log.postgres_connect import Connection
    from tasker.log.postgres_pack import Packed

ANSWER_SECONDS = 20.0
"""How long an answer may take; then the connection is given up, and what became of the statements is asked for."""

_BINARY = 1
_FAILED = {ExecStatus.FATAL_ERROR, ExecStatus.PIPELINE_ABORTED, ExecStatus.BAD_RESPONSE}


class Statement(NamedTuple):
    """One statement with its values."""

    sql: bytes
    values: Sequence[Packed] = ()


def run(connection: Connection, *statements: Statement) -> list[PGresult]:
    """Run statements in one round trip; give their results, binary.

    Raises:
        psycopg.Error: The first error; the statements behind it were not run. The transaction stays open, if there is
            one, unless the connection was lost: it is closed then.
    """
    pgconn = connection.pgconn
    deadline = time.monotonic() + ANSWER_SECONDS
    try:
        pgconn.enter_pipeline_mode()
        for sql, values in statements:
            oids, formats = [value.oid for value in values], [_BINARY] * len(values)
            pgconn.send_query_params(sql, values, oids, formats, _BINARY)
        pgconn.pipeline_sync()
        while pgconn.flush():
            _wait(pgconn, select.POLLIN | select.POLLOUT, deadline)
        results = _results(pgconn, deadline)
        pgconn.exit_pipeline_mode()
    except BaseException:
        connection.close()
        raise
    for result in results:
        if result.status in _FAILED:
            raise error_from_result(result)
    return results


def _results(pgconn: PGconn, deadline: float) -> list[PGresult]:
    """Collect the results up to the end of the round trip."""
    results: list[PGresult] = []
    while True:
        while pgconn.is_busy():
            _wait(pgconn, select.POLLIN, deadline)
        result = pgconn.get_result()
        if pgconn.status == ConnStatus.BAD:
            raise psycopg.OperationalError(pgconn.get_error_message())
        if result is not None and result.status == ExecStatus.PIPELINE_SYNC:
            return results
        if result is not None:
            results.append(result)


def _wait(pgconn: PGconn, events: int, deadline: float) -> None:
    """Wait for the socket, and take in what has come."""
    poll = select.poll()
    poll.register(pgconn.socket, events)
    ready = poll.poll(max(0.0, deadline - time.monotonic()) * 1000)
    if not ready:
        msg = f"no answer within {ANSWER_SECONDS:g} s"
        raise psycopg.OperationalError(msg)
    if ready[0][1] & ~select.POLLOUT:
        pgconn.consume_input()
