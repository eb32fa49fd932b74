"""The hash chain: the exact bytes that protect a log. Pure, and never re-encodes anything that is stored.

All integers are big-endian. `len` is the length in bytes. Text is UTF-8. `SHA` is SHA-256.

Root of a stream (the "previous hash" of its version 1)::

    root   = SHA(log_id ‖ stream_id ‖ header)
    header = field(namespace) ‖ field(task_name) ‖ field(task_version) ‖ field(definition_digest)
           ‖ field(correlation_id) ‖ field(identity)
    field(value) = u32 len ‖ value;  field(NULL) = u32 0xFFFFFFFF

Payload (an event without payload has NULL in salt, payload and payload_hash)::

    payload_hash = SHA(salt ‖ payload)          salt is 16 bytes

Event::

    hash = SHA(previous ‖ fixed ‖ stream_id ‖ event_id ‖ type ‖ actor ‖ causation_id ‖ metadata
               ‖ SHA(data) ‖ payload_hash, or 32 zero bytes where it is NULL)

    fixed, 64 bytes:
      offset  type  what
       0      u8    layout of this header: 1
       1      u8    flags: 1 step is not NULL, 2 attempt is not NULL, 4 due is not NULL, 8 payload_hash is not NULL
       2      u16   schema_version
       4      u64   position
      12      u32   version
      16      u32   code of the type
      20      i64   time, microseconds since the epoch
      28      i32   step, 0 where NULL
      32      i32   attempt, 0 where NULL
      36      i64   due, microseconds since the epoch, 0 where NULL
      44      u16   len(stream_id)
      46      u16   len(event_id)
      48      u32   len(type)
      52      u32   len(actor), 0xFFFFFFFF where NULL
      56      u32   len(causation_id), 0xFFFFFFFF where NULL
      60      u32   len(metadata), 0xFFFFFFFF where NULL

NULL has an encoding of its own everywhere, and every column of variable length has its length in front of it, so two
different rows never give the same bytes. The code and the name of the type both enter: neither a row of `events`
nor one of `event_types` can be changed without being found.
"""

from __future__ import annotations

from hashlib import sha256
from struct import Struct

NO_PAYLOAD = bytes(32)
"""What enters the chain in place of the hash of a payload that does not exist."""

_ABSENT = 0xFFFFFFFF
_ABSENT_FIELD = _ABSENT.to_bytes(4, "big")
_pack_fixed = Struct(">BBHQIIqiiqHHIIII").pack

Columns = tuple[
    bytes,  # event_id
    int,  # code
    str,  # type
    int,  # schema_version
    int,  # time
    int | None,  # step
    int | None,  # attempt
    int | None,  # due
    str | None,  # actor
    bytes | None,  # causation_id
    bytes | None,  # metadata
    bytes,  # data
]
"""The columns of an event that enter as they are stored: `new_event[:12]`, `stored_event[3:15]`."""


def _field(value: str | bytes | None) -> bytes:
    """Put the length in front of a value, or write that there is none."""
    if value is None:
        return _ABSENT_FIELD
    stored = value.encode() if isinstance(value, str) else value
    return len(stored).to_bytes(4, "big") + stored


def header_bytes(
    namespace: str,
    task_name: str,
    task_version: str,
    definition_digest: bytes,
    correlation_id: str | None,
    identity: bytes | None,
) -> bytes:
    """Write the `streams` row of a stream as the bytes that enter its root."""
    row = (namespace, task_name, task_version, definition_digest, correlation_id, identity)
    return b"".join(map(_field, row))


def stream_root(log_id: bytes, stream_id: bytes, header: bytes) -> bytes:
    """Give the hash from which version 1 of a stream chains.

    Args:
        log_id: The 16 bytes that name the log.
        stream_id: The 16 bytes that name the stream.
        header: What `header_bytes` gave for its `streams` row.
    """
    return sha256(log_id + stream_id + header).digest()


def payload_hash(salt: bytes, payload: bytes) -> bytes:
    """Give the hash that stands for a payload, also after its erasure."""
    return sha256(salt + payload).digest()


def event_hash(
    previous: bytes, position: int, stream_id: bytes, version: int, columns: Columns, payload: bytes | None
) -> bytes:
    """Give the hash of an event.

    Args:
        previous: The hash of the event before it in its stream, or the root of the stream for version 1.
        position: Its place in the log.
        stream_id: Its stream.
        version: Its place in the stream.
        columns: Its other columns.
        payload: The stored `payload_hash`, or None where the event has no payload.

    Raises:
        struct.error: A column holds what no log ever writes there: it was changed.
    """
    event_id, code, name, schema, time, step, attempt, due, actor, causation, metadata, data = columns
    kind = name.encode()
    who = b"" if actor is None else actor.encode()
    flags = (step is not None) | (attempt is not None) << 1 | (due is not None) << 2 | (payload is not None) << 3
    fixed = _pack_fixed(
        1,
        flags,
        schema,
        position,
        version,
        code,
        time,
        step or 0,
        attempt or 0,
        due or 0,
        len(stream_id),
        len(event_id),
        len(kind),
        _ABSENT if actor is None else len(who),
        _ABSENT if causation is None else len(causation),
        _ABSENT if metadata is None else len(metadata),
    )
    own = previous + fixed + stream_id + event_id + kind
    if who or causation or metadata:
        own += who + (causation or b"") + (metadata or b"")
    return sha256(own + sha256(data).digest() + (NO_PAYLOAD if payload is None else payload)).digest()
