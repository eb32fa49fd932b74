"""Give new events their places in a chain: what an append computes for every event, compiled where that is possible."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasker.codec.chain import event_hash, payload_hash
from tasker.fold.native import native

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tasker.codec.rows import NewEvent

    Row = tuple[object, ...]
    """The columns of a row of `events`, in the order of the statement that inserts it."""

    Link = Callable[[bytes, int, bytes, int, Sequence[NewEvent], bytes], tuple[list[Row], bytes]]

SALT = 16
"""Bytes of salt for each event with a payload."""


def linker() -> Link:
    """Give the function that links events.

    Called with the hash of the event before (or the root of the stream), its position, the stream, its version, the
    events, and 16 bytes of salt for each of them that has a payload, in order, it gives their rows and the last hash.
    """
    module = native()
    return link if module is None else module.link


def link(
    previous: bytes, position: int, stream_id: bytes, version: int, events: Sequence[NewEvent], salts: bytes
) -> tuple[list[Row], bytes]:
    """Link events in Python; see `linker`."""
    rows: list[Row] = []
    for event in events:
        position += 1
        version += 1
        salt = digest = None
        if event.payload is not None:
            salt, salts = salts[:SALT], salts[SALT:]
            digest = payload_hash(salt, event.payload)
        previous = event_hash(previous, position, stream_id, version, event[:12], digest)
        rows.append((position, stream_id, version, event[0], event[1], *event[3:], salt, digest, previous))
    return rows, previous
