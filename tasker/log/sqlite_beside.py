"""What lives beside the log on SQLite: live work, checkpoints, and what an auditor reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasker.domain.work import WorkItem, WorkKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tasker.codec.rows import StreamHeader
    from tasker.log.sqlite_connect import Database
    from tasker.log.sqlite_read import Reader

_ITEM = "SELECT stream_id, step, kind, due, rank, attempt, worker_id FROM live_work "
_KINDS = {kind.value: kind for kind in WorkKind}
_ItemRow = tuple[bytes, int, int, int | None, int, int, str | None]


def _item(row: _ItemRow) -> WorkItem:
    """Turn a row into an item."""
    _, step, kind, due, rank, attempt, worker_id = row
    return WorkItem(step, _KINDS.get(kind) or WorkKind(kind), due, rank, attempt, worker_id)


class SqliteLiveWork:
    """The live work; see `tasker.log.port.LiveWork`."""

    def __init__(self, database: Database) -> None:
        """Take the database."""
        self._database = database

    def all(self) -> Iterator[tuple[bytes, WorkItem]]:
        """Read every item, with the id of its stream."""
        with self._database.reading() as connection:
            rows = connection.execute(_ITEM + "ORDER BY stream_id, step").fetchall()
        return ((row[0], _item(row)) for row in rows)

    def of(self, stream_id: bytes) -> list[WorkItem]:
        """Read the items of one stream."""
        with self._database.reading() as connection:
            rows = connection.execute(_ITEM + "WHERE stream_id = ? ORDER BY step", (stream_id,)).fetchall()
        return [_item(row) for row in rows]

    def replace(self, items: Iterable[tuple[bytes, WorkItem]]) -> None:
        """Throw everything away and store these items, in one transaction."""
        rows = [(stream_id, *item) for stream_id, item in items]
        with self._database.translated(), self._database.transaction() as connection:
            connection.execute("DELETE FROM live_work")
            connection.executemany("INSERT INTO live_work VALUES (?,?,?,?,?,?,?)", rows)


class SqliteCheckpoints:
    """The checkpoints; see `tasker.log.port.Checkpoints`."""

    def __init__(self, database: Database) -> None:
        """Take the database."""
        self._database = database

    def get(self, name: str) -> int:
        """Give the checkpoint of a reader; 0 for one that is not known."""
        with self._database.reading() as connection:
            row = connection.execute("SELECT position FROM checkpoints WHERE name = ?", (name,)).fetchone()
        return int(row[0]) if row else 0

    def advance(self, name: str, *, expected: int, position: int) -> bool:
        """Move a checkpoint by compare-and-set; False if it was not at `expected` any more."""
        with self._database.translated(), self._database.transaction() as connection:
            if expected == 0:
                connection.execute("INSERT INTO checkpoints VALUES (?, 0) ON CONFLICT DO NOTHING", (name,))
            moved = connection.execute(
                "UPDATE checkpoints SET position = ? WHERE name = ? AND position = ?", (position, name, expected)
            )
            return moved.rowcount == 1


class SqliteArchive:
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
                    "SELECT digest, bytes FROM definitions WHERE digest > ? ORDER BY digest LIMIT 1", (last,)
                ).fetchone()
            if row is None:
                return
            yield row
            last = row[0]

    def streams(self) -> Iterator[tuple[bytes, StreamHeader]]:
        """Read the row of every stream, with its id."""
        return self._reader.streams()

    def event_types(self) -> Iterator[tuple[int, str]]:
        """Read code and name of every type that occurs in the log."""
        with self._database.reading() as connection:
            rows: list[tuple[int, str]] = connection.execute(
                "SELECT code, name FROM event_types ORDER BY code"
            ).fetchall()
        return iter(rows)

    def forget(self) -> None:
        """Forget what readers remember of streams and types, so that the next reads show what is stored now."""
        self._reader.forget()
