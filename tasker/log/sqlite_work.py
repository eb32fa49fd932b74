"""The live work on SQLite."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasker.domain.work import WorkItem, WorkKind
from tasker.log.worker_rows import LIVES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from tasker.log.port import Found, Place, Share
    from tasker.log.sqlite_connect import Database

_SELECT = "SELECT stream_id, step, kind, due, rank, attempt, worker_id FROM live_work "
_READY = "WHERE kind = 1 AND due IS NULL "
_BEHIND = "AND (rank, stream_id, step) > (?, ?, ?) "
_ORDER = "ORDER BY rank, stream_id, step LIMIT ?"
_TIMERS = _SELECT + "WHERE due IS NOT NULL AND due < ? ORDER BY due LIMIT ?"
_ORPHANS = (
    f"WHERE kind = 2 AND NOT EXISTS (SELECT 1 FROM workers WHERE workers.worker_id = live_work.worker_id AND {LIVES}) "
)
_HOLDERS = (
    "SELECT scope, stream_id, step FROM limit_holders JOIN live_work USING (stream_id, step, attempt) "
    "WHERE kind = 2 AND scope = ? ORDER BY stream_id, step"
)
_BYTES = 256
_KINDS = {kind.value: kind for kind in WorkKind}
_Row = tuple[bytes, int, int, int | None, int, int, str | None]


def ready(after: Place | None, limit: int, share: Share | None) -> tuple[str, list[object]]:
    """Give the query for ready items, with its values."""
    sql, values = _SELECT + _READY, list[object]()
    if after is not None:
        sql += _BEHIND
        values += after
    if share is not None:
        mine = [bytes((last,)) for last in range(share[0], _BYTES, share[1])]
        sql += f"AND substr(stream_id, -1) IN ({','.join('?' * len(mine))}) "
        values += mine
    return sql + _ORDER, [*values, max(0, limit)]


class SqliteLiveWork:
    """The live work; see `tasker.log.port.LiveWork`."""

    def __init__(self, database: Database) -> None:
        """Take the database."""
        self._database = database

    def all(self) -> Iterator[Found]:
        """Read every item, with the id of its stream."""
        with self._database.reading() as connection:
            rows = connection.execute(_SELECT + "ORDER BY stream_id, step").fetchall()
        return ((row[0], _item(row)) for row in rows)

    def of(self, stream_id: bytes) -> list[WorkItem]:
        """Read the items of one stream."""
        return [item for _, item in self._items(_SELECT + "WHERE stream_id = ? ORDER BY step", (stream_id,))]

    def ready(self, *, after: Place | None, limit: int, share: Share | None = None) -> list[Found]:
        """Read ready items without a due time, best rank first, then by stream and step."""
        return self._items(*ready(after, limit, share))

    def timers(self, *, before: int, limit: int) -> list[Found]:
        """Read items of every kind whose due time is earlier than `before` (microseconds), earliest first."""
        return self._items(_TIMERS, (before, max(0, limit)))

    def at(self, places: Sequence[tuple[bytes, int]]) -> list[Found]:
        """Read the items of some streams and steps, in any order; what has none is left out."""
        rows: list[_Row] = []
        with self._database.reading() as connection:
            for place in dict.fromkeys(places):
                rows += connection.execute(_SELECT + "WHERE stream_id = ? AND step = ?", place)
        return [(row[0], _item(row)) for row in rows]

    def orphans(self) -> list[Found]:
        """Read running items whose worker does not live."""
        return self._items(_SELECT + _ORPHANS + "ORDER BY stream_id, step")

    def held_by(self, worker_id: str) -> list[Found]:
        """Read the running items of a worker."""
        return self._items(_SELECT + "WHERE kind = 2 AND worker_id = ? ORDER BY stream_id, step", (worker_id,))

    def holders(self, scopes: Sequence[str]) -> list[tuple[str, bytes, int]]:
        """Read who holds places under limits, as (scope, stream, step)."""
        found: list[tuple[str, bytes, int]] = []
        with self._database.reading() as connection:
            for scope in dict.fromkeys(scopes):
                found += connection.execute(_HOLDERS, (scope,))
        return found

    def replace(self, items: Iterable[Found]) -> None:
        """Throw everything away and store these items, in one transaction."""
        rows = [(stream_id, *item) for stream_id, item in items]
        with self._database.translated(), self._database.transaction() as connection:
            connection.execute("DELETE FROM live_work")
            connection.executemany("INSERT INTO live_work VALUES (?,?,?,?,?,?,?)", rows)

    def _items(self, sql: str, values: Sequence[object] = ()) -> list[Found]:
        """Read items."""
        with self._database.reading() as connection:
            rows: list[_Row] = connection.execute(sql, values).fetchall()
        return [(row[0], _item(row)) for row in rows]


def _item(row: _Row) -> WorkItem:
    """Turn a row into an item."""
    _, step, kind, due, rank, attempt, worker_id = row
    return WorkItem(step, _KINDS.get(kind) or WorkKind(kind), due, rank, attempt, worker_id)
