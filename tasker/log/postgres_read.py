"""Reading events of a PostgreSQL log."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasker.codec.rows import StreamHeader
from tasker.log.joining import Joining
from tasker.log.postgres_pack import bigints, byteas

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from tasker.codec.rows import StoredEvent
    from tasker.log.joining import Row
    from tasker.log.postgres_connect import Connection, Database

_PAGE = 1_000
_EVENTS = (
    "SELECT position, stream_id, version, event_id, type, schema_version, time, step, attempt, due, actor, "
    "causation_id, metadata, data, payload, salt, payload_hash, hash FROM events "
)
_STREAM = _EVENTS + "WHERE stream_id = %s AND version > %s ORDER BY version LIMIT %s"
_TAIL = _EVENTS + "WHERE position > %s ORDER BY position LIMIT %s"
_AT = _EVENTS + "WHERE position = ANY (%s) ORDER BY position"
# The positions come from an index alone. Each OFFSET 0 leaves the planner nothing but to look up stream by stream, then
# event by event: where it does not know how long streams are, as on a log that has grown since it was analysed, it
# would read the whole log instead.
_TAIL_OF = f"""
WITH theirs AS MATERIALIZED (
    SELECT found.position FROM unnest(%s) AS wanted (stream_id) CROSS JOIN LATERAL (
        SELECT position FROM events WHERE events.stream_id = wanted.stream_id OFFSET 0
    ) AS found WHERE found.position > %s
), chosen AS MATERIALIZED (SELECT position FROM theirs ORDER BY position LIMIT %s)
SELECT found.* FROM chosen CROSS JOIN LATERAL (
    {_EVENTS} WHERE events.position = chosen.position OFFSET 0
) AS found ORDER BY found.position
"""
_HEADER_COLUMNS = "namespace, task_name, task_version, definition_digest, correlation_id, identity"
_HEADERS_OF = f"SELECT stream_id, {_HEADER_COLUMNS} FROM streams WHERE stream_id = ANY (%s)"
_HEADERS = f"SELECT stream_id, {_HEADER_COLUMNS} FROM streams WHERE stream_id > %s ORDER BY stream_id LIMIT %s"


class Session:
    """One connection as the source of what memory lacks; see `tasker.log.joining.Source`."""

    def __init__(self, connection: Connection) -> None:
        """Take the connection."""
        self._connection = connection

    def headers(self, streams: Sequence[bytes]) -> Iterable[tuple[bytes, StreamHeader]]:
        """Read the rows of streams, with their ids; of those that have one."""
        rows = self._connection.execute(_HEADERS_OF, (byteas(streams),), binary=True).fetchall()
        return [(stream_id, StreamHeader(*row)) for stream_id, *row in rows]

    def names(self) -> Iterable[tuple[int, str]]:
        """Read the names of all types by their codes."""
        return [
            (int(str(code)), str(name)) for code, name in self._connection.execute("SELECT code, name FROM event_types")
        ]


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
        most = None if limit is None else max(0, limit)
        return self._read(_STREAM, (stream_id, after, most))

    def tail(self, after: int, limit: int, streams: Sequence[bytes] | None) -> list[StoredEvent]:
        """Read the events of the log after a position, of all streams or of some."""
        most = max(0, limit)
        if streams is None:
            return self._read(_TAIL, (after, most))
        return self._read(_TAIL_OF, (byteas(list(dict.fromkeys(streams))), after, most))

    def at(self, positions: Sequence[int]) -> list[StoredEvent]:
        """Read the events at some positions, in the order of the log."""
        return self._read(_AT, (bigints(positions),))

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
                page = connection.execute(_HEADERS, (last, _PAGE), binary=True).fetchall()
            for stream_id, *row in page:
                last = bytes(stream_id)
                yield last, StreamHeader(*row)
            if len(page) < _PAGE:
                return

    def _read(self, sql: str, values: Sequence[object]) -> list[StoredEvent]:
        """Read events."""
        with self._database.reading() as connection:
            rows: list[Row] = connection.execute(sql, values, binary=True).fetchall()
            return self._joining.events(rows, Session(connection))
