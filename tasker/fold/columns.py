"""What folds and verification read of events in bulk: columns in few, fat values, and nothing of what users wrote.

A head is what a fold needs of one event; heads come stream by stream, each from version 1 on, as a list of tuples or
as one packed buffer (60 bytes for an event, big-endian). A link is what the chain needs of one event.
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tasker.codec.rows import StreamHeader

Head = tuple[bytes, int, int, int, int, int | None]
"""Stream, position, `version << 32 | code << 16 | schema_version` (a code above 65535 counts as that),
`step + 1 << 32 | attempt` (0 for NULL in both), time, due."""

Heads = list[Head] | bytes
"""Heads as tuples, or packed: stream 16, position i64, version, code, schema_version, step (-1 for NULL) and attempt
i32, time and due i64 (the lowest for NULL)."""

Link = tuple[
    int, bytes, int, int, int, int | None, str | None, bytes | None, bytes | None, bytes, bytes | None, bytes | None,
    int,
]  # fmt: skip
"""Position, `stream_id ‖ event_id ‖ hash`, `version << 32 | code`, `step + 1 << 32 | attempt + 1` (0 for NULL), time,
due, actor, causation_id, metadata, data, payload, `salt ‖ payload_hash` or the latter alone, schema_version (-1: a
column is not of the kind or length that the log writes). A number with a fraction, which is none of the log's, stays
one."""

StreamRow = tuple[bytes, str, str, str, bytes, str | None, bytes | None]
"""Id of a stream, then the columns of `StreamHeader`."""

NO_DUE = -(2**63)
_packed = Struct(">16sqiiiiiqq")
HEAD_BYTES = _packed.size
_MOST = 65_535
_LOW = 0xFFFFFFFF


class HeadPage(NamedTuple):
    """The heads of whole streams, in the order of their ids.

    Attributes:
        streams: Id and row of each stream from the first to the last of them, also of such as have no heads here.
        heads: The columns of their events.
        events: How many events those are.
    """

    streams: list[tuple[bytes, StreamHeader]]
    heads: Heads
    events: int


class LinkPage(NamedTuple):
    """Some events in the order of the log.

    Attributes:
        links: Their columns.
        headers: The rows of the streams that begin here, as far as they are there.
        types: Names of type codes, in UTF-8.
    """

    links: list[Link]
    headers: list[StreamRow]
    types: Mapping[int, bytes]


def points(heads: Heads) -> list[tuple[int, int]]:
    """Give position and time of each head."""
    if isinstance(heads, bytes):
        return [(head[1], head[7]) for head in _packed.iter_unpack(heads)]
    return [(head[1], head[4]) for head in heads]


def at_code(heads: Heads, code: int) -> list[int]:
    """Give the positions of the heads with one type code below 65535."""
    if isinstance(heads, bytes):
        return [head[1] for head in _packed.iter_unpack(heads) if head[3] == code]
    mask, wanted = _MOST << 16, code << 16
    return [head[1] for head in heads if head[2] & mask == wanted]


def kinds(heads: Heads) -> Iterator[tuple[bytes, int, int, int]]:
    """Give stream, position, type code and time of each head; a code above 65535 counts as that."""
    if isinstance(heads, bytes):
        return ((head[0], head[1], head[3], head[7]) for head in _packed.iter_unpack(heads))
    return ((head[0], head[1], head[2] >> 16 & _MOST, head[4]) for head in heads)


def first(heads: Heads, stream_id: bytes) -> int:
    """Find the first head of a stream; where it has none, the place at which it would stand."""
    low, high = 0, length(heads)
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if _stream(heads, middle) < stream_id else (low, middle)
    return low


def length(heads: Heads) -> int:
    """Count heads."""
    return len(heads) // HEAD_BYTES if isinstance(heads, bytes) else len(heads)


def position(heads: Heads, place: int) -> int:
    """Give the position of the head at a place."""
    if isinstance(heads, bytes):
        return int(_packed.unpack_from(heads, place * HEAD_BYTES)[1])
    return heads[place][1]


def last(heads: Heads) -> bytes:
    """Give the stream of the last head."""
    return _stream(heads, length(heads) - 1)


def flaw(page: HeadPage) -> tuple[int, str] | None:
    """Name the first head, and why, whose stream has no row or whose version is not the next; None if all fit."""
    known = {stream_id for stream_id, _ in page.streams}
    before, last_version = b"", 0
    for stream_id, at, version in _places(page.heads):
        expected = last_version + 1 if stream_id == before else 1
        if stream_id not in known:
            return at, "no row of its stream"
        if version != expected:
            return at, f"version {version} of its stream where {expected} was expected"
        before, last_version = stream_id, version
    return None


def _places(heads: Heads) -> Iterator[tuple[bytes, int, int]]:
    """Give stream, position and version of each head."""
    if isinstance(heads, bytes):
        return ((head[0], head[1], head[2]) for head in _packed.iter_unpack(heads))
    return ((head[0], head[1], head[2] >> 32) for head in heads)


def _stream(heads: Heads, place: int) -> bytes:
    if isinstance(heads, bytes):
        return heads[place * HEAD_BYTES : place * HEAD_BYTES + 16]
    return heads[place][0]


def pack(heads: Sequence[Head]) -> bytes:
    """Write heads as one buffer."""
    return b"".join(
        _packed.pack(
            stream_id,
            at,
            kind >> 32,
            kind >> 16 & _MOST,
            kind & _MOST,
            (place >> 32) - 1,
            place & _LOW,
            time,
            NO_DUE if due is None else due,
        )
        for stream_id, at, kind, place, time, due in heads
    )
