"""Connections to one SQLite database: one that writes, behind a lock, and a pool of those that read."""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING

from tasker.errors import LogUnavailable, TaskerError
from tasker.log import sqlite_schema

if TYPE_CHECKING:
    from collections.abc import Iterator

BUSY_SECONDS = 10.0
"""How long a transaction waits for another process that writes."""

_MOMENT_SECONDS = 0.1
"""How long the WAL is tried to be emptied, and writers wait: longer than a query, not as long as an audit."""

_IDLE_READERS = 8
_CACHE_KIB = 65_536
_CHECKPOINT_PAGES = 4_000  # 16 MiB of WAL: the main file is synced once for a hundred commits, durability is the WAL's
_CLEAN = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_BUSY}
_ADVICE = {
    sqlite3.SQLITE_FULL: "the disk is full. Free some space, then repeat",
    sqlite3.SQLITE_BUSY: f"another process kept it locked for {BUSY_SECONDS:g} s. End that, then repeat",
    sqlite3.SQLITE_LOCKED: "another connection of this process keeps it locked. End its transaction, then repeat",
    sqlite3.SQLITE_READONLY: "it is read-only. Give this user the right to write the file and its folder",
    sqlite3.SQLITE_CANTOPEN: "the file cannot be opened or made. Check the path and this user's rights on it",
    sqlite3.SQLITE_NOTADB: "the file is no SQLite database. Name another file; this one was left as it is",
    sqlite3.SQLITE_CORRUPT: "the file is damaged. Restore a backup, then run `tasker audit verify`",
    sqlite3.SQLITE_IOERR: "reading or writing failed. Check the disk, then repeat",
}


def unavailable(error: sqlite3.Error, where: str, *, outcome_unknown: bool = False) -> LogUnavailable:
    """Turn an error of the driver into one that says what to do.

    Args:
        error: What the driver raised.
        where: The database, for people.
        outcome_unknown: True if what was written may be durable nevertheless.
    """
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    advice = _ADVICE.get(code, "SQLite refused")
    doubt = "; the append may be durable: repeat it with the same key" if outcome_unknown else ""
    return LogUnavailable(f"{where}: {advice}{doubt} ({error}).", outcome_unknown=outcome_unknown)


