"""Know whether a SQLite database is a log, make one in a single transaction, upgrade an older one."""

from __future__ import annotations

import sqlite3
import time
from importlib import import_module
from typing import TYPE_CHECKING
from uuid import uuid4

from tasker.errors import LogUnavailable
from tasker.log.migrations import REVISIONS
from tasker.log.revision import FORMAT, is_current

if TYPE_CHECKING:
    from collections.abc import Iterator

APPLICATION_ID = 0x5461736B
"""Stands in the head of the file and tells a log from any other SQLite database."""

_WAL_SECONDS = 10.0
_ALEMBIC = (
    "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL, "
    "CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))"
)


def prepare(connection: sqlite3.Connection, where: str, *, check_only: bool) -> None:
    """Bring a database to the schema of this release; a database that is something else is left as it is.

    Args:
        connection: A connection that is in no transaction.
        where: The database, for people.
        check_only: True to refuse a database that would have to be made or upgraded.

    Raises:
        LogUnavailable: It is no log, a log of a newer release, or would have to change although `check_only`.
    """
    if _is_empty(connection):
        if check_only:
            msg = f"{where}: the database is empty, expected a log. Check the URL, or submit a task to make one."
            raise LogUnavailable(msg)
        _use_wal(connection, where)
        _create(connection)
    form, revision = _form(connection, where)
    if not is_current(form, revision, where):
        if check_only:
            msg = f"{where}: the log has revision {revision}, expected {REVISIONS[-1]}. Run `tasker db upgrade`."
            raise LogUnavailable(msg)
        _upgrade(connection, where)
    _use_wal(connection, where)


def statements() -> Iterator[str]:
    """Give the statements of all revisions, oldest first."""
    for revision in REVISIONS:
        yield from import_module(f"tasker.log.migrations.versions.r{revision}").SQLITE


def _is_empty(connection: sqlite3.Connection) -> bool:
    """Tell a database in which nothing was made yet."""
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    if application == APPLICATION_ID:
        return False
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    return bool(application == 0 and tables == 0)


def _create(connection: sqlite3.Connection) -> None:
    """Make the whole log or nothing; another process may have been faster."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        if _is_empty(connection):
            for statement in statements():
                connection.execute(statement)
            connection.execute("INSERT INTO log_head VALUES (?, ?, 0)", (uuid4().bytes, FORMAT))
            connection.execute(_ALEMBIC)
            connection.execute("INSERT INTO alembic_version VALUES (?)", (REVISIONS[-1],))
            connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
        connection.execute("COMMIT")
    except BaseException:
        connection.rollback()
        raise


def _form(connection: sqlite3.Connection, where: str) -> tuple[int, str]:
    """Read format and revision of a log, and refuse what is none."""
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    if application != APPLICATION_ID:
        msg = (
            f"{where}: an SQLite database, but no log of Tasker (application_id {application:#x}, "
            f"expected {APPLICATION_ID:#x}). Name another file; this one was left as it is."
        )
        raise LogUnavailable(msg)
    row = connection.execute("SELECT format, version_num FROM log_head, alembic_version").fetchone()
    if row is None:
        msg = f"{where}: the log has lost its head. Restore a backup."
        raise LogUnavailable(msg)
    return int(row[0]), str(row[1])


def _use_wal(connection: sqlite3.Connection, where: str) -> None:
    """Switch to write-ahead logging; SQLite does not wait for others there, so this does, within a bound."""
    deadline = time.monotonic() + _WAL_SECONDS
    mode = ""
    while not mode:
        try:
            (mode,) = connection.execute("PRAGMA journal_mode=WAL").fetchone()
        except sqlite3.OperationalError as error:
            busy = error.sqlite_errorcode & 0xFF in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
            if not busy or time.monotonic() > deadline:
                raise
            time.sleep(0.005)
    if mode not in {"wal", "memory"}:
        msg = f"{where}: no write-ahead logging here (journal mode {mode}). Put the log on a local disk."
        raise LogUnavailable(msg)


def _upgrade(connection: sqlite3.Connection, where: str) -> None:
    """Run the missing revisions through Alembic, in one transaction."""
    from sqlalchemy import StaticPool, create_engine  # noqa: PLC0415 - only an upgrade pays for the import
    from sqlalchemy.exc import SQLAlchemyError  # noqa: PLC0415 - the same

    from tasker.log.migrations.upgrade import upgrade  # noqa: PLC0415 - only an upgrade pays for the import

    engine = create_engine("sqlite://", creator=lambda: connection, poolclass=StaticPool)
    try:
        with engine.connect() as through:
            through.exec_driver_sql("BEGIN IMMEDIATE")
            upgrade(through)
            through.commit()
    except SQLAlchemyError as error:
        msg = f"{where}: upgrading the log failed, and it is as it was. Free space, or restore a backup ({error})."
        raise LogUnavailable(msg) from error
