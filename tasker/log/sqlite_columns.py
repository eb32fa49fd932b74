"""Reading columns of a SQLite log in bulk: heads from the covering index alone, links and chosen events by position.

Every value that SQLite hands over becomes a Python object, which costs more than the row itself: so integers are put
together by shifts and fixed bytes by concatenation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasker.codec.rows import StreamHeader
from tasker.fold.columns import HeadPage, LinkPage

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Sequence

    from tasker.codec.rows import StoredEvent
    from tasker.fold.columns import Head, Heads, Link
    from tasker.log.sqlite_connect import Database
    from tasker.log.sqlite_read import Reader

_CHUNK = 500
_ALIKE = 50  # NULL, which no key is, fills up to multiples of it: so few statements are compiled, and then kept
_NO_LIMIT = -1
_STREAM_BYTES = 16
_FIRST, _SECOND = 1 << 32, 2 << 32

_HEADS = (
    "SELECT stream_id, position, version << 32 | (min(type, 65535) << 16) | schema_version, "
    "coalesce(step + 1, 0) << 32 | coalesce(attempt, 0), time, due FROM events INDEXED BY events_fold "
)
_PAGE = _HEADS + "WHERE stream_id > ? AND position <= ? ORDER BY stream_id, version LIMIT ?"
_ONE = _HEADS + "WHERE stream_id = ? AND position <= ? ORDER BY version LIMIT ?"

# Comparisons tell kinds of values cheaper than typeof(): numbers sort before text, text before bytes. A number with a
# fraction keeps it when it is multiplied, where a shift would cut it off.
_SOUND = (
    "stream_id >= x'' AND event_id >= x'' AND hash >= x'' AND length(stream_id) = 16 AND length(event_id) = 16 "
    "AND version BETWEEN 0 AND 2147483647 AND type BETWEEN 0 AND 2147483647 "
    "AND schema_version BETWEEN 0 AND 65535 "
    "AND (step IS NULL OR step BETWEEN 0 AND 2147483646) AND (attempt IS NULL OR attempt BETWEEN 0 AND 2147483646) "
    "AND CASE WHEN payload_hash IS NULL THEN salt IS NULL "
    "ELSE payload_hash >= x'' AND length(payload_hash) = 32 AND (salt IS NULL OR salt >= x'') END"
)
_LINKS = (
    "SELECT position, CAST(stream_id || event_id || hash AS BLOB), version * 4294967296 + type, "
    "coalesce(step + 1, 0) * 4294967296 + coalesce(attempt + 1, 0), time, due, actor, causation_id, metadata, data, "
    "payload, coalesce(CAST(salt || payload_hash AS BLOB), payload_hash), "
    f"CASE WHEN {_SOUND} THEN schema_version ELSE -1 END FROM events WHERE position > ? ORDER BY position LIMIT ?"
)
_ROW = "SELECT stream_id, namespace, task_name, task_version, definition_digest, correlation_id, identity FROM streams "
_RANGE = _ROW + "WHERE stream_id BETWEEN ? AND ? ORDER BY stream_id"
_ENDS = (
    "WITH ends (stream_id, version) AS (VALUES {}) SELECT events.stream_id, events.version, events.hash FROM ends "
    "CROSS JOIN events INDEXED BY events_fold ON events.stream_id = ends.stream_id AND events.version = ends.version"
)
_USERS = "SELECT definition_digest, namespace, count(*) FROM streams GROUP BY 1, 2"
_TYPES = "SELECT code, name FROM event_types"


class SqliteColumns:
    """Columns in bulk; see `tasker.log.port.Columns`."""

    def __init__(self, database: Database, reader: Reader) -> None:
        """Take the database and the reader of its events."""
        self._database = database
        self._reader = reader

    def heads(self, after: bytes, *, limit: int, upto: int) -> HeadPage:
        """Read the heads of the streams behind an id, whole streams only."""
        with self._database.reading() as connection:
            heads: list[Head] = connection.execute(_PAGE, (after, upto, limit)).fetchall()
            if not heads:
                return HeadPage([], [], 0)
            if len(heads) == limit:
                heads = _whole(heads) or connection.execute(_ONE, (heads[-1][0], upto, _NO_LIMIT)).fetchall()
            rows = connection.execute(_RANGE, (heads[0][0], heads[-1][0]))
            return HeadPage([(row[0], StreamHeader._make(row[1:])) for row in rows], heads, len(heads))

    def heads_of(self, stream_id: bytes, *, limit: int | None) -> Heads:
        """Read the heads of one stream, from its first event on."""
        with self._database.reading() as connection:
            most = _NO_LIMIT if limit is None else max(0, limit)
            heads: Heads = connection.execute(_ONE, (stream_id, 2**63 - 1, most)).fetchall()
        return heads

    def events_at(self, positions: Sequence[int]) -> list[StoredEvent]:
        """Read the events at some positions, in the order of the log."""
        with self._database.reading() as connection:
            return self._reader.at(connection, positions)

    def data_at(self, positions: Sequence[int]) -> list[tuple[int, bytes]]:
        """Read position and `data` of the events at some positions, in the order of the log."""
        sql = "SELECT position, data FROM events WHERE position IN ({}) ORDER BY position"
        with self._database.reading() as connection:
            return list(_chosen(connection, sql, sorted(positions)))

    def links(self, after: int, *, limit: int) -> LinkPage:
        """Read what the chain needs of the events after a position."""
        with self._database.reading() as connection:
            links: list[Link] = connection.execute(_LINKS, (after, limit)).fetchall()
            begun = [link[1][:_STREAM_BYTES] for link in links if link[12] >= 0 and _FIRST <= link[2] < _SECOND]
            headers = list(_chosen(connection, _ROW + "WHERE stream_id IN ({})", begun))
            types = {code: name.encode() for code, name in connection.execute(_TYPES) if isinstance(name, str)}
        return LinkPage(links, headers, types)

    def hashes(self, ends: Sequence[tuple[bytes, int]]) -> list[tuple[bytes, int, bytes]]:
        """Read the stored hashes of streams at versions."""
        found: list[tuple[bytes, int, bytes]] = []
        with self._database.reading() as connection:
            for start in range(0, len(ends), _CHUNK):
                chunk = ends[start : start + _CHUNK]
                keys = [key for end in chunk for key in end]
                found += connection.execute(_ENDS.format(",".join(["(?,?)"] * len(chunk))), keys)
        return found

    def users(self) -> list[tuple[bytes, str, int]]:
        """Count the rows of streams for each digest and namespace."""
        with self._database.reading() as connection:
            found: list[tuple[bytes, str, int]] = connection.execute(_USERS).fetchall()
        return found


def _chosen(connection: sqlite3.Connection, sql: str, keys: Sequence[object]) -> Iterator[tuple]:  # type: ignore[type-arg]  # columns as the statement names them
    """Read the rows of some keys."""
    for start in range(0, len(keys), _CHUNK):
        chunk = [*keys[start : start + _CHUNK]]
        chunk += [None] * (-len(chunk) % _ALIKE)
        yield from connection.execute(sql.format(",".join("?" * len(chunk))), chunk)


def _whole(heads: list[Head]) -> list[Head]:
    """Leave out the last stream, of which there may be more."""
    last, end = heads[-1][0], len(heads)
    while end and heads[end - 1][0] == last:
        end -= 1
    return heads[:end]
