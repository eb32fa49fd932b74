"""The live work on PostgreSQL."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasker.domain.work import WorkItem, WorkKind
from tasker.log.postgres_pack import WORK, byteas, integers, pack, texts
from tasker.log.worker_rows import LIVES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from tasker.log.port import Found, Place, Share
    from tasker.log.postgres_connect import Database

_COLUMNS = "stream_id, step, kind, due, rank, attempt, worker_id"
_SELECT = f"SELECT {_COLUMNS} FROM live_work "
_READY = "WHERE kind = 1 AND due IS NULL "
_BEHIND = "AND (rank, stream_id, step) > (%s::bigint, %s::bytea, %s::integer) "
# A list of bytes and not their remainder: of a list the planner guesses rightly how many rows it lets through.
_SHARE = "AND get_byte(stream_id, octet_length(stream_id) - 1) = ANY (%s) "
_ORDER = "ORDER BY rank, stream_id, step LIMIT %s"
_TIMERS = _SELECT + "WHERE due IS NOT NULL AND due < %s::bigint ORDER BY due LIMIT %s"
_AT = (
    f"SELECT {_COLUMNS} FROM unnest(%s, %s) AS wanted (id, number) "
    "JOIN live_work ON stream_id = wanted.id AND step = wanted.number"
)
_ORPHANS = (
    f"WHERE kind = 2 AND NOT EXISTS (SELECT 1 FROM workers WHERE workers.worker_id = live_work.worker_id AND {LIVES}) "
)
_HOLDERS = (
    "SELECT scope, stream_id, step FROM limit_holders JOIN live_work USING (stream_id, step, attempt) "
    "WHERE kind = 2 AND scope = ANY (%s) ORDER BY scope, stream_id, step"
)
_REPLACE = f"INSERT INTO live_work ({_COLUMNS}) SELECT * FROM unnest(%s, %s, %s, %s, %s, %s, %s)"
_AT_ONCE = 10_000
_BYTES = 256


def ready(after: Place | None, limit: int, share: Share | None) -> tuple[str, list[object]]:
    """Give the query for ready items, with its values."""
    sql, values = _SELECT + _READY, list[object]()
    if after is not None:
        sql += _BEHIND
        values += after
    if share is not None:
        sql += _SHARE
        values.append(integers(range(share[0], _BYTES, share[1])))
    return sql + _ORDER, [*values, max(0, limit)]


class PostgresLiveWork:
    """The live work; see `tasker.log.port.LiveWork`."""

    def __init__(self, database: Database) -> None:
        """Take the database."""
        self._database = database

    def all(self) -> Iterator[Found]:
        """Read every item, with the id of its stream."""
        return iter(self._items(_SELECT + "ORDER BY stream_id, step"))

    def of(self, stream_id: bytes) -> list[WorkItem]:
        """Read the items of one stream."""
        return [item for _, item in self._items(_SELECT + "WHERE stream_id = %s ORDER BY step", (stream_id,))]

    def ready(self, *, after: Place | None, limit: int, share: Share | None = None) -> list[Found]:
        """Read ready items without a due time, best rank first, then by stream and step."""
        return self._items(*ready(after, limit, share))

    def timers(self, *, before: int, limit: int) -> list[Found]:
        """Read items of every kind whose due time is earlier than `before` (microseconds), earliest first."""
        return self._items(_TIMERS, (before, max(0, limit)))

    def at(self, places: Sequence[tuple[bytes, int]]) -> list[Found]:
        """Read the items of some streams and steps, in any order; what has none is left out."""
        return self._items(_AT, pack((byteas, integers), list(dict.fromkeys(places))))

    def orphans(self) -> list[Found]:
        """Read running items whose worker does not live."""
        return self._items(_SELECT + _ORPHANS + "ORDER BY stream_id, step")

    def held_by(self, worker_id: str) -> list[Found]:
        """Read the running items of a worker."""
        return self._items(_SELECT + "WHERE kind = 2 AND worker_id = %s ORDER BY stream_id, step", (worker_id,))

    def holders(self, scopes: Sequence[str]) -> list[tuple[str, bytes, int]]:
        """Read who holds places under limits, as (scope, stream, step)."""
        with self._database.reading() as connection:
            rows = connection.execute(_HOLDERS, (texts(list(scopes)),), binary=True).fetchall()
        return [(scope, stream_id, step) for scope, stream_id, step in rows]

    def replace(self, items: Iterable[Found]) -> None:
        """Throw everything away and store these items, in one transaction; appends wait meanwhile."""
        rows = [(stream_id, *item) for stream_id, item in items]
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM live_work")
            for start in range(0, len(rows), _AT_ONCE):
                packed = pack(WORK, rows[start : start + _AT_ONCE])
                connection.execute(_REPLACE, packed, binary=True)

    def _items(self, sql: str, values: Sequence[object] = ()) -> list[Found]:
        """Read items."""
        with self._database.reading() as connection:
            rows = connection.execute(sql, values, binary=True).fetchall()
        return [
            (stream_id, WorkItem(step, WorkKind(kind), due, rank, attempt, worker_id))
            for stream_id, step, kind, due, rank, attempt, worker_id in rows
        ]
