"""Recompute the hash chain over stored rows, in the order of the log, and stop at the first that does not verify."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

from tasker.codec.chain import event_hash, header_bytes, payload_hash, stream_root
from tasker.codec.registry import CODES
from tasker.domain.events import TaskErased
from tasker.errors import ChainBroken

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tasker.codec.rows import StoredEvent, StreamHeader

_ERASED = CODES[TaskErased]
_MALFORMED = (TypeError, ValueError, AttributeError, struct.error, OverflowError)
"""What a column that holds another kind of value raises while it is hashed."""


class Gone(NamedTuple):
    """A payload that is gone: legal only if `task.erased` follows in the same stream."""

    position: int
    stream_id: bytes


class Verifier:
    """Recomputes chains over rows that it is fed page by page, in the order of their positions.

    Attributes:
        position: Of the last row that verified.
        codes: The type codes that occurred.
    """

    def __init__(self, log_id: bytes) -> None:
        """Take the 16 bytes that name the log."""
        self.position = 0
        self.codes: set[int] = set()
        self._log_id = log_id
        self._ends: dict[bytes, tuple[int, bytes]] = {}
        self._gone: dict[bytes, int] = {}

    @property
    def streams(self) -> int:
        """Count the streams that occurred."""
        return len(self._ends)

    def knows(self, stream_id: bytes) -> bool:
        """Say whether an event of this stream occurred."""
        return stream_id in self._ends

    def gone(self) -> Iterable[Gone]:
        """Give, for each stream with payloads that no `task.erased` explains so far, the first; in log order."""
        return sorted(Gone(position, stream_id) for stream_id, position in self._gone.items())

    def feed(self, rows: Sequence[StoredEvent]) -> None:
        """Verify the next rows.

        Raises:
            ChainBroken: The first row that is not what was appended.
        """
        ends = self._ends
        for row in rows:
            stream_id, version = row.stream_id, row.version
            end = ends.get(stream_id)
            if row.position != self.position + 1 or version != (1 if end is None else end[0] + 1):
                raise self._misplaced(row, 0 if end is None else end[0])
            try:
                previous = self._root(stream_id, row.header) if end is None else end[1]
                found = event_hash(previous, row.position, stream_id, version, row[3:15], row.payload_hash)
                self._check_payload(row)
            except _MALFORMED as error:
                raise _malformed(row, error) from error
            if found != row.hash:
                raise _hash(row, found)
            ends[stream_id] = (version, found)
            self.position += 1
            self.codes.add(row.code)

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

    def _check_payload(self, row: StoredEvent) -> None:
        """Check the payload against its hash, and take in what is gone and what explains it."""
        if row.payload is None and row.salt is None:
            if row.payload_hash is not None:
                self._gone.setdefault(row.stream_id, row.position)
            elif row.code == _ERASED:
                self._gone.pop(row.stream_id, None)
            return
        found = payload_hash(row.salt or b"", row.payload or b"")
        if row.payload is None or found != row.payload_hash:
            raise _payload(row, found.hex())


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
