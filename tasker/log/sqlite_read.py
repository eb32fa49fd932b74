"""Reading events of a SQLite log: rows become events, what is the same for a stream is joined from memory."""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING

from tasker.codec.rows import StoredEvent, StreamHeader
from tasker.errors import ChainBroken

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Sequence

    from tasker.log.sqlite_connect import Database

_HEADERS_REMEMBERED = 50_000
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
_HEADER = f"SELECT {_HEADER_COLUMNS} FROM streams WHERE stream_id = ?"
_HEADERS = f"SELECT stream_id, {_HEADER_COLUMNS} FROM streams WHERE stream_id > ? ORDER BY stream_id LIMIT ?"

Row = tuple[
    int, bytes, int, bytes, int, int, int, int | None, int | None, int | None, str | None, bytes | None,
    bytes | None, bytes, bytes | None, bytes | None, bytes | None, bytes,
]  # fmt: skip
"""One row of `events`, in the order of `StoredEvent`."""


class Reader:
    """Reads events and streams."""

    def __init__(self, database: Database) -> None:
        """Take the database."""
        self._database = database
        self._headers: dict[bytes, StreamHeader] = {}
        self._names: dict[int, str] = {}

    def remember(self, stream_id: bytes, header: StreamHeader) -> None:
        """Keep the row of a stream in memory; rows of streams never change."""
        if len(self._headers) >= _HEADERS_REMEMBERED:
            self._headers = {}
        self._headers[stream_id] = header

    def forget(self) -> None:
        """Forget headers and names of types."""
        self._headers, self._names = {}, {}

    def stream(self, stream_id: bytes, after: int, limit: int | None) -> list[StoredEvent]:
        """Read the events of a stream after a version."""
        most = _NO_LIMIT if limit is None else max(0, limit)
        with self._database.reading() as connection:
            rows = connection.execute(_STREAM, (stream_id, after, most)).fetchall()
            return self._events(connection, rows)

    def tail(self, after: int, limit: int, streams: Sequence[bytes] | None) -> list[StoredEvent]:
        """Read the events of the log after a position, of all streams or of some."""
        most = max(0, limit)
        with self._database.reading() as connection:
            if streams is None:
                rows = connection.execute(_TAIL, (after, most)).fetchall()
            else:
                rows = _tail_of(connection, after, most, list(dict.fromkeys(streams)))
            return self._events(connection, rows)

    def at(self, connection: sqlite3.Connection, positions: Sequence[int]) -> list[StoredEvent]:
        """Read the events at some positions, in the order of the log."""
        wanted, rows = sorted(positions), []
        for start in range(0, len(wanted), _CHUNK):
            chunk = wanted[start : start + _CHUNK]
            sql = f"{_EVENTS}WHERE position IN ({','.join('?' * len(chunk))}) ORDER BY position"
            rows += connection.execute(sql, chunk).fetchall()
        return self._events(connection, rows)

    def header(self, stream_id: bytes) -> StreamHeader | None:
        """Give the row of a stream."""
        found = self._headers.get(stream_id)
        if found is not None:
            return found
        with self._database.reading() as connection:
            return self._read_header(connection, stream_id)

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

    def _events(self, connection: sqlite3.Connection, rows: list[Row]) -> list[StoredEvent]:
        """Join names of types and rows of streams to the rows of events."""
        headers, names = self._headers, self._names
        events: list[StoredEvent] = []
        for row in rows:
            header = headers.get(row[1]) or self._joined(connection, row)
            name = names.get(row[4]) or self._named(connection, row)
            events.append(StoredEvent._make((*row[:5], name, *row[5:], header)))
        return events

    def _joined(self, connection: sqlite3.Connection, row: Row) -> StreamHeader:
        """Read the row of the stream of an event, which must be there."""
        header = self._read_header(connection, row[1])
        if header is None:
            raise _broken(row, "the row of its stream in streams")
        return header

    def _named(self, connection: sqlite3.Connection, row: Row) -> str:
        """Read the name of the type of an event, which must be there."""
        self._names.update(connection.execute("SELECT code, name FROM event_types"))
        name = self._names.get(row[4])
        if name is None:
            raise _broken(row, f"the row of code {row[4]} in event_types")
        return name

    def _read_header(self, connection: sqlite3.Connection, stream_id: bytes) -> StreamHeader | None:
        """Read the row of a stream and remember it."""
        row = connection.execute(_HEADER, (stream_id,)).fetchone()
        if row is None:
            return None
        header = StreamHeader(*row)
        self.remember(stream_id, header)
        return header


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


def _broken(row: Row, lost: str) -> ChainBroken:
    """Say that an event has lost a row that it needs."""
    msg = f"position {row[0]}: {lost} is missing; rows were removed from the log. Restore a backup."
    return ChainBroken(msg, position=row[0], expected=lost, found="nothing")
