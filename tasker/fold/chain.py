"""Recompute the hash chain over stored rows, in the order of the log, and stop at the first that does not verify."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

from tasker.codec.chain import event_hash, header_bytes, payload_hash, stream_root
from tasker.codec.registry import CODES
from tasker.domain.events import TaskErased
from tasker.errors import ChainBroken
from tasker.fold import native as loader

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tasker.codec.rows import StoredEvent, StreamHeader
    from tasker.fold.columns import LinkPage
    from tasker.fold.compiled import Chain

_ERASED = CODES[TaskErased]
_MALFORMED = (TypeError, ValueError, AttributeError, struct.error, OverflowError)
"""What a column that holds another kind of value raises while it is hashed."""


class Gone(NamedTuple):
    """A payload that is gone: legal only if `task.erased` follows in the same stream."""

    position: int
    stream_id: bytes


class _Ends:
    """The ends of all chains up to a position, as `tasker.fold.compiled.Chain` describes them."""

    def __init__(self) -> None:
        """Begin before the first row."""
        self.position = 0
        self._codes: set[int] = set()
        self._ends: dict[bytes, tuple[int, bytes]] = {}
        self._gone: dict[bytes, int] = {}

    @property
    def streams(self) -> int:
        """Count the streams that occurred."""
        return len(self._ends)

    def knows(self, stream_id: bytes) -> bool:
        """Say whether an event of this stream occurred."""
        return stream_id in self._ends

    def end(self, stream_id: bytes) -> tuple[int, bytes] | None:
        """Give version and hash of the last verified event of a stream."""
        return self._ends.get(stream_id)

    def gone(self) -> list[tuple[int, bytes]]:
        """Give, for each stream with payloads that nothing explains so far, position and stream of the first."""
        return sorted((position, stream_id) for stream_id, position in self._gone.items())

    def codes(self) -> list[int]:
        """Give the type codes that occurred."""
        return sorted(self._codes)

    def take(
        self,
        stream_id: bytes,
        version: int,
        hash: bytes,
        code: int,
        gone: bool = False,  # noqa: FBT001, FBT002 - as the compiled one
        erased: bool = False,  # noqa: FBT001, FBT002 - the same
    ) -> None:
        """Move over the next row."""
        self.position += 1
        self._ends[stream_id] = (version, hash)
        self._codes.add(code)
        if gone:
            self._gone.setdefault(stream_id, self.position)
        elif erased:
            self._gone.pop(stream_id, None)


class Verifier:
    """Recomputes chains over rows that it is fed page by page, in the order of their positions.

    Links are for the compiled implementation: it verifies them as far as it can, and says no word about the next. Whole
    rows are verified here, go on from wherever links led, and give the exact error.
    """

    def __init__(self, log_id: bytes) -> None:
        """Take the 16 bytes that name the log."""
        self._log_id = log_id
        module = loader.native()
        self._compiled = None if module is None else module.Chain(log_id)
        self._chain: Chain = self._compiled or _Ends()

    @property
    def position(self) -> int:
        """Give the position of the last row that verified."""
        return self._chain.position

    @property
    def codes(self) -> set[int]:
        """Give the type codes that occurred."""
        return set(self._chain.codes())

    @property
    def streams(self) -> int:
        """Count the streams that occurred."""
        return self._chain.streams

    @property
    def takes_links(self) -> bool:
        """Say whether `feed_links` can verify anything."""
        return self._compiled is not None

    def knows(self, stream_id: bytes) -> bool:
        """Say whether an event of this stream occurred."""
        return self._chain.knows(stream_id)

    def gone(self) -> Iterable[Gone]:
        """Give, for each stream with payloads that no `task.erased` explains so far, the first; in log order."""
        return [Gone(*one) for one in self._chain.gone()]

    def feed_links(self, page: LinkPage) -> bool:
        """Verify the next rows by their links; False if the row behind the last that verified needs `feed`."""
        if self._compiled is None:
            return False
        return self._compiled.feed(page.links, page.headers, page.types) == len(page.links)

    def join(self, part: bytes) -> bool:
        """Move on over what `Part.result` gives; False, and nothing is changed, if that part does not begin here.

        A part fits only if each hash that it believed is the one that verified here, and if every stream that began in
        it is new. So what one pass over its rows would find is found: a part that does not fit needs that pass.
        """
        return self._compiled is not None and self._compiled.join(part)

    def feed(self, rows: Sequence[StoredEvent]) -> None:
        """Verify the next rows.

        Raises:
            ChainBroken: The first row that is not what was appended.
        """
        for row in rows:
            stream_id, version = row.stream_id, row.version
            end = self._chain.end(stream_id) if isinstance(stream_id, bytes) else None
            if row.position != self.position + 1 or version != (1 if end is None else end[0] + 1):
                raise self._misplaced(row, 0 if end is None else end[0])
            try:
                previous = self._root(stream_id, row.header) if end is None else end[1]
                found = event_hash(previous, row.position, stream_id, version, row[3:15], row.payload_hash)
                bare = _check_payload(row)
            except _MALFORMED as error:
                raise _malformed(row, error) from error
            if found != row.hash:
                raise _hash(row, found)
            gone = bare and row.payload_hash is not None
            self._chain.take(stream_id, version, found, row.code, gone, bare and row.code == _ERASED)

    def _misplaced(self, row: StoredEvent, version: int) -> ChainBroken:
        """Say which position or version is missing or repeated."""
        position = self.position + 1
        if row.position != position:
            message = (
                f"position {position}: expected an event, found position {row.position} next; rows were removed from or"
                " put into the log. Restore a backup and compare"
            )
            return ChainBroken(message, position=position, expected=str(position), found=str(row.position))
        message = (
            f"position {position}: expected version {version + 1} of stream {_shown(row.stream_id)}, found"
            f" {row.version!r}; the row was changed, or an earlier one removed. Restore a backup and compare"
        )
        return ChainBroken(
            message, position=position, expected=f"version {version + 1}", found=f"version {row.version!r}"
        )

    def _root(self, stream_id: bytes, header: StreamHeader) -> bytes:
        return stream_root(self._log_id, stream_id, header_bytes(*header))


def _check_payload(row: StoredEvent) -> bool:
    """Check the payload against its hash; True if there is neither payload nor salt."""
    if row.payload is None and row.salt is None:
        return True
    found = payload_hash(row.salt or b"", row.payload or b"")
    if row.payload is None or found != row.payload_hash:
        raise _payload(row, found.hex())
    return False


def _shown(value: object) -> str:
    return value.hex() if isinstance(value, bytes) else repr(value)


def _hash(row: StoredEvent, expected: bytes) -> ChainBroken:
    message = (
        f"position {row.position}: expected the hash {expected.hex()} from the stored columns and what stands before"
        f" them in the stream, found {_shown(row.hash)}; the row, its stream's row or the name of its type was changed."
        " Restore a backup and compare"
    )
    return ChainBroken(message, position=row.position, expected=expected.hex(), found=_shown(row.hash))


def _payload(row: StoredEvent, found: str) -> ChainBroken:
    expected = "no payload" if row.payload_hash is None else _shown(row.payload_hash)
    message = (
        f"position {row.position}: expected a payload with the hash {expected}, found {found}; the payload was changed."
        " Restore a backup and compare"
    )
    return ChainBroken(message, position=row.position, expected=expected, found=found)


def _malformed(row: StoredEvent, error: Exception) -> ChainBroken:
    message = (
        f"position {row.position}: expected columns of the kinds that the log writes, found another ({error}); the row"
        " was changed. Restore a backup and compare"
    )
    return ChainBroken(message, position=row.position, expected="columns of the log's kinds", found=str(error))
