"""What lives beside the log on PostgreSQL: checkpoints, and what an auditor reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasker.codec.rows import StoredSeal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tasker.codec.rows import StreamHeader
    from tasker.log.postgres_connect import Database
    from tasker.log.postgres_read import Reader


_HASHES = (
    "SELECT coalesce(string_agg(hash, ''::bytea ORDER BY position), ''::bytea) FROM ("
    "SELECT position, hash FROM events WHERE position > %s ORDER BY position LIMIT %s) AS page"
)
_SEALS = "SELECT first, last, merkle_root, previous, time, key_id, signature FROM seals ORDER BY first"
_SEAL = "INSERT INTO seals VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT (first) DO NOTHING"


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

    def hashes(self, after: int, *, limit: int) -> bytes:
        """Read the hashes of the events after a position, one after another."""
        with self._database.reading() as connection:
            row = connection.execute(_HASHES, (after, limit), binary=True).fetchone()
        return bytes(row[0]) if row else b""

    def seals(self) -> list[StoredSeal]:
        """Read every seal, in the order of positions."""
        with self._database.reading() as connection:
            return [StoredSeal._make(row) for row in connection.execute(_SEALS, binary=True)]

    def seal(self, seal: StoredSeal) -> bool:
        """Store a seal for good; False if there is one that begins at the same position."""
        with self._database.reading() as connection:
            return connection.execute(_SEAL, seal).rowcount == 1

    def forget(self) -> None:
        """Forget what readers remember of streams and types, so that the next reads show what is stored now."""
        self._reader.forget()
