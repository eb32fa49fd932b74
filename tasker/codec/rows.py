"""Stored values: an event before and after it has its place in the log, the row of a stream, a seal.

Times are integer microseconds since the epoch (UTC). Ids of streams and events are 16 bytes.
"""

from __future__ import annotations

from typing import NamedTuple


class StreamHeader(NamedTuple):
    """What is the same for all events of a stream: one `streams` row, written with the first append.

    `identity` is the 32-byte digest under which a repeated request finds this stream, or None.
    """

    namespace: str
    task_name: str
    task_version: str
    definition_digest: bytes
    correlation_id: str | None
    identity: bytes | None


class NewEvent(NamedTuple):
    """An event that has no place in the log yet.

    `code` is the fixed code of a system type; 0 asks the log for the code of the custom type `type`.
    """

    event_id: bytes
    code: int
    type: str
    schema_version: int
    time: int
    step: int | None
    attempt: int | None
    due: int | None
    actor: str | None
    causation_id: bytes | None
    metadata: bytes | None
    data: bytes
    payload: bytes | None


class StoredEvent(NamedTuple):
    """An event as it stands in the log, with the header of its stream joined."""

    position: int
    stream_id: bytes
    version: int
    event_id: bytes
    code: int
    type: str
    schema_version: int
    time: int
    step: int | None
    attempt: int | None
    due: int | None
    actor: str | None
    causation_id: bytes | None
    metadata: bytes | None
    data: bytes
    payload: bytes | None
    salt: bytes | None
    payload_hash: bytes | None
    hash: bytes
    header: StreamHeader


class StoredSeal(NamedTuple):
    """A seal as it stands beside the log: a signed statement about the hashes of the events `first` to `last`."""

    first: int
    last: int
    merkle_root: bytes
    previous: bytes
    time: int
    key_id: bytes
    signature: bytes
