"""One group of appends inside its transaction: who wins, which bytes are written, what may be remembered afterwards.

No statement stands here: an adapter tells the group what the log holds, and writes what the group has collected.
"""

from __future__ import annotations

import os
from itertools import islice
from typing import TYPE_CHECKING, Protocol

from tasker.codec.chain import header_bytes, stream_root
from tasker.errors import TaskerError
from tasker.fold.link import SALT, linker
from tasker.log.limits import Limits
from tasker.log.port import Appended, Fenced, IdentityTaken, LimitReached, VersionConflict

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tasker.codec.rows import NewEvent, StreamHeader
    from tasker.domain.work import WorkItem
    from tasker.log.limits import Holder
    from tasker.log.port import Append, AppendResult

FIRST_CUSTOM_CODE = 1000
"""Codes below are those of system types and fixed for ever."""

_STREAMS_REMEMBERED = 100_000
_DEFINITIONS_REMEMBERED = 10_000
_SALTS = 4096

Row = tuple[object, ...]


def check(batch: Sequence[Append]) -> None:
    """Refuse what no caller may ask for, before anything is locked.

    Raises:
        TaskerError: An append without events, or with a header where there must be none, or the other way round.
    """
    for append in batch:
        if not append.events:
            msg = f"append to stream {append.stream_id.hex()}: no events, expected one or more."
            raise TaskerError(msg)
        if (append.header is None) is (append.expected_version == 0):
            found = "none" if append.header is None else "one"
            msg = (
                f"append to stream {append.stream_id.hex()}: expected a header exactly when expected_version is 0, "
                f"found {found} at expected_version {append.expected_version}."
            )
            raise TaskerError(msg)


class Facts(Protocol):
    """What the log holds, as of the lock under which a group is written."""

    def end(self, stream_id: bytes) -> tuple[int, bytes] | None:
        """Give version and hash of the last event of a stream, or None."""

    def owner(self, identity: bytes) -> bytes | None:
        """Give the stream that has an identity, or None."""

    def has_definition(self, digest: bytes) -> bool:
        """Tell whether a definition is stored."""

    def name(self, code: int) -> str | None:
        """Give the name that is stored for the code of a type, or None."""

    def code(self, name: str) -> int | None:
        """Give the code that is stored for a custom type, or None."""

    def last_code(self) -> int:
        """Give the largest code of a type; 0 where there is none."""

    def lives(self, worker_id: str) -> bool:
        """Tell whether a worker is alive or draining."""

    def holders(self, scope: str) -> Iterable[Holder]:
        """Give the rows of a scope under a limit, stale ones too."""


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
            many = len(self.ends) - _STREAMS_REMEMBERED + _STREAMS_REMEMBERED // 10
            for oldest in list(islice(self.ends, many)):
                del self.ends[oldest]
        if len(self.definitions) > _DEFINITIONS_REMEMBERED:
            self.definitions.clear()
        self.definitions.update(group.definitions)
        self.names.update(group.types)
        self.codes.update(group.codes)