class Database:
    """One SQLite database, opened by its first use.

    A database in memory has a single connection, so its readers share the writer's lock.

    Attributes:
        path: The file, or None for a database in memory.
        where: The database, for people.
        lock: Held by whoever writes; other writers of this process wait here instead of polling the file.
    """

    def __init__(self, path: Path | None, *, check_only: bool = False) -> None:
        """Take the place; nothing is opened yet.

        Args:
            path: The file, or None for a database in memory.
            check_only: True to refuse a database that would have to be made or upgraded.
        """
        self.path = path.absolute() if path else None
        self.where = str(self.path) if self.path else "memory://"
        self.lock = RLock()
        self._check_only = check_only
        self._writer: sqlite3.Connection | None = None
        self._ready = False
        self._closed = False
        self._idle: list[sqlite3.Connection] = []

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Turn whatever the driver raises inside into `LogUnavailable`."""
        try:
            yield
        except sqlite3.Error as error:
            raise unavailable(error, self.where) from error

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Hold the writing connection inside one durable transaction.

        Raises:
            sqlite3.Error: From beginning it or from inside; it is rolled back.
            LogUnavailable: The commit failed; says whether it may be durable nevertheless.
        """
        with self.lock:
            connection = self.writer()
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                self._rollback(connection)
                raise
            self._commit(connection)

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Hold a connection for queries; a connection that failed is not used again."""
        if self.path is None:
            with self.lock, self.translated():
                yield self.writer()
            return
        with self.translated():
            connection = self._reader()
            try:
                yield connection
            except BaseException:
                connection.close()
                raise
            self._give_back(connection)

    def writer(self) -> sqlite3.Connection:
        """Give the writing connection; the caller holds the lock."""
        if self._writer is None:
            self.open()
        if self._writer is None:
            self._writer = self.connect()
        return self._writer

    def open(self) -> None:
        """Make, upgrade or check the database, once.

        Raises:
            LogUnavailable: It cannot be opened, is no log of Tasker or one of a newer release; says what to do.
        """
        with self.lock:
            if self._closed:
                msg = f"{self.where}: this store is closed. Open another one."
                raise TaskerError(msg)
            if self._ready:
                return
            with self.translated():
                self._writer = self._prepared()
            self._ready = True

    def connect(self) -> sqlite3.Connection:
        """Open a connection with the settings that a log needs."""
        if self.path is None:
            target, uri = ":memory:", False
        else:
            self._check_place(self.path)
            mode = "rw" if self._check_only or self._ready else "rwc"
            target, uri = f"{self.path.as_uri()}?mode={mode}", True
        connection = sqlite3.connect(
            target, uri=uri, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False, cached_statements=256
        )
        connection.execute("PRAGMA recursive_triggers=ON")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute(f"PRAGMA cache_size=-{_CACHE_KIB}")
        connection.execute(f"PRAGMA wal_autocheckpoint={_CHECKPOINT_PAGES}")
        return connection

    def empty_wal(self) -> bool:
        """Bring the WAL into the file and cut it to nothing; False where another connection stays in its way."""
        with self.lock, self.translated():
            connection = self.writer()
            connection.execute(f"PRAGMA busy_timeout={int(_MOMENT_SECONDS * 1000)}")
            try:
                (busy, *_) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            finally:
                connection.execute(f"PRAGMA busy_timeout={int(BUSY_SECONDS * 1000)}")
        return not busy

    def close(self) -> None:
        """Close every connection; safe to repeat."""
        with self.lock:
            self._closed = True
            while self._idle:
                self._idle.pop().close()
            if self._writer is not None:
                self._writer.close()
                self._writer = None

    def _prepared(self) -> sqlite3.Connection:
        """Open the writing connection and bring the schema to what this release needs."""
        connection = self.connect()
        try:
            sqlite_schema.prepare(connection, self.where, check_only=self._check_only)
        except BaseException:
            connection.close()
            raise
        return connection

    def _check_place(self, path: Path) -> None:
        """Name the most frequent mistakes before SQLite says `unable to open database file`."""
        if not path.parent.is_dir():
            msg = f"{path}: the folder {path.parent} does not exist. Make it, or name another file."
            raise LogUnavailable(msg)
        if path.is_dir():
            msg = f"{path}: this is a folder, expected a file. Name a file in it."
            raise LogUnavailable(msg)
        if not path.exists() and (self._check_only or self._ready):
            msg = f"{path}: there is no log. Check the URL, or submit a task to make one."
            raise LogUnavailable(msg)

    def _reader(self) -> sqlite3.Connection:
        """Take an idle connection or open another."""
        if not self._ready or self._closed:
            self.open()
        try:
            return self._idle.pop()
        except IndexError:
            connection = self.connect()
            connection.execute("PRAGMA query_only=ON")
            return connection

    def _give_back(self, connection: sqlite3.Connection) -> None:
        """Keep a connection for the next reader, within bounds."""
        if self._closed or len(self._idle) >= _IDLE_READERS:
            connection.close()
        else:
            self._idle.append(connection)

    def _commit(self, connection: sqlite3.Connection) -> None:
        """Commit, and know after a failure whether the outcome is in doubt."""
        try:
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            self._rollback(connection)
            doubt = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF not in _CLEAN
            raise unavailable(error, self.where, outcome_unknown=doubt) from error

    def _rollback(self, connection: sqlite3.Connection) -> None:
        """Roll back; a connection that cannot even do that is closed, which does it too."""
        try:
            connection.rollback()
        except sqlite3.Error:
            connection.close()
            self._writer = None
