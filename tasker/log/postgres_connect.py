"""Connections to one PostgreSQL database: one that appends, behind a lock, and a few of those that read.

Nothing here leaves a trace in a session: no settings but those of a transaction, no prepared statements, no locks of a
session. So each transaction may run on another connection of the server, as it does behind a pooler.
"""

from __future__ import annotations

import select
from contextlib import contextmanager
from threading import Lock, RLock
from typing import TYPE_CHECKING

import psycopg
from psycopg.conninfo import make_conninfo

from tasker.errors import TaskerError
from tasker.log import postgres_schema
from tasker.log.postgres_errors import LOCK_SECONDS, STATEMENT_SECONDS, lost, unavailable
from tasker.log.postgres_pack import register
from tasker.log.postgres_pipe import Statement
from tasker.log.postgres_url import address

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from psycopg.rows import TupleRow

    Connection = psycopg.Connection[TupleRow]

IDLE_SECONDS = 5
"""How long a transaction of an append may wait for its client, which may be frozen, before it is ended."""

TRANSACTION_SECONDS = 30
"""How long a whole transaction of an append may take, on a server that can tell (PostgreSQL 17 and newer)."""

COMMIT = Statement(b"COMMIT")
LOCK_HEAD = Statement(b"SELECT 1 FROM log_head FOR UPDATE")
NEW_TOKEN = b"UPDATE log_head SET token = $1"
TOKEN_BYTES = 16

_BEGIN = Statement(b"BEGIN ISOLATION LEVEL READ COMMITTED")
_LIMITS = {
    "lock_timeout": LOCK_SECONDS,
    "statement_timeout": STATEMENT_SECONDS,
    "idle_in_transaction_session_timeout": IDLE_SECONDS,
}
_NEW_LIMITS = {**_LIMITS, "transaction_timeout": TRANSACTION_SECONDS}
_NEW = 170_000
_CONNECT_SECONDS = 5
_IDLE_READERS = 4
# Tell a dead host within half a minute, and a connection that a firewall forgot.
_KEEPALIVE = {"keepalives_idle": "10", "keepalives_interval": "5", "keepalives_count": "3", "tcp_user_timeout": "20000"}


def _settings(limits: Mapping[str, int]) -> Statement:
    """Give the statement that sets limits for the transaction it is in."""
    calls = (f"set_config('{name}', '{seconds}s', true)" for name, seconds in limits.items())
    return Statement(f"SELECT {', '.join(calls)}".encode())


_SETTINGS, _NEW_SETTINGS = _settings(_LIMITS), _settings(_NEW_LIMITS)
_LOCK_ONLY = f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'"


def begin(connection: Connection) -> tuple[Statement, Statement]:
    """Give the statements that begin the transaction of an append."""
    return _BEGIN, _NEW_SETTINGS if connection.pgconn.server_version >= _NEW else _SETTINGS


class Database:
    """One PostgreSQL database, opened by its first use.

    Attributes:
        where: The database, for people.
        address: Where it is.
        lock: Held by the thread that appends.
    """

    def __init__(self, url: str) -> None:
        """Take the URL; nothing is opened yet."""
        self.address = address(url)
        self.where = self.address.where
        self.lock = RLock()
        self._opening = Lock()
        self._ready = False
        self._closed = False
        self._writer: Connection | None = None
        self._idle: list[Connection] = []

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Turn whatever the driver raises inside into an error that says what to do."""
        try:
            yield
        except psycopg.Error as error:
            raise unavailable(error, self.where) from error

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Hold a connection for queries; a connection that failed is not used again."""
        with self.translated():
            connection = self._reader()
            try:
                yield connection
            except BaseException:
                connection.close()
                raise
            self._give_back(connection)

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Hold a connection in a transaction that has the head of the log, as an append has.

        Raises:
            LogUnavailable: Nothing of it is stored, or `outcome_unknown` says that it may be.
        """
        with self.reading() as connection:
            connection.execute("BEGIN ISOLATION LEVEL READ COMMITTED")
            try:
                connection.execute(_LOCK_ONLY)
                connection.execute("SELECT 1 FROM log_head FOR UPDATE")
                yield connection
            except BaseException:
                if not lost(connection):
                    connection.rollback()
                raise
            try:
                connection.execute("COMMIT")
            except psycopg.Error as error:
                raise unavailable(error, self.where, outcome_unknown=lost(connection)) from error

    def writer(self) -> Connection:
        """Give the connection that appends, a new one where the last was lost; the caller holds the lock."""
        self.open()
        if self._writer is not None and not usable(self._writer):
            self._writer.close()
            self._writer = None
        if self._writer is None:
            self._writer = self.connect()
        return self._writer

    def open(self) -> None:
        """Check, once, that this is a log of this release.

        Raises:
            LogUnavailable: It cannot be reached, is no log, or one of another release; says what to do.
        """
        if self._closed:
            msg = f"{self.where}: this store is closed. Open another one."
            raise TaskerError(msg)
        if self._ready:
            return
        with self._opening, self.translated():
            if not self._ready:
                connection = self.connect()
                try:
                    postgres_schema.check(connection, self.where)
                except BaseException:
                    connection.close()
                    raise
                self._keep(connection)
                self._ready = True

    def connect(self, *, autocommit: bool = True) -> Connection:
        """Open a connection."""
        parameters = {"connect_timeout": str(_CONNECT_SECONDS), "application_name": "tasker", **_KEEPALIVE}
        parameters |= {**self.address.parameters, "client_encoding": "UTF8"}
        connection = psycopg.connect(make_conninfo(**parameters), autocommit=autocommit, prepare_threshold=None)
        register(connection)
        return connection

    def close(self) -> None:
        """Close every connection; safe to repeat."""
        with self.lock:
            self._closed = True
            self._close_idle()
            if self._writer is not None:
                self._writer.close()
                self._writer = None

    def _reader(self) -> Connection:
        """Take an idle connection or open another."""
        self.open()
        while (connection := self._idle_one()) is not None:
            if usable(connection):
                return connection
            connection.close()
        return self.connect()

    def _give_back(self, connection: Connection) -> None:
        """Keep a connection for the next reader, within bounds."""
        if self._closed or len(self._idle) >= _IDLE_READERS or lost(connection):
            connection.close()
        else:
            self._keep(connection)

    def _keep(self, connection: Connection) -> None:
        self._idle.append(connection)
        if self._closed:  # by another thread, which may have looked before this one came
            self._close_idle()

    def _idle_one(self) -> Connection | None:
        try:
            return self._idle.pop()
        except IndexError:
            return None

    def _close_idle(self) -> None:
        while (connection := self._idle_one()) is not None:
            connection.close()


def usable(connection: Connection) -> bool:
    """Tell whether an idle connection may be used: one that has something to say was closed by the server."""
    if lost(connection):
        return False
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return not poll.poll(0)
