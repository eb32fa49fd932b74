"""A group of appends on SQLite: what it asks of the database, and how it is written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasker.log import group
from tasker.log.group import FIRST_CUSTOM_CODE, Known
from tasker.log.worker_rows import LIVES

if TYPE_CHECKING:
    import sqlite3

    from tasker.log.limits import Holder, Limits

__all__ = ["Group", "Known"]

_INSERT_EVENT = (
    "INSERT INTO events (position, stream_id, version, event_id, type, schema_version, time, step, attempt, due, "
    "actor, causation_id, metadata, data, payload, salt, payload_hash, hash) "
    "VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)"
)
_UPSERT_WORK = (
    "INSERT INTO live_work VALUES (?,?,?,?,?,?,?) ON CONFLICT DO UPDATE SET kind = excluded.kind, due = excluded.due, "
    "rank = excluded.rank, attempt = excluded.attempt, worker_id = excluded.worker_id"
)
_LIVES = f"SELECT 1 FROM workers WHERE worker_id = ? AND {LIVES}"
_HOLDERS = (
    "SELECT holder.stream_id, holder.step, holder.attempt, work.step IS NOT NULL FROM limit_holders AS holder "
    "LEFT JOIN live_work AS work ON work.stream_id = holder.stream_id AND work.step = holder.step "
    "AND work.attempt = holder.attempt AND work.kind = 2 WHERE holder.scope = ?"
)
_LAST = "SELECT version, hash FROM events WHERE stream_id = ? ORDER BY version DESC LIMIT 1"


class SqliteFacts:
    """What the log holds, asked of the connection that has the lock; see `tasker.log.group.Facts`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        """Take the writing connection."""
        self._connection = connection

    def end(self, stream_id: bytes) -> tuple[int, bytes] | None:
        """Give version and hash of the last event of a stream, or None."""
        end: tuple[int, bytes] | None = self._connection.execute(_LAST, (stream_id,)).fetchone()
        return end

    def owner(self, identity: bytes) -> bytes | None:
        """Give the stream that has an identity, or None."""
        row = self._connection.execute("SELECT stream_id FROM streams WHERE identity = ?", (identity,)).fetchone()
        return row[0] if row else None

    def has_definition(self, digest: bytes) -> bool:
        """Tell whether a definition is stored."""
        found = self._connection.execute("SELECT 1 FROM definitions WHERE digest = ?", (digest,)).fetchone()
        return found is not None

    def name(self, code: int) -> str | None:
        """Give the name that is stored for the code of a type, or None."""
        row = self._connection.execute("SELECT name FROM event_types WHERE code = ?", (code,)).fetchone()
        return row[0] if row else None

    def code(self, name: str) -> int | None:
        """Give the code that is stored for a custom type, or None."""
        sql = "SELECT code FROM event_types WHERE name = ? AND code >= ?"
        row = self._connection.execute(sql, (name, FIRST_CUSTOM_CODE)).fetchone()
        return int(row[0]) if row else None

    def last_code(self) -> int:
        """Give the largest code of a type; 0 where there is none."""
        (last,) = self._connection.execute("SELECT coalesce(max(code), 0) FROM event_types").fetchone()
        return int(last)

    def lives(self, worker_id: str) -> bool:
        """Tell whether a worker is alive or draining."""
        return self._connection.execute(_LIVES, (worker_id,)).fetchone() is not None

    def holders(self, scope: str) -> list[Holder]:
        """Give the rows of a scope under a limit, stale ones too."""
        return self._connection.execute(_HOLDERS, (scope,)).fetchall()


class Group(group.Group):
    """Appends that are being written together to a SQLite database."""

    def __init__(self, connection: sqlite3.Connection, known: Known) -> None:
        """Read the head under the lock.

        Args:
            connection: The writing connection, in its transaction.
            known: What is remembered.
        """
        known.log_id, position = connection.execute("SELECT log_id, position FROM log_head").fetchone()
        super().__init__(SqliteFacts(connection), known, position)
        self._connection = connection

    def write(self) -> None:
        """Write everything that won; nothing at all where nobody did."""
        if not self.rows:
            return
        many = self._connection.executemany
        if self.types:
            many("INSERT INTO event_types (code, name) VALUES (?, ?)", self.types.items())
        if self.definitions:
            many("INSERT INTO definitions (digest, bytes) VALUES (?, ?)", self.definitions.items())
        if self.headers:
            many("INSERT INTO streams VALUES (?,?,?,?,?,?,?)", [(key, *row) for key, row in self.headers.items()])
        many(_INSERT_EVENT, self.rows)
        if self.erased:
            many("UPDATE events SET payload = NULL, salt = NULL WHERE stream_id = ? AND version <= ? "
                 "AND payload_hash IS NOT NULL", self.erased)  # fmt: skip
        if self.work:
            self._write_work()
        if self.limits is not None:
            self._write_holders(self.limits)
        self._connection.execute("UPDATE log_head SET position = ?", (self.position,))

    def _write_work(self) -> None:
        """Write the last word of the group on every item of live work."""
        gone = [key for key, item in self.work.items() if item is None]
        if gone:
            self._connection.executemany("DELETE FROM live_work WHERE stream_id = ? AND step = ?", gone)
        rows = [(*key, *item[1:]) for key, item in self.work.items() if item is not None]
        self._connection.executemany(_UPSERT_WORK, rows)

    def _write_holders(self, limits: Limits) -> None:
        """Remove the rows of places that nobody holds any more, and store those that were taken."""
        many = self._connection.executemany
        many("DELETE FROM limit_holders WHERE scope = ? AND stream_id = ? AND step = ?", limits.freed)
        taken = [(*key, attempt) for key, attempt in limits.taken.items()]
        many("INSERT INTO limit_holders VALUES (?,?,?,?) ON CONFLICT DO UPDATE SET attempt = excluded.attempt", taken)
