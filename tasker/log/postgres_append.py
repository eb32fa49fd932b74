"""The hot append on PostgreSQL: a group of appends in one durable transaction and, as a rule, one round trip.

A process that was the last to write remembers where the log ends. It sends its whole transaction at once; the call in
it locks the head, and writes only if the head is still as remembered. Otherwise the group is decided anew under the
lock, which takes two round trips.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import psycopg

from tasker.errors import LogUnavailable
from tasker.log.group import Group, Known, check
from tasker.log.port import Appended
from tasker.log.postgres_connect import COMMIT, LOCK_HEAD, NEW_TOKEN, TOKEN_BYTES, begin
from tasker.log.postgres_errors import lost, unavailable
from tasker.log.postgres_group import Head, Remembered, Stored, Unremembered, hold, look, write
from tasker.log.postgres_pack import Bytea
from tasker.log.postgres_pipe import Statement, run

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tasker.codec.rows import StreamHeader
    from tasker.log.port import Append, AppendResult
    from tasker.log.postgres_connect import Connection, Database

SETTLE_SECONDS = 10.0
"""How long an append whose connection was lost tries to find out whether it is durable."""

_PAUSE = 0.05
_ALONE = 3  # so many appends in a row that found nobody else's, and the next one relies on memory
_NOWHERE = Head(-1, b"")
_TRUE = b"\1"


class _Lost(Exception):
    """The connection was lost, and what was sent is not in the log and never will be."""


class Appender:
    """Appends groups, and remembers where the streams end for as long as nobody else writes."""

    def __init__(self, database: Database, remember: Callable[[bytes, StreamHeader], None]) -> None:
        """Take the database and who wants to know of new streams."""
        self._database = database
        self._remember = remember
        self._known = Known()
        self._head = _NOWHERE
        self._absent: set[bytes] = set()
        self._living: set[str] = set()
        self._unmoved = 0

    def append(self, batch: Sequence[Append]) -> list[AppendResult]:
        """Append a group; see `tasker.log.port.EventLog.append`."""
        check(batch)
        if not batch:
            return []
        with self._database.lock, self._database.translated():
            try:
                return self._attempt(batch)
            except _Lost:
                try:
                    return self._attempt(batch)
                except _Lost as again:
                    msg = f"{self._database.where}: the connection was lost twice, nothing was appended. Repeat it."
                    raise LogUnavailable(msg) from again

    def _attempt(self, batch: Sequence[Append]) -> list[AppendResult]:
        """Append in one transaction; whatever fails, nothing remembered survives."""
        known, self._known = self._known, Known()
        facts = Remembered(batch, self._absent, self._living)
        self._absent, self._living = set(), set()
        head, self._head = self._head, _NOWHERE
        connection = self._database.writer()
        done = self._swift(connection, batch, known, head, facts) if self._unmoved >= _ALONE else None
        if done is None:
            done = self._careful(connection, batch, known, head, facts)
        results, group = done
        self._known = known
        for stream_id, header in group.headers.items():
            self._remember(stream_id, header)
        return results

    def _swift(
        self, connection: Connection, batch: Sequence[Append], known: Known, head: Head, facts: Remembered
    ) -> tuple[list[AppendResult], Group] | None:
        """Append from memory in one round trip; None if memory does not suffice, or somebody else has written."""
        group = Group(facts, known, head.position)
        try:
            results = [group.add(append) for append in batch]
        except Unremembered:
            return None
        if not all(type(result) is Appended for result in results):
            return None
        if not self._write(connection, group, head, begun=False):
            self._unmoved = 0
            return None
        self._learn(known, group, facts.absent, facts.living)
        return results, group

    def _careful(
        self, connection: Connection, batch: Sequence[Append], known: Known, head: Head, facts: Remembered
    ) -> tuple[list[AppendResult], Group]:
        """Lock the head, look at everything that matters, decide, append."""
        stored = self._look(connection, batch, known)
        self._unmoved = self._unmoved + 1 if stored.head == head else 0
        known.log_id = stored.log_id
        if stored.head != head:
            known.ends.clear()
            known.position = stored.head.position
        try:
            group = Group(stored, known, stored.head.position)
            results = [group.add(append) for append in batch]
        except BaseException:
            connection.rollback()
            raise
        self._head = stored.head
        if not group.rows:
            connection.rollback()
        elif not self._write(connection, group, stored.head, begun=True):
            msg = f"{self._database.where}: the head of the log moved under the lock; something bypasses it."
            raise LogUnavailable(msg)
        self._learn(known, group, set(), facts.living if stored.head == head else set())
        return results, group

    def _look(self, connection: Connection, batch: Sequence[Append], known: Known) -> Stored:
        """Begin a transaction, lock the head and look, in one round trip."""
        try:
            return Stored(run(connection, *begin(connection), look(batch, known))[-1])
        except psycopg.Error as error:
            if lost(connection):
                raise _Lost from error
            connection.rollback()
            raise

    def _write(self, connection: Connection, group: Group, head: Head, *, begun: bool) -> bool:
        """Write a group and commit, in one round trip; False if the head is not as given.

        Raises:
            _Lost: The connection was lost, and the group is not in the log and never will be.
            LogUnavailable: The connection was lost, and nobody can say.
        """
        token = os.urandom(TOKEN_BYTES)
        before = () if begun else begin(connection)
        holds = () if group.limits is None else (hold(group.limits),)
        try:
            results = run(connection, *before, write(group, head, token), *holds, COMMIT)
        except psycopg.Error as error:
            if not lost(connection):
                connection.rollback()
                raise
            if not self._landed(group, error):
                raise _Lost from error
            self._head, self._unmoved = _NOWHERE, 0
            return True
        written = results[len(before)].get_value(0, 0) == _TRUE
        if written:
            self._head = Head(group.position, token)
        return written

    def _landed(self, group: Group, cause: psycopg.Error) -> bool:
        """Find out, for a while, whether a group is in the log; if it is not, see to it that it never will be."""
        event_id = group.rows[0][3]
        deadline = time.monotonic() + SETTLE_SECONDS
        while True:
            try:
                return self._settled(event_id)
            except psycopg.Error as error:
                if time.monotonic() > deadline:
                    raise unavailable(error, self._database.where, outcome_unknown=True) from cause
            time.sleep(_PAUSE)

    def _settled(self, event_id: object) -> bool:
        """Look for an event behind the lock of the head; a new token voids whatever is still under way."""
        connection = self._database.connect()
        try:
            run(connection, *begin(connection), LOCK_HEAD)
            found = connection.execute("SELECT 1 FROM events WHERE event_id = %s", (event_id,)).fetchone()
            if found is None:
                run(connection, Statement(NEW_TOKEN, [Bytea(os.urandom(TOKEN_BYTES))]), COMMIT)
            return found is not None
        finally:
            connection.close()

    def _learn(self, known: Known, group: Group, absent: set[bytes], living: set[str]) -> None:
        """Remember what is in the log now."""
        known.learn(group)
        self._absent = (absent | {key for key, version in group.guards.items() if not version}) - group.headers.keys()
        self._living = living | {worker_id for worker_id, lives in group.living.items() if lives}
