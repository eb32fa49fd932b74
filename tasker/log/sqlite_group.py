"""One group of appends inside its transaction: who wins, which bytes are written, what may be remembered afterwards."""

from __future__ import annotations

import os
from itertools import islice
from typing import TYPE_CHECKING

from tasker.codec.chain import header_bytes, stream_root
from tasker.errors import TaskerError
from tasker.fold.link import SALT, linker
from tasker.log.port import Appended, IdentityTaken, VersionConflict

if TYPE_CHECKING:
    import sqlite3

    from tasker.codec.rows import NewEvent, StreamHeader
    from tasker.domain.work import WorkItem
    from tasker.log.port import Append, AppendResult

FIRST_CUSTOM_CODE = 1000
"""Codes below are those of system types and fixed for ever."""

_STREAMS_REMEMBERED = 100_000
_DEFINITIONS_REMEMBERED = 10_000
_SALTS = 4096

_Row = tuple[object, ...]

_INSERT_EVENT = (
    "INSERT INTO events (position, stream_id, version, event_id, type, schema_version, time, step, attempt, due, "
    "actor, causation_id, metadata, data, payload, salt, payload_hash, hash) "
    "VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)"
)
_UPSERT_WORK = (
    "INSERT INTO live_work VALUES (?,?,?,?,?,?,?) ON CONFLICT DO UPDATE SET kind = excluded.kind, due = excluded.due, "
    "rank = excluded.rank, attempt = excluded.attempt, worker_id = excluded.worker_id"
)
_LAST = "SELECT version, hash FROM events WHERE stream_id = ? ORDER BY version DESC LIMIT 1"


