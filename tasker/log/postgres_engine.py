"""SQLAlchemy on the same PostgreSQL database, for whoever keeps tables of its own beside the log."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import psycopg
from sqlalchemy import Connection, Engine, QueuePool, create_engine, event
from sqlalchemy.exc import DBAPIError, DisconnectionError

from tasker.log.postgres_connect import usable
from tasker.log.postgres_errors import OURS, unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tasker.log.postgres_connect import Database

_POOL = 3
_KEY = 0x42455344  # under it, transactions beside the log wait for each other, as the writers of a SQLite file do
_SETTINGS = (
    "SELECT set_config('lock_timeout', '30s', true), set_config('idle_in_transaction_session_timeout', '10s', true)"
)
_ALONE = "SELECT pg_advisory_xact_lock(%s, hashtext(current_schema()))"


def make_engine(database: Database) -> Engine:
    """Make an engine on connections of the same kind as the log's."""
    database.open()
    engine = create_engine(
        "postgresql+psycopg://",
        creator=lambda: database.connect(autocommit=False),
        poolclass=QueuePool,
        pool_size=_POOL,
        max_overflow=-1,
        use_native_hstore=False,
    )

    @event.listens_for(engine, "checkout")
    def checkout(connection: psycopg.Connection, *_others: object) -> None:
        if not usable(connection):
            raise DisconnectionError

    return engine


@contextmanager
def transaction(database: Database, engine: Engine, *, durable: bool) -> Iterator[Connection]:
    """Hold a connection in one writing transaction; see `tasker.log.port.Store.transaction`."""
    with _translated(database) as progress, engine.connect() as connection, connection.begin():
        connection.exec_driver_sql(_SETTINGS)
        if not durable:
            connection.exec_driver_sql("SET LOCAL synchronous_commit = off")
        connection.exec_driver_sql(_ALONE, (_KEY,))
        yield connection
        progress.committing = True


@contextmanager
def reading(database: Database, engine: Engine) -> Iterator[Connection]:
    """Hold a connection for queries; see `tasker.log.port.Store.reading`."""
    with _translated(database), engine.connect() as connection:
        yield connection.execution_options(isolation_level="REPEATABLE READ")


class _Progress:
    """How far a transaction has come."""

    committing = False


@contextmanager
def _translated(database: Database) -> Iterator[_Progress]:
    """Turn a failure of the store into `LogUnavailable`; mistakes of the caller stay what they are."""
    progress = _Progress()
    try:
        yield progress
    except (DBAPIError, psycopg.Error) as error:
        original = error.orig if isinstance(error, DBAPIError) else error
        if not isinstance(original, psycopg.OperationalError | psycopg.InternalError | psycopg.ProgrammingError):
            raise
        if isinstance(original, psycopg.ProgrammingError) and original.sqlstate not in OURS:
            raise
        raise unavailable(original, database.where, outcome_unknown=progress.committing) from error
