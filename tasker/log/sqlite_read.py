"""Reading events of a SQLite log: rows become events, what is the same for a stream is joined from memory."""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING

from tasker.codec.rows import StreamHeader
from tasker.log.joining import Joining

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator, Sequence

    from tasker.codec.rows import StoredEvent
    from tasker.log.joining import Row
    from tasker.log.sqlite_connect import Database

_CHUNK = 500
_PAGE = 1_000
_NO_LIMIT = -1

_EVENTS = (
    "SELECT position, stream_id, version, event_id, type, schema_version, time, step, attempt, due, actor, "
    "causation_id, metadata, data, payload, salt, payload_hash, hash FROM events "
)
_STREAM = _EVENTS + "WHERE stream_id = ? AND version > ? ORDER BY version LIMIT ?"
_TAIL = _EVENTS + "WHERE position > ? ORDER BY position LIMIT ?"
_HEADER_COLUMNS = "namespace, task_name, task_version, definition_digest, correlation_id, identity"
_HEADERS_OF = f"SELECT stream_id, {_HEADER_COLUMNS} FROM streams WHERE stream_id IN "
_HEADERS = f"SELECT stream_id, {_HEADER_COLUMNS} FROM streams WHERE stream_id > ? ORDER BY stream_id LIMIT ?"


class Session:
    """One connection as the source of what memory lacks; see `tasker.log.joining.Source`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        """Take the connection."""
        self._connection = connection

    def headers(self, streams: Sequence[bytes]) -> Iterable[tuple[bytes, StreamHeader]]:
        """Read the rows of streams, with their ids; of those that have one."""
        for start in range(0, len(streams), _CHUNK):
            chunk = streams[start : start + _CHUNK]
            rows = self._connection.execute(f"{_HEADERS_OF}({','.join('?' * len(chunk))})", chunk)
            yield from ((stream_id, StreamHeader(*row)) for stream_id, *row in rows)

    def names(self) -> Iterable[tuple[int, str]]:
        """Read the names of all types by their codes."""
        return self._connection.execute("SELECT code, name FROM event_types")


class Reader:
    """Reads events and streams."""

    def __init__(self, database: Database) -> None:
        """Take the database."""
        self._database = database
        self._joining = Joining()
        self.remember = self._joining.remember
        self.forget = self._joining.forget

    def stream(self, stream_id: bytes, after: int, limit: int | None) -> list[StoredEvent]:
        """Read the events of a stream after a version."""
        most = _NO_LIMIT if limit is None else max(0, limit)
        with self._database.reading() as connection:
            rows = connection.execute(_STREAM, (stream_id, after, most)).fetchall()
            return self._joining.events(rows, Session(connection))

    def tail(self, after: int, limit: int, streams: Sequence[bytes] | None) -> list[StoredEvent]:
        """Read the events of the log after a position, of all streams or of some."""
        most = max(0, limit)
        with self._database.reading() as connection:
            if streams is None:
                rows = connection.execute(_TAIL, (after, most)).fetchall()
            else:
                rows = _tail_of(connection, after, most, list(dict.fromkeys(streams)))
            return self._joining.events(rows, Session(connection))

    def at(self, connection: sqlite3.Connection, positions: Sequence[int]) -> list[StoredEvent]:
        """Read the events at some positions, in the order of the log."""
        wanted, rows = sorted(positions), []
        for start in range(0, len(wanted), _CHUNK):
            chunk = wanted[start : start + _CHUNK]
            sql = f"{_EVENTS}WHERE position IN ({','.join('?' * len(chunk))}) ORDER BY position"
            rows += connection.execute(sql, chunk).fetchall()
        return self._joining.events(rows, Session(connection))

    def header(self, stream_id: bytes) -> StreamHeader | None:
        """Give the row of a stream."""
        found = self._joining.headers.get(stream_id)
        if found is not None:
            return found
        with self._database.reading() as connection:
            return self._joining.header(stream_id, Session(connection))

    def streams(self) -> Iterator[tuple[bytes, StreamHeader]]:
        """Read the rows of all streams in the order of their ids, page by page."""
        last = b""
        while True:
            with self._database.reading() as connection:
                page = connection.execute(_HEADERS, (last, _PAGE)).fetchall()
            for stream_id, *row in page:
                yield stream_id, StreamHeader(*row)
            if len(page) < _PAGE:
                return
            last = page[-1][0]


def _tail_of(connection: sqlite3.Connection, after: int, most: int, streams: list[bytes]) -> list[Row]:
    """Read the tail of some streams; positions come from the covering index, rows only for what is given back."""
    rows: list[Row] = []
    for start in range(0, len(streams), _CHUNK):
        chunk = streams[start : start + _CHUNK]
        marks = ",".join("?" * len(chunk))
        chosen = (
            f"SELECT position FROM events INDEXED BY events_fold WHERE stream_id IN ({marks}) AND position > ? "
            "ORDER BY position LIMIT ?"
        )
        sql = f"{_EVENTS}WHERE position IN ({chosen}) ORDER BY position"
        rows += connection.execute(sql, (*chunk, after, most)).fetchall()
    rows.sort(key=itemgetter(0))
    return rows[:most]
