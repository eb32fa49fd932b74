"""The SQLite adapter: a file in WAL mode with `synchronous=FULL`, or a database in memory."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING

from tasker.log.lock import FileLock, MemoryLock
from tasker.log.signals import Polling
from tasker.log.sqlite_append import Appender
from tasker.log.sqlite_beside import SqliteArchive, SqliteCheckpoints
from tasker.log.sqlite_columns import SqliteColumns
from tasker.log.sqlite_connect import Database
from tasker.log.sqlite_read import Reader
from tasker.log.sqlite_work import SqliteLiveWork
from tasker.log.sqlite_workers import SqliteWorkers

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from sqlalchemy import Connection, Engine

    from tasker.codec.rows import StoredEvent, StreamHeader
    from tasker.fold.columns import HeadPage, Heads, LinkPage
    from tasker.log.port import Append, AppendResult, RunnerLock, Signals

_POLL_SECONDS = 0.1


class SqliteLog:
    """The event log; see `tasker.log.port.EventLog`."""

    def __init__(self, database: Database, reader: Reader, columns: SqliteColumns) -> None:
        """Take the database and the readers of its events and their columns."""
        self._database = database
        self._reader = reader
        self._columns = columns
        self._appender = Appender(database, reader.remember)
        self._log_id = b""

    @property
    def log_id(self) -> bytes:
        """Give the 16 bytes that name this log, made when it was created."""
        if not self._log_id:
            with self._database.reading() as connection:
                (self._log_id,) = connection.execute("SELECT log_id FROM log_head").fetchone()
        return self._log_id

    def append(self, batch: Sequence[Append]) -> list[AppendResult]:
        """Append a group in one durable transaction; give one result per element, in order."""
        return self._appender.append(batch)

    def stream(self, stream_id: bytes, *, after: int = 0, limit: int | None = None) -> list[StoredEvent]:
        """Read the events of a stream whose version is greater than `after`, in order."""
        return self._reader.stream(stream_id, after, limit)

    def tail(self, after: int, *, limit: int, streams: Sequence[bytes] | None = None) -> list[StoredEvent]:
        """Read the events of the log whose position is greater than `after`, in order, at most `limit`."""
        return self._reader.tail(after, limit, streams)

    def head(self) -> int:
        """Give the position of the last event; 0 for an empty log."""
        with self._database.reading() as connection:
            (position,) = connection.execute("SELECT position FROM log_head").fetchone()
        return int(position)

    def header(self, stream_id: bytes) -> StreamHeader | None:
        """Give the row of a stream, or None if there is no such stream."""
        return self._reader.header(stream_id)

    def with_identity(self, identity: bytes) -> bytes | None:
        """Give the id of the stream that has this identity, or None."""
        return self._one("SELECT stream_id FROM streams WHERE identity = ?", identity)

    def definition(self, digest: bytes) -> bytes | None:
        """Give the stored bytes of a definition, or None."""
        return self._one("SELECT bytes FROM definitions WHERE digest = ?", digest)

    def heads(self, after: bytes, *, limit: int, upto: int) -> HeadPage:
        """Read the heads of the streams whose id is greater than `after`, whole streams only."""
        return self._columns.heads(after, limit=limit, upto=upto)

    def heads_of(self, stream_id: bytes, *, limit: int | None = None) -> Heads:
        """Read the heads of one stream, from its first event on."""
        return self._columns.heads_of(stream_id, limit=limit)

    def events_at(self, positions: Sequence[int]) -> list[StoredEvent]:
        """Read the events at some positions, in the order of the log."""
        return self._columns.events_at(positions)

    def data_at(self, positions: Sequence[int]) -> list[tuple[int, bytes]]:
        """Read position and `data` of the events at some positions, in the order of the log."""
        return self._columns.data_at(positions)

    def links(self, after: int, *, limit: int) -> LinkPage:
        """Read what the chain needs of the events whose position is greater than `after`, in order."""
        return self._columns.links(after, limit=limit)

    def _one(self, sql: str, key: bytes) -> bytes | None:
        """Read one column of the row of a key."""
        with self._database.reading() as connection:
            row: tuple[bytes] | None = connection.execute(sql, (key,)).fetchone()
        return row[0] if row else None


class SqliteStore:
    """One SQLite database, opened by its first use; see `tasker.log.port.Store`."""

    def __init__(self, path: Path | None, *, check_only: bool = False) -> None:
        """Take the place of the database.

        Args:
            path: The file, or None for a database in memory.
            check_only: True to refuse a database that would have to be made or upgraded.
        """
        self._database = Database(path, check_only=check_only)
        reader = Reader(self._database)
        self._columns = SqliteColumns(self._database, reader)
        self.log = SqliteLog(self._database, reader, self._columns)
        self.work = SqliteLiveWork(self._database)
        self.workers = SqliteWorkers(self._database)
        self.checkpoints = SqliteCheckpoints(self._database)
        self.archive = SqliteArchive(self._database, reader)
        self._engine: Engine | None = None
        self._making = Lock()

    @property
    def engine(self) -> Engine:
        """Give a SQLAlchemy engine on the same database; prefer `transaction` and `reading`."""
        with self._making:
            if self._engine is None:
                from tasker.log.sqlite_engine import make_engine  # noqa: PLC0415 - SQLAlchemy is slow to import

                self._engine = make_engine(self._database)
            return self._engine

    @property
    def url(self) -> str | None:
        """Give the URL by which another process opens the same file; None for a database in memory."""
        path = self._database.path
        return None if path is None else f"sqlite:///{path}"

    def hashes(self, ends: Sequence[tuple[bytes, int]]) -> list[tuple[bytes, int, bytes]]:
        """Read the stored hashes of streams at versions, as (stream, version, hash)."""
        return self._columns.hashes(ends)

    def users(self) -> list[tuple[bytes, str, int]]:
        """Count the rows of streams for each digest and namespace."""
        return self._columns.users()

    def open(self) -> None:
        """Open the database now instead of with its first use."""
        self._database.open()

    def runner_lock(self) -> RunnerLock:
        """Give the lock of the one runner; not yet taken."""
        path = self._database.path
        return MemoryLock() if path is None else FileLock(path.with_name(path.name + ".runner"))

    def signals(self) -> Signals:
        """Give no hints: looking into a file is cheap."""
        return Polling(_POLL_SECONDS)

    def transaction(self, *, durable: bool = True) -> AbstractContextManager[Connection]:
        """Hold a connection inside one writing transaction."""
        from tasker.log.sqlite_engine import transaction  # noqa: PLC0415 - SQLAlchemy is slow to import

        return transaction(self._database, self.engine, durable=durable)

    def reading(self) -> AbstractContextManager[Connection]:
        """Hold a connection for queries."""
        from tasker.log.sqlite_engine import reading  # noqa: PLC0415 - SQLAlchemy is slow to import

        return reading(self._database, self.engine)

    def purge(self) -> bool:
        """Empty the WAL, in which pages stand as they were before an erasure; not while somebody reads from it."""
        return self._database.empty_wal()

    def close(self) -> None:
        """Close every connection; safe to repeat."""
        self._database.close()  # first: it waits for whoever uses a connection that the engine may share
        with self._making:
            if self._engine is not None:
                self._engine.dispose()
                self._engine = None
