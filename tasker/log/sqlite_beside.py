"""What lives beside the log on SQLite: checkpoints, and what an auditor reads."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from tasker.codec.rows import StoredSeal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tasker.codec.rows import StreamHeader
    from tasker.log.sqlite_connect import Database
    from tasker.log.sqlite_read import Reader


_HASHES = "SELECT CAST(hash AS BLOB) FROM events WHERE position > ? ORDER BY position LIMIT ?"
_SEALS = "SELECT first, last, merkle_root, previous, time, key_id, signature FROM seals ORDER BY first"


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

    def hashes(self, after: int, *, limit: int) -> bytes:
        """Read the hashes of the events after a position, one after another."""
        with self._database.reading() as connection:
            return b"".join(chain.from_iterable(connection.execute(_HASHES, (after, limit))))

    def seals(self) -> list[StoredSeal]:
        """Read every seal, in the order of positions."""
        with self._database.reading() as connection:
            return [StoredSeal._make(row) for row in connection.execute(_SEALS)]

    def seal(self, seal: StoredSeal) -> bool:
        """Store a seal for good; False if there is one that begins at the same position."""
        with self._database.translated(), self._database.transaction() as connection:
            if connection.execute("SELECT 1 FROM seals WHERE first = ?", (seal.first,)).fetchone():
                return False
            connection.execute("INSERT INTO seals VALUES (?, ?, ?, ?, ?, ?, ?)", seal)
            return True

    def forget(self) -> None:
        """Forget what readers remember of streams and types, so that the next reads show what is stored now."""
        self._reader.forget()
