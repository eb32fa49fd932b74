"""What lives beside the log on PostgreSQL: live work, checkpoints, and what an auditor reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasker.domain.work import WorkItem, WorkKind
from tasker.log.postgres_pack import WORK, pack

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tasker.codec.rows import StreamHeader
    from tasker.log.postgres_connect import Database
    from tasker.log.postgres_read import Reader

_ITEM = "SELECT stream_id, step, kind, due, rank, attempt, worker_id FROM live_work "
_REPLACE = (
    "INSERT INTO live_work (stream_id, step, kind, due, rank, attempt, worker_id) "
    "SELECT * FROM unnest(%s, %s, %s, %s, %s, %s, %s)"
)
_AT_ONCE = 10_000


class PostgresLiveWork:
    """The live work; see `tasker.log.port.LiveWork`."""

    def __init__(self, database: Database) -> None:
        """Take the database."""
        self._database = database

    def all(self) -> Iterator[tuple[bytes, WorkItem]]:
        """Read every item, with the id of its stream."""
        return iter(self._items("ORDER BY stream_id, step"))

    def of(self, stream_id: bytes) -> list[WorkItem]:
        """Read the items of one stream."""
        return [item for _, item in self._items("WHERE stream_id = %s ORDER BY step", stream_id)]

    def replace(self, items: Iterable[tuple[bytes, WorkItem]]) -> None:
        """Throw everything away and store these items, in one transaction; appends wait meanwhile."""
        rows = [(stream_id, *item) for stream_id, item in items]
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM live_work")
            for start in range(0, len(rows), _AT_ONCE):
                packed = pack(WORK, rows[start : start + _AT_ONCE])
                connection.execute(_REPLACE, packed, binary=True)

    def _items(self, where: str, *values: object) -> list[tuple[bytes, WorkItem]]:
        """Read items."""
        with self._database.reading() as connection:
            rows = connection.execute(_ITEM + where, values, binary=True).fetchall()
        return [
            (stream_id, WorkItem(step, WorkKind(kind), due, rank, attempt, worker_id))
            for stream_id, step, kind, due, rank, attempt, worker_id in rows
        ]


class PostgresCheckpoints:
    """The checkpoints; see `tasker.log.port.Checkpoints`."""

    def __init__(self, database: Database) -> None:
        """Take the database."""
        self._database = database

    def get(self, name: str) -> int:
        """Give the checkpoint of a reader; 0 for one that is not known."""
        with self._database.reading() as connection:
            row = connection.execute("SELECT position FROM checkpoints WHERE name = %s", (name,)).fetchone()
        return row[0] if row else 0

    def advance(self, name: str, *, expected: int, position: int) -> bool:
        """Move a checkpoint by compare-and-set; False if it was not at `expected` any more."""
        sql = "UPDATE checkpoints SET position = %s WHERE name = %s AND position = %s"
        if expected == 0:
            sql = (
                "INSERT INTO checkpoints AS known (position, name) VALUES (%s, %s) "
                "ON CONFLICT (name) DO UPDATE SET position = excluded.position WHERE known.position = %s"
            )
        with self._database.reading() as connection:
            return connection.execute(sql, (position, name, expected)).rowcount == 1


class PostgresArchive:
    """What an auditor reads; see `tasker.log.port.Archive`."""

    def __init__(self, database: Database, reader: Reader) -> None:
        """Take the database and the reader of its streams."""
        self._database = database
        self._reader = reader

    def definitions(self) -> Iterator[tuple[bytes, bytes]]:
        """Read digest and bytes of every stored definition, one at a time."""
        last = b""
        while True:
            with self._database.reading() as connection:
                row = connection.execute(
                    "SELECT digest, bytes FROM definitions WHERE digest > %s ORDER BY digest LIMIT 1", (last,)
                ).fetchone()
            if row is None:
                return
            last, stored = row
            yield last, stored

    def streams(self) -> Iterator[tuple[bytes, StreamHeader]]:
        """Read the row of every stream, with its id."""
        return self._reader.streams()

    def event_types(self) -> Iterator[tuple[int, str]]:
        """Read code and name of every type that occurs in the log."""
        with self._database.reading() as connection:
            rows = connection.execute("SELECT code, name FROM event_types ORDER BY code").fetchall()
        return iter([(code, name) for code, name in rows])

    def forget(self) -> None:
        """Forget what readers remember of streams and types, so that the next reads show what is stored now."""
        self._reader.forget()
