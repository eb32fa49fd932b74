"""The hot append on SQLite: a group of appends in one durable transaction, through the driver beneath SQLAlchemy."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

from tasker.log.group import check
from tasker.log.sqlite_group import Group, Known

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tasker.codec.rows import StreamHeader
    from tasker.log.port import Append, AppendResult
    from tasker.log.sqlite_connect import Database


class Appender:
    """Appends groups, and remembers where the streams end for as long as nobody else writes."""

    def __init__(self, database: Database, remember: Callable[[bytes, StreamHeader], None]) -> None:
        """Take the database and who wants to know of new streams."""
        self._database = database
        self._remember = remember
        self._known = Known()

    def append(self, batch: Sequence[Append]) -> list[AppendResult]:
        """Append a group; see `tasker.log.port.EventLog.append`."""
        check(batch)
        with self._database.lock, self._database.translated():
            try:
                return self._attempt(batch)
            except sqlite3.IntegrityError:
                # The database refused what the memory of this process allowed: read everything anew, once.
                return self._attempt(batch)

    def _attempt(self, batch: Sequence[Append]) -> list[AppendResult]:
        """Write the group in one transaction; whatever fails, nothing remembered survives."""
        known, self._known = self._known, Known()
        erases = any(append.erase for append in batch)
        if erases:
            self._secure(on=True)
        try:
            with self._database.transaction() as connection:
                group = Group(connection, known)
                results = [group.add(append) for append in batch]
                group.write()
        finally:
            if erases:
                self._secure(on=False)
        known.learn(group)
        self._known = known
        for stream_id, header in group.headers.items():
            self._remember(stream_id, header)
        return results

    def _secure(self, *, on: bool) -> None:
        """Have SQLite overwrite what it deletes: erased payloads must not stay in free pages."""
        self._database.writer().execute(f"PRAGMA secure_delete={'ON' if on else 'OFF'}")
