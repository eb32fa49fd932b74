"""Rows of events become events: what is the same for a stream, and names of types, are joined from memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from tasker.codec.rows import StoredEvent, StreamHeader
from tasker.errors import ChainBroken

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_HEADERS_REMEMBERED = 50_000

Row = tuple[
    int, bytes, int, bytes, int, int, int, int | None, int | None, int | None, str | None, bytes | None,
    bytes | None, bytes, bytes | None, bytes | None, bytes | None, bytes,
]  # fmt: skip
"""One row of `events`, in the order of `StoredEvent`."""


class Source(Protocol):
    """Where the memory looks for what it does not have."""

    def headers(self, streams: Sequence[bytes]) -> Iterable[tuple[bytes, StreamHeader]]:
        """Read the rows of streams, with their ids; of those that have one."""

    def names(self) -> Iterable[tuple[int, str]]:
        """Read the names of all types by their codes."""


class Joining:
    """Remembers rows of streams and names of types; neither ever changes."""

    def __init__(self) -> None:
        """Remember nothing."""
        self.headers: dict[bytes, StreamHeader] = {}
        self.names: dict[int, str] = {}

    def remember(self, stream_id: bytes, header: StreamHeader) -> None:
        """Keep the row of a stream in memory."""
        if len(self.headers) >= _HEADERS_REMEMBERED:
            self.headers = {}
        self.headers[stream_id] = header

    def forget(self) -> None:
        """Forget headers and names of types."""
        self.headers, self.names = {}, {}

    def header(self, stream_id: bytes, source: Source) -> StreamHeader | None:
        """Give the row of a stream."""
        found = self.headers.get(stream_id)
        if found is None:
            for _, found in source.headers([stream_id]):
                self.remember(stream_id, found)
        return found

    def events(self, rows: Sequence[Row], source: Source) -> list[StoredEvent]:
        """Join names of types and rows of streams to the rows of events.

        Raises:
            ChainBroken: A row that an event needs is missing.
        """
        headers, names = self._headers(rows, source), self.names
        events: list[StoredEvent] = []
        for row in rows:
            header = headers.get(row[1]) or self.header(row[1], source)
            if header is None:
                raise _broken(row, "the row of its stream in streams")
            name = names.get(row[4]) or self._named(row, source)
            events.append(StoredEvent._make((*row[:5], name, *row[5:], header)))
        return events

    def _headers(self, rows: Sequence[Row], source: Source) -> dict[bytes, StreamHeader]:
        """Give the memory after it was asked for all streams of a page: one by one each would cost a round trip."""
        streams = {row[1] for row in rows}
        if len(self.headers) + len(streams) > _HEADERS_REMEMBERED:
            self.headers = {}
        headers = self.headers
        missing = [stream_id for stream_id in streams if stream_id not in headers]
        if missing:
            headers.update(source.headers(missing))
        return headers

    def _named(self, row: Row, source: Source) -> str:
        """Read the name of the type of an event, which must be there."""
        self.names.update(source.names())
        name = self.names.get(row[4])
        if name is None:
            raise _broken(row, f"the row of code {row[4]} in event_types")
        return name


def _broken(row: Row, lost: str) -> ChainBroken:
    """Say that an event has lost a row that it needs."""
    msg = f"position {row[0]}: {lost} is missing; rows were removed from the log. Restore a backup."
    return ChainBroken(msg, position=row[0], expected=lost, found="nothing")
