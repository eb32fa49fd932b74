"""SQLAlchemy on the same SQLite database, for whoever keeps tables of its own beside the log."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Engine, QueuePool, StaticPool, create_engine, event
from sqlalchemy.exc import OperationalError

from tasker.errors import LogUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.engine.interfaces import DBAPIConnection

    from tasker.log.sqlite_connect import Database

_BEGIN = "tasker_begin"


def make_engine(database: Database) -> Engine:
    """Make an engine whose transactions begin with BEGIN IMMEDIATE; one in memory shares the writing connection."""
    database.open()
    if database.path is None:
        engine = create_engine("sqlite://", creator=database.writer, poolclass=StaticPool)
    else:
        engine = create_engine("sqlite://", creator=database.connect, poolclass=QueuePool, max_overflow=-1)

    @event.listens_for(engine, "connect")
    def connect(connection: DBAPIConnection, _: object) -> None:
        # What users wrote stands in these tables too, and must not stay in free pages once it is erased.
        connection.cursor().execute("PRAGMA secure_delete=ON")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql(connection.get_execution_options().get(_BEGIN, "BEGIN IMMEDIATE"))

    return engine


@contextmanager
def transaction(database: Database, engine: Engine, *, durable: bool) -> Iterator[Connection]:
    """Hold a connection in one writing transaction; see `tasker.log.port.Store.transaction`."""
    # The lock lets writers of this process wait for each other without polling the file.
    with database.lock, _translated(database), engine.connect() as connection:
        if database.path is not None:
            connection.connection.cursor().execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
        with connection.begin():
            yield connection


@contextmanager
def reading(database: Database, engine: Engine) -> Iterator[Connection]:
    """Hold a connection for queries; see `tasker.log.port.Store.reading`."""
    with ExitStack() as stack:
        if database.path is None:
            stack.enter_context(database.lock)
        stack.enter_context(_translated(database))
        connection = stack.enter_context(engine.connect())
        yield connection.execution_options(**{_BEGIN: "BEGIN"})


@contextmanager
def _translated(database: Database) -> Iterator[None]:
    """Turn a failure of the store into `LogUnavailable`; mistakes of the caller stay what they are."""
    try:
        yield
    except OperationalError as error:
        msg = f"{database.where}: the transaction failed, nothing of it is stored. Repeat it ({error.orig})."
        raise LogUnavailable(msg) from error
