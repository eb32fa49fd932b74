"""The PostgreSQL adapter: one database for any number of workers, also behind a transaction pooler."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING

from tasker.errors import LogUnavailable
from tasker.log.lock import SharedLock
from tasker.log.postgres_append import Appender
from tasker.log.postgres_beside import PostgresArchive, PostgresCheckpoints
from tasker.log.postgres_columns import PostgresColumns
from tasker.log.postgres_connect import Database
from tasker.log.postgres_read import Reader
from tasker.log.postgres_schema import upgrade
from tasker.log.postgres_signals import POLL_SECONDS, Listener, Notifier
from tasker.log.postgres_work import PostgresLiveWork
from tasker.log.postgres_workers import PostgresWorkers
from tasker.log.signals import Polling

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

    from sqlalchemy import Connection, Engine

    from tasker.codec.rows import StoredEvent, StreamHeader
    from tasker.fold.columns import HeadPage, Heads, LinkPage
    from tasker.log.port import Append, AppendResult, RunnerLock, Signals


class PostgresLog:
    """The event log; see `tasker.log.port.EventLog`."""

    def __init__(self, database: Database, reader: Reader, columns: PostgresColumns) -> None:
        """Take the database and the readers of its events."""
        self._database = database
        self._reader = reader
        self._columns = columns
        self._appender = Appender(database, reader.remember)
        self.notifier = Notifier(database, self.channel)
        self._log_id = b""

    @property
    def log_id(self) -> bytes:
        """Give the 16 bytes that name this log, made when it was created."""
        if not self._log_id:
            self._log_id = self._head()[0]
        return self._log_id

    def channel(self) -> str:
        """Give the name under which hints about this log are said."""
        return f"tasker_{self.log_id.hex()}"

    def append(self, batch: Sequence[Append]) -> list[AppendResult]:
        """Append a group in one durable transaction; give one result per element, in order."""
        results = self._appender.append(batch)
        if results:
            self.notifier.notify()
        return results

    def stream(self, stream_id: bytes, *, after: int = 0, limit: int | None = None) -> list[StoredEvent]:
        """Read the events of a stream whose version is greater than `after`, in order."""
        return self._reader.stream(stream_id, after, limit)

    def tail(self, after: int, *, limit: int, streams: Sequence[bytes] | None = None) -> list[StoredEvent]:
        """Read the events of the log whose position is greater than `after`, in order, at most `limit`."""
        return self._reader.tail(after, limit, streams)

    def head(self) -> int:
        """Give the position of the last event; 0 for an empty log."""
        return self._head()[1]

    def header(self, stream_id: bytes) -> StreamHeader | None:
        """Give the row of a stream, or None if there is no such stream."""
        return self._reader.header(stream_id)

    def with_identity(self, identity: bytes) -> bytes | None:
        """Give the id of the stream that has this identity, or None."""
        return self._one("SELECT stream_id FROM streams WHERE identity = %s", identity)

    def definition(self, digest: bytes) -> bytes | None:
        """Give the stored bytes of a definition, or None."""
        return self._one("SELECT bytes FROM definitions WHERE digest = %s", digest)

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

    def _head(self) -> tuple[bytes, int]:
        """Read name and position of the log."""
        with self._database.reading() as connection:
            row = connection.execute("SELECT log_id, position FROM log_head", binary=True).fetchone()
        if row is None:
            msg = f"{self._database.where}: the log has lost its head. Restore a backup."
            raise LogUnavailable(msg)
        return row[0], row[1]

    def _one(self, sql: str, key: bytes) -> bytes | None:
        """Read one column of the row of a key."""
        with self._database.reading() as connection:
            row = connection.execute(sql, (key,), binary=True).fetchone()
        return bytes(row[0]) if row else None


class PostgresStore:
    """One PostgreSQL database, opened by its first use; see `tasker.log.port.Store`."""

    def __init__(self, url: str, *, direct_url: str | None = None) -> None:
        """Take the place of the database; nothing is opened.

        Args:
            url: Where it is.
            direct_url: The same database without a pooler in front, for hints.
        """
        self.url = url
        self._database = Database(url)
        self._direct = Database(direct_url) if direct_url else self._database
        reader = Reader(self._database)
        self._columns = PostgresColumns(self._database, reader)
        self.log = PostgresLog(self._database, reader, self._columns)
        self.work = PostgresLiveWork(self._database)
        self.workers = PostgresWorkers(self._database)
        self.checkpoints = PostgresCheckpoints(self._database)
        self.archive = PostgresArchive(self._database, reader)
        self._engine: Engine | None = None
        self._signals: Listener | Polling | None = None
        self._making = Lock()

    @property
    def engine(self) -> Engine:
        """Give a SQLAlchemy engine on the same database; prefer `transaction` and `reading`."""
        with self._making:
            if self._engine is None:
                from tasker.log.postgres_engine import make_engine  # noqa: PLC0415 - SQLAlchemy is slow to import

                self._engine = make_engine(self._database)
            return self._engine

    def open(self) -> None:
        """Open the database now instead of with its first use."""
        self._database.open()

    def upgrade(self) -> None:
        """Make the log, or bring it to the form of this release; see `tasker.log.postgres_schema.upgrade`."""
        upgrade(self._database)

    def hashes(self, ends: Sequence[tuple[bytes, int]]) -> list[tuple[bytes, int, bytes]]:
        """Read the stored hashes of streams at versions; what is not there is left out."""
        return self._columns.hashes(ends)

    def runner_lock(self) -> RunnerLock:
        """Give a lock that is always free: any number of workers may run here."""
        return SharedLock()

    def signals(self) -> Signals:
        """Give the hints that the log has grown."""
        with self._making:
            if self._signals is None:
                pooled, own = self._direct.address.pooled, self.log.notifier.name
                self._signals = Polling(POLL_SECONDS) if pooled else Listener(self._direct, self.log.channel, own)
            return self._signals

    def transaction(self, *, durable: bool = True) -> AbstractContextManager[Connection]:
        """Hold a connection inside one writing transaction."""
        from tasker.log.postgres_engine import transaction  # noqa: PLC0415 - SQLAlchemy is slow to import

        return transaction(self._database, self.engine, durable=durable)

    def reading(self) -> AbstractContextManager[Connection]:
        """Hold a connection for queries."""
        from tasker.log.postgres_engine import reading  # noqa: PLC0415 - SQLAlchemy is slow to import

        return reading(self._database, self.engine)

    def purge(self) -> bool:
        """Leave it to VACUUM, which the server, or whoever runs it, decides on."""
        return False

    def close(self) -> None:
        """Close every connection; safe to repeat."""
        if self._signals is not None:
            self._signals.close()
        self.log.notifier.close()
        self._database.close()
        with self._making:
            if self._engine is not None:
                self._engine.dispose()
                self._engine = None
