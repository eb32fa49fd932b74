"""What lives beside the log on PostgreSQL: checkpoints, and what an auditor reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tasker.codec.rows import StreamHeader
    from tasker.log.postgres_connect import Database
    from tasker.log.postgres_read import Reader


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