class Known:
    """What one process remembers of the log between two appends of its own.

    Attributes:
        position: The head when it was remembered; the ends of streams hold only while the head is still there.
        ends: Version and hash of the last event of a stream, least recently appended first.
        definitions: Digests that are stored.
        names: Names of type codes that are stored; never changes, so it holds for ever.
        log_id: The name of the log; empty until it was read.
    """

    def __init__(self) -> None:
        """Remember nothing."""
        self.position = -1
        self.ends: dict[bytes, tuple[int, bytes]] = {}
        self.definitions: set[bytes] = set()
        self.names: dict[int, str] = {}
        self.codes: dict[str, int] = {}
        self.log_id = b""
        self.link = linker()
        self._salts = b""
        self._salted = 0

    def salts(self, count: int) -> bytes:
        """Give the salts of so many payloads, drawn from the system many at a time."""
        first, self._salted = self._salted, self._salted + SALT * count
        if self._salted > len(self._salts):
            self._salts = os.urandom(max(_SALTS, SALT * count))
            first, self._salted = 0, SALT * count
        return self._salts[first : self._salted]

    def learn(self, group: Group) -> None:
        """Take over what a group has committed."""
        self.position = group.position
        for stream_id, end in group.ends.items():
            self.ends.pop(stream_id, None)
            self.ends[stream_id] = end
        if len(self.ends) > _STREAMS_REMEMBERED:
            # A tenth at once: a dict finds its oldest key slowly after many single removals.
            for oldest in list(islice(self.ends, _STREAMS_REMEMBERED // 10)):
                del self.ends[oldest]
        if len(self.definitions) > _DEFINITIONS_REMEMBERED:
            self.definitions.clear()
        self.definitions.update(group.definitions)


class Group:
    """Appends that are being written together.

    Attributes:
        position: The position of the last event so far.
        ends: Version and hash of the last event of every stream that was looked at.
        headers: The new streams.
        definitions: The new definitions by digest.
    """

    def __init__(self, connection: sqlite3.Connection, known: Known) -> None:
        """Read the head under the lock, and forget the ends of streams if somebody else has written."""
        self._connection = connection
        self._known = known
        self.position: int
        known.log_id, self.position = connection.execute("SELECT log_id, position FROM log_head").fetchone()
        if self.position != known.position:
            known.ends.clear()
        self._before = self.position
        self.ends: dict[bytes, tuple[int, bytes]] = {}
        self.headers: dict[bytes, StreamHeader] = {}
        self.definitions: dict[bytes, bytes] = {}
        self._identities: dict[bytes, bytes] = {}
        self._types: dict[int, str] = {}
        self._new_codes: dict[str, int] = {}
        self._rows: list[_Row] = []
        self._work: dict[tuple[bytes, int], WorkItem | None] = {}
        self._erased: list[tuple[bytes, int]] = []
        self._guards: dict[bytes, int] = {}

    def add(self, append: Append) -> AppendResult:
        """Take the next append in, or say why it lost."""
        stream_id, expected = append.stream_id, append.expected_version
        version, previous = self._end(stream_id)
        if version != expected:
            return VersionConflict(version)
        if append.guard is not None and self._guarding(append.guard[0]) != append.guard[1]:
            return VersionConflict(self._guarding(append.guard[0]))
        if append.header is not None:
            owner = self._owner(append.header.identity)
            if owner is not None:
                return IdentityTaken(owner)
            previous = self._start(stream_id, append.header)
        first = self.position + 1
        self._take(append, previous)
        if append.definition is not None:
            self._define(*append.definition)
        for step, item in append.work:
            self._work[stream_id, step] = item
        if append.erase:
            self._erased.append((stream_id, expected))
        return Appended(first, self.position)

    def write(self) -> None:
        """Write everything that won; nothing at all where nobody did."""
        if not self._rows:
            return
        many = self._connection.executemany
        if self._types:
            many("INSERT INTO event_types (code, name) VALUES (?, ?)", self._types.items())
        if self.definitions:
            many("INSERT INTO definitions (digest, bytes) VALUES (?, ?)", self.definitions.items())
        if self.headers:
            many("INSERT INTO streams VALUES (?,?,?,?,?,?,?)", [(key, *row) for key, row in self.headers.items()])
        many(_INSERT_EVENT, self._rows)
        if self._erased:
            many("UPDATE events SET payload = NULL, salt = NULL WHERE stream_id = ? AND version <= ? "
                 "AND payload_hash IS NOT NULL", self._erased)  # fmt: skip
        if self._work:
            self._write_work()
        self._connection.execute("UPDATE log_head SET position = ?", (self.position,))

    def _end(self, stream_id: bytes) -> tuple[int, bytes]:
        """Give version and hash of the last event of a stream; version 0 where there is none."""
        end = self.ends.get(stream_id) or self._known.ends.get(stream_id)
        if end is None:
            end = self._connection.execute(_LAST, (stream_id,)).fetchone() or (0, b"")
            if end[0]:
                self.ends[stream_id] = end
        return end

    def _guarding(self, stream_id: bytes) -> int:
        """Give the version that a guard had before this group; many appends of a group share one."""
        version = self._guards.get(stream_id)
        if version is None:
            version = self._guards[stream_id] = self._end(stream_id)[0]
        return version

    def _owner(self, identity: bytes | None) -> bytes | None:
        """Give the stream that has an identity already, in the log or in this group."""
        if identity is None:
            return None
        owner = self._identities.get(identity)
        if owner is None:
            row = self._connection.execute("SELECT stream_id FROM streams WHERE identity = ?", (identity,)).fetchone()
            owner = row[0] if row else None
        return owner

    def _start(self, stream_id: bytes, header: StreamHeader) -> bytes:
        """Take a new stream in; give the root of its chain."""
        self.headers[stream_id] = header
        if header.identity is not None:
            self._identities[header.identity] = stream_id
        return stream_root(self._known.log_id, stream_id, header_bytes(*header))

    def _take(self, append: Append, previous: bytes) -> None:
        """Give the events their places, salts and hashes."""
        stream_id, version, known = append.stream_id, append.expected_version, self._known
        events, names, payloads, coded = append.events, known.names, 0, True
        for event in events:
            payloads += event.payload is not None
            coded = coded and names.get(event.code) == event.type
        if not coded:
            events = [self._coded(event) for event in events]
        rows, last = known.link(previous, self.position, stream_id, version, events, known.salts(payloads))
        self._rows += rows
        self.ends[stream_id] = (version + len(rows), last)
        self.position += len(rows)

    def _coded(self, event: NewEvent) -> NewEvent:
        """Give an event the code of its type; a code that is new to the log is stored with this group."""
        if event.code:
            self._check_named(event.code, event.type)
            return event
        known = self._known.codes.get(event.type) or self._new_codes.get(event.type) or self._custom_code(event.type)
        return event._replace(code=known)

    def _check_named(self, code: int, name: str) -> None:
        """Store the name of a system type's code, or make sure that the log has it under this name."""
        if self._types.get(code) == name:
            return
        row = self._connection.execute("SELECT name FROM event_types WHERE code = ?", (code,)).fetchone()
        found = self._types.get(code) if row is None else row[0]
        if found is None:
            self._types[code] = name
        elif found != name:
            msg = (
                f"event type {name!r}: expected this name for code {code} in the log, found {found!r}. "
                "The log was written or changed by something else; run `tasker audit verify`"
            )
            raise TaskerError(msg)
        elif row is not None:
            self._known.names[code] = name

    def _custom_code(self, name: str) -> int:
        """Look a custom type up in the log, else give it the next free code."""
        one = self._connection.execute
        row = one("SELECT code FROM event_types WHERE name = ? AND code >= ?", (name, FIRST_CUSTOM_CODE)).fetchone()
        if row is not None:
            code = self._known.codes[name] = int(row[0])
            return code
        (last,) = one("SELECT coalesce(max(code), 0) FROM event_types").fetchone()
        code = max(FIRST_CUSTOM_CODE, int(last) + 1, *(taken + 1 for taken in self._types))
        self._types[code] = name
        self._new_codes[name] = code
        return code

    def _define(self, digest: bytes, stored: bytes) -> None:
        """Store a definition if the log has none of this digest."""
        if digest in self._known.definitions or digest in self.definitions:
            return
        if self._connection.execute("SELECT 1 FROM definitions WHERE digest = ?", (digest,)).fetchone():
            self._known.definitions.add(digest)
        else:
            self.definitions[digest] = stored

    def _write_work(self) -> None:
        """Write the last word of the group on every item of live work."""
        gone = [key for key, item in self._work.items() if item is None]
        if gone:
            self._connection.executemany("DELETE FROM live_work WHERE stream_id = ? AND step = ?", gone)
        rows = [(*key, *item[1:]) for key, item in self._work.items() if item is not None]
        self._connection.executemany(_UPSERT_WORK, rows)
