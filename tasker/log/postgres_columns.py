"""Reading columns of a PostgreSQL log in bulk: the server packs heads into one value, and none is an object here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tasker.codec.rows import StreamHeader
from tasker.fold.columns import HEAD_BYTES, NO_DUE, HeadPage, LinkPage, last
from tasker.log.postgres_pack import bigints, byteas, integers, pack

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tasker.codec.rows import StoredEvent
    from tasker.fold.columns import Heads, Link, StreamRow
    from tasker.log.postgres_connect import Connection, Database
    from tasker.log.postgres_read import Reader

_STREAM_BYTES = 16
_PACKED = (
    "substr(stream_id || '\\x00000000000000000000000000000000'::bytea, 1, 16) || int8send(position) || "
    "int4send(version) || int4send(CASE WHEN type BETWEEN 0 AND 65535 THEN type ELSE 65535 END) || "
    "int4send(schema_version) || int4send(coalesce(step, -1)) || int4send(coalesce(attempt, 0)) || int8send(time) || "
    f"int8send(coalesce(due, {NO_DUE}))"
)
_HEADS = "SELECT string_agg(head, ''::bytea) FROM (SELECT " + _PACKED + " AS head FROM events "
_PAGE = _HEADS + "WHERE stream_id > %s AND position <= %s ORDER BY stream_id, version LIMIT %s) AS heads"
_ONE = _HEADS + "WHERE stream_id = %s AND position <= %s ORDER BY version LIMIT %s) AS heads"

_SOUND = (
    "octet_length(stream_id) = 16 AND octet_length(event_id) = 16 AND version >= 0 AND type >= 0 "
    "AND schema_version BETWEEN 0 AND 65535 AND (step IS NULL OR step BETWEEN 0 AND 2147483646) "
    "AND (attempt IS NULL OR attempt BETWEEN 0 AND 2147483646) "
    "AND (payload_hash IS NULL OR octet_length(payload_hash) = 32) "
    "AND (salt IS NULL OR (octet_length(salt) = 16 AND payload_hash IS NOT NULL))"
)
_LINKS = (
    "SELECT position, stream_id || event_id || hash, version::bigint << 32 | type::bigint, "
    "coalesce(step::bigint + 1, 0) << 32 | coalesce(attempt::bigint + 1, 0), time, due, actor, causation_id, metadata, "
    "data, payload, coalesce(salt || payload_hash, payload_hash), "
    f"CASE WHEN {_SOUND} THEN schema_version ELSE -1 END FROM events WHERE position > %s ORDER BY position LIMIT %s"
)
_ROW = "SELECT stream_id, namespace, task_name, task_version, definition_digest, correlation_id, identity FROM streams "
_RANGE = _ROW + "WHERE stream_id BETWEEN %s AND %s ORDER BY stream_id"
_CHOSEN = _ROW + "WHERE stream_id = ANY (%s)"
_HASHES = (
    "SELECT stream_id, version, hash FROM unnest(%s, %s) AS ends (id, number) "
    "JOIN events ON stream_id = ends.id AND version = ends.number"
)
_DATA = "SELECT position, data FROM events WHERE position = ANY (%s) ORDER BY position"
_TYPES = "SELECT code, convert_to(name, 'UTF8') FROM event_types"
_LAST = 2**63 - 1


class PostgresColumns:
    """Columns in bulk; see `tasker.log.port.Columns`."""

    def __init__(self, database: Database, reader: Reader) -> None:
        """Take the database and the reader of its events."""
        self._database = database
        self._reader = reader

    def heads(self, after: bytes, *, limit: int, upto: int) -> HeadPage:
        """Read the heads of the streams behind an id, whole streams only."""
        with self._database.reading() as connection:
            heads = _packed(connection, _PAGE, (after, upto, limit))
            if not heads:
                return HeadPage([], [], 0)
            if len(heads) == limit * HEAD_BYTES:
                heads = _whole(heads) or _packed(connection, _ONE, (last(heads), upto, None))
            rows: list[StreamRow] = _rows(connection, _RANGE, (heads[:_STREAM_BYTES], last(heads)))
        return HeadPage([(row[0], StreamHeader._make(row[1:])) for row in rows], heads, len(heads) // HEAD_BYTES)

    def heads_of(self, stream_id: bytes, *, limit: int | None) -> Heads:
        """Read the heads of one stream, from its first event on."""
        with self._database.reading() as connection:
            return _packed(connection, _ONE, (stream_id, _LAST, None if limit is None else max(0, limit)))

    def events_at(self, positions: Sequence[int]) -> list[StoredEvent]:
        """Read the events at some positions, in the order of the log."""
        return self._reader.at(positions)

    def data_at(self, positions: Sequence[int]) -> list[tuple[int, bytes]]:
        """Read position and `data` of the events at some positions, in the order of the log."""
        with self._database.reading() as connection:
            return _rows(connection, _DATA, (bigints(positions),))

    def links(self, after: int, *, limit: int) -> LinkPage:
        """Read what the chain needs of the events after a position."""
        with self._database.reading() as connection:
            links: list[Link] = _rows(connection, _LINKS, (after, limit))
            begun = [link[1][:_STREAM_BYTES] for link in links if link[12] >= 0 and link[2] >> 32 == 1]
            headers: list[StreamRow] = _rows(connection, _CHOSEN, (byteas(begun),))
            types: list[tuple[int, bytes]] = _rows(connection, _TYPES, ())
        return LinkPage(links, headers, dict(types))

    def hashes(self, ends: Sequence[tuple[bytes, int]]) -> list[tuple[bytes, int, bytes]]:
        """Read the stored hashes of streams at versions."""
        with self._database.reading() as connection:
            return _rows(connection, _HASHES, pack((byteas, integers), ends))


def _packed(connection: Connection, sql: str, values: Sequence[object]) -> bytes:
    """Read packed heads."""
    found: list[tuple[bytes | None]] = _rows(connection, sql, values)
    return found[0][0] or b""


def _rows(connection: Connection, sql: str, values: Sequence[object]) -> list[Any]:
    """Read rows, with columns as the statement names them."""
    return connection.execute(sql, values, binary=True).fetchall()


def _whole(heads: bytes) -> bytes:
    """Leave out the last stream, of which there may be more."""
    stream, end = last(heads), len(heads)
    while end and heads[end - HEAD_BYTES : end - HEAD_BYTES + _STREAM_BYTES] == stream:
        end -= HEAD_BYTES
    return heads[:end]
