"""Values for the suites of the log, and a chain checker that follows the written layout and nothing else."""

from __future__ import annotations

import struct
import time
from hashlib import sha256
from itertools import count

from tasker.codec.rows import NewEvent, StoredEvent, StreamHeader
from tasker.log.port import Append, Appended, EventLog

_numbers = count(1)
CREATED, STARTED, COMPLETED = (1, "task.created"), (10, "step.started"), (11, "step.completed")


def new_id() -> bytes:
    """Give 16 bytes that grow, as a UUIDv7 does."""
    return time.time_ns().to_bytes(8, "big") + next(_numbers).to_bytes(8, "big")


def header(*, identity: bytes | None = None, name: str = "order") -> StreamHeader:
    """Give the row of a new stream."""
    return StreamHeader("default", name, "1.0.0", bytes(32), None, identity)


def event(kind: tuple[int, str] = STARTED, payload: bytes | None = None, **columns: object) -> NewEvent:
    """Give an event with plausible columns."""
    plain = NewEvent(
        new_id(), *kind, 1, 1_795_269_600_000_000, 0, 1, None, "worker", None, None, b'{"step":"a"}', payload
    )
    return plain._replace(**columns)


def start(stream_id: bytes, *events: NewEvent, identity: bytes | None = None) -> Append:
    """Give the first append of a stream."""
    return Append(stream_id, 0, events or (event(CREATED, step=None, attempt=None),), header(identity=identity))


def more(stream_id: bytes, expected: int, *events: NewEvent) -> Append:
    """Give a later append of a stream."""
    return Append(stream_id, expected, events or (event(),))


def started(log: EventLog, *events: NewEvent) -> bytes:
    """Start a new stream; give its id."""
    stream_id = new_id()
    assert isinstance(log.append([start(stream_id, *events)])[0], Appended)
    return stream_id


def link(stored: StoredEvent, previous: bytes) -> bytes:
    """Compute the hash of a stored event by the written layout."""
    none = 0xFFFFFFFF
    flags = sum(bit for bit, it in ((1, stored.step), (2, stored.attempt), (4, stored.due), (8, stored.payload_hash))
                if it is not None)  # fmt: skip
    kind, actor = stored.type.encode(), None if stored.actor is None else stored.actor.encode()
    fixed = struct.pack(">BBHQII", 1, flags, stored.schema_version, stored.position, stored.version, stored.code)
    fixed += struct.pack(">qiiq", stored.time, stored.step or 0, stored.attempt or 0, stored.due or 0)
    fixed += struct.pack(">HHI", len(stored.stream_id), len(stored.event_id), len(kind))
    for variable in (actor, stored.causation_id, stored.metadata):
        fixed += struct.pack(">I", none if variable is None else len(variable))
    assert len(fixed) == 64
    body = stored.stream_id + stored.event_id + kind
    body += b"".join(variable or b"" for variable in (actor, stored.causation_id, stored.metadata))
    return sha256(previous + fixed + body + sha256(stored.data).digest() + (stored.payload_hash or bytes(32))).digest()


def root(log_id: bytes, stored: StoredEvent) -> bytes:
    """Compute the hash from which the first event of a stream chains."""
    row = b""
    for field in stored.header:
        value = field.encode() if isinstance(field, str) else field
        row += b"\xff\xff\xff\xff" if value is None else struct.pack(">I", len(value)) + value
    return sha256(log_id + stored.stream_id + row).digest()


def broken(log: EventLog) -> list[int]:
    """Give the positions at which the chain does not verify, from stored bytes alone; also checks places."""
    ends: dict[bytes, tuple[int, bytes]] = {}
    wrong: list[int] = []
    for place, stored in enumerate(log.tail(0, limit=1_000_000), start=1):
        version, previous = ends.get(stored.stream_id) or (0, root(log.log_id, stored))
        payload = stored.payload
        if (
            link(stored, previous) != stored.hash
            or (stored.position, stored.version) != (place, version + 1)
            or (payload is not None and sha256((stored.salt or b"") + payload).digest() != stored.payload_hash)
        ):
            wrong.append(stored.position)
        ends[stored.stream_id] = (stored.version, stored.hash)
    return wrong