class Group:
    """Appends that are being written together.

    Attributes:
        before: The position of the last event before this group.
        position: The position of the last event so far.
        ends: Version and hash of the last event of every stream that was looked at.
        headers: The new streams.
        definitions: The new definitions by digest.
        types: The names of the new codes.
        codes: The new codes of custom types.
        guards: The versions that guards had before this group.
        living: Workers that were looked at, and whether they live.
        limits: Places under limits; None for a group that asks for none.
        rows: The new rows of `events`, as the linker gives them.
        work: The last word on every item of live work; None for one that goes.
        erased: Streams, and the version up to which their payloads go.
    """

    def __init__(self, facts: Facts, known: Known, position: int) -> None:
        """Begin under the lock, and forget the ends of streams if somebody else has written.

        Args:
            facts: What the log holds.
            known: What is remembered; its `log_id` is known by now.
            position: The position of the last event in the log.
        """
        self._facts = facts
        self._known = known
        if position != known.position:
            known.ends.clear()
        self.before = self.position = position
        self.ends: dict[bytes, tuple[int, bytes]] = {}
        self.headers: dict[bytes, StreamHeader] = {}
        self.definitions: dict[bytes, bytes] = {}
        self.types: dict[int, str] = {}
        self.rows: list[Row] = []
        self.work: dict[tuple[bytes, int], WorkItem | None] = {}
        self.erased: list[tuple[bytes, int]] = []
        self._identities: dict[bytes, bytes] = {}
        self.guards: dict[bytes, int] = {}
        self.living: dict[str, bool] = {}
        self.limits: Limits | None = None
        self.codes: dict[str, int] = {}

    def add(self, append: Append) -> AppendResult:
        """Take the next append in, or say why it lost."""
        stream_id, expected = append.stream_id, append.expected_version
        version, previous = self._end(stream_id)
        lost = self._loss(append, version)
        if lost is not None:
            return lost
        if append.header is not None:
            previous = self._start(stream_id, append.header)
        first = self.position + 1
        self._take(append, previous)
        if append.definition is not None:
            self._define(*append.definition)
        for step, item in append.work:
            self.work[stream_id, step] = item
        if append.erase:
            self.erased.append((stream_id, expected))
        if self.limits is not None:
            self.limits.take(append)
        return Appended(first, self.position)

    def _loss(self, append: Append, version: int) -> AppendResult | None:
        """Say why an append to a stream at this version loses, or None if it wins; a dead worker loses first."""
        if append.worker is not None and not self._lives(append.worker):
            return Fenced(append.worker)
        if version != append.expected_version:
            return VersionConflict(version)
        if append.guard is not None and self._guarding(append.guard[0]) != append.guard[1]:
            return VersionConflict(self._guarding(append.guard[0]))
        if append.header is not None:
            owner = self._owner(append.header.identity)
            if owner is not None:
                return IdentityTaken(owner)
        return self._over(append) if append.holdings else None

    def _over(self, append: Append) -> LimitReached | None:
        """Look for places under limits; the first scope without one decides."""
        if self.limits is None:
            self.limits = Limits(self._facts.holders, self.work)
        scope = self.limits.full(append)
        return None if scope is None else LimitReached(scope)

    def _lives(self, worker_id: str) -> bool:
        """Tell whether a worker lives; many appends of a group share one look."""
        found = self.living.get(worker_id)
        if found is None:
            found = self.living[worker_id] = self._facts.lives(worker_id)
        return found

    def _end(self, stream_id: bytes) -> tuple[int, bytes]:
        """Give version and hash of the last event of a stream; version 0 where there is none."""
        end = self.ends.get(stream_id) or self._known.ends.get(stream_id)
        if end is None:
            end = self._facts.end(stream_id) or (0, b"")
            if end[0]:
                self.ends[stream_id] = end
        return end

    def _guarding(self, stream_id: bytes) -> int:
        """Give the version that a guard had before this group; many appends of a group share one."""
        version = self.guards.get(stream_id)
        if version is None:
            version = self.guards[stream_id] = self._end(stream_id)[0]
        return version

    def _owner(self, identity: bytes | None) -> bytes | None:
        """Give the stream that has an identity already, in the log or in this group."""
        if identity is None:
            return None
        return self._identities.get(identity) or self._facts.owner(identity)

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
        self.rows += rows
        self.ends[stream_id] = (version + len(rows), last)
        self.position += len(rows)

    def _coded(self, event: NewEvent) -> NewEvent:
        """Give an event the code of its type; a code that is new to the log is stored with this group."""
        if event.code:
            self._check_named(event.code, event.type)
            return event
        known = self._known.codes.get(event.type) or self.codes.get(event.type) or self._custom_code(event.type)
        return event._replace(code=known)

    def _check_named(self, code: int, name: str) -> None:
        """Store the name of a system type's code, or make sure that the log has it under this name."""
        if self.types.get(code) == name or self._known.names.get(code) == name:
            return
        stored = self._facts.name(code)
        found = self.types.get(code) if stored is None else stored
        if found is None:
            self.types[code] = name
        elif found != name:
            msg = (
                f"event type {name!r}: expected this name for code {code} in the log, found {found!r}. "
                "The log was written or changed by something else; run `tasker audit verify`"
            )
            raise TaskerError(msg)
        elif stored is not None:
            self._known.names[code] = name

    def _custom_code(self, name: str) -> int:
        """Look a custom type up in the log, else give it the next free code."""
        stored = self._facts.code(name)
        if stored is not None:
            self._known.codes[name] = stored
            return stored
        code = max(FIRST_CUSTOM_CODE, self._facts.last_code() + 1, *(taken + 1 for taken in self.types))
        self.types[code] = name
        self.codes[name] = code
        return code

    def _define(self, digest: bytes, stored: bytes) -> None:
        """Store a definition if the log has none of this digest."""
        if digest in self._known.definitions or digest in self.definitions:
            return
        if self._facts.has_definition(digest):
            self._known.definitions.add(digest)
        else:
            self.definitions[digest] = stored
