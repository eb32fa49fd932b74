"""Know whether a PostgreSQL database is a log of this release, make one, upgrade an older one."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING
from uuid import uuid4

from tasker.errors import LogUnavailable
from tasker.log.migrations import REVISIONS
from tasker.log.revision import FORMAT, is_current

if TYPE_CHECKING:
    import psycopg
    from psycopg.rows import TupleRow
    from sqlalchemy import Connection as Through

    from tasker.log.postgres_connect import Database

OLDEST = 13
"""The oldest PostgreSQL that this release works with."""

_UPGRADES = 0x55504752  # the key under which upgrades of one database wait for each other
_SERVER = (
    "SELECT current_setting('server_version_num')::int, current_setting('server_encoding'), "
    "current_setting('synchronous_commit'), to_regclass('log_head') IS NOT NULL, "
    "to_regclass('alembic_version') IS NOT NULL, current_schema()"
)
_REVISION = "SELECT format, (SELECT version_num FROM alembic_version) FROM log_head"


def check(connection: psycopg.Connection[TupleRow], where: str) -> None:
    """Refuse whatever is no log in the form of this release.

    Args:
        connection: A connection outside of a transaction.
        where: The database, for people.

    Raises:
        LogUnavailable: The server is too old or not durable, or the database is no such log; says what to do.
    """
    made, others = check_server(connection.execute(_SERVER).fetchone(), where)
    if not made:
        raise LogUnavailable(_foreign(where) if others else f"{where}: no log is here yet. Run `tasker db upgrade`.")
    form, revision = form_of(connection.execute(_REVISION).fetchone(), where)
    if not is_current(form, revision, where):
        msg = f"{where}: the log has revision {revision}, expected {REVISIONS[-1]}. Run `tasker db upgrade`."
        raise LogUnavailable(msg)


def check_server(row: tuple[object, ...] | None, where: str) -> tuple[bool, bool]:
    """Refuse a server that cannot keep a log; tell whether a head is there, and whether revisions are.

    Raises:
        LogUnavailable: It is too old, has another encoding, acknowledges what is not durable, or shows no schema.
    """
    version, encoding, synchronous, made, revisions, schema = row or (0, "", "", False, False, None)
    major = int(str(version)) // 10_000
    if major < OLDEST:
        msg = f"{where}: the server is PostgreSQL {major}, expected {OLDEST} or newer. Upgrade it, or name another one."
        raise LogUnavailable(msg)
    if encoding != "UTF8":
        msg = (
            f"{where}: the database has the encoding {encoding}, expected UTF8. Make another one with ENCODING 'UTF8'."
        )
        raise LogUnavailable(msg)
    if synchronous == "off":
        msg = (
            f"{where}: synchronous_commit is off, so an acknowledged append may be lost; expected on. "
            "Set it for this server, database or user."
        )
        raise LogUnavailable(msg)
    if schema is None:
        msg = f"{where}: this user may use no schema here. Make one, or GRANT USAGE on it, or check search_path."
        raise LogUnavailable(msg)
    return bool(made), bool(revisions)


def form_of(row: tuple[object, ...] | None, where: str) -> tuple[int, str]:
    """Give format and revision of a log.

    Raises:
        LogUnavailable: The log has lost its head.
    """
    if row is None or row[1] is None:
        msg = f"{where}: the log has lost its head. Restore a backup."
        raise LogUnavailable(msg)
    return int(str(row[0])), str(row[1])


def upgrade(database: Database) -> None:
    """Make a log, or bring an older one to the form of this release, in one transaction; safe to repeat.

    Raises:
        LogUnavailable: It cannot be done, and the database is as it was; says why.
    """
    from sqlalchemy import NullPool, create_engine  # noqa: PLC0415 - only an upgrade pays for the import
    from sqlalchemy.exc import DBAPIError  # noqa: PLC0415 - the same

    with database.translated():
        connection = database.connect(autocommit=False)
    engine = create_engine("postgresql+psycopg://", creator=lambda: connection, poolclass=NullPool)
    try:
        with engine.begin() as through:
            _upgrade(through, database.where)
    except DBAPIError as error:
        said = " ".join(str(error.orig).split())
        msg = f"{database.where}: upgrading the log failed, and the database is as it was ({said}). {_needs(said)}"
        raise LogUnavailable(msg) from error
    finally:
        connection.close()


def _upgrade(through: Through, where: str) -> None:
    """Run what is missing; two upgrades at once wait for each other."""
    from tasker.log.migrations.upgrade import upgrade as run  # noqa: PLC0415 - only an upgrade pays for the import

    sql = through.exec_driver_sql
    sql("SELECT pg_advisory_xact_lock(%s, hashtext(current_schema()))", (_UPGRADES,))
    made, others = check_server(tuple(sql(_SERVER).one()), where)
    if made:
        row = sql(_REVISION).one_or_none()
        if is_current(*form_of(None if row is None else tuple(row), where), where):
            return
    elif others:
        raise LogUnavailable(_foreign(where))
    run(through)
    if not made:
        sql("INSERT INTO log_head VALUES (%s, %s, 0, %s)", (uuid4().bytes, FORMAT, os.urandom(32)))


def _foreign(where: str) -> str:
    """Say that the tables of something else are here."""
    return (
        f"{where}: no log is here, but alembic_version of something else. Give Tasker a database of its own, or a "
        "schema (…?options=-csearch_path%3Dtasker)."
    )


def _needs(said: str) -> str:
    """Say what to do about a failed upgrade."""
    if "already exists" in said:
        return "Something else has a table of that name: give Tasker a database or a schema of its own."
    if "permission denied" in said or "read-only" in said:
        return "Use a role that may create tables and functions here: GRANT CREATE ON SCHEMA public TO it."
    return "Repeat it when the cause is gone."
