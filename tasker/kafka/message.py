"""The messages that come and go, and the headers that Tasker reads and writes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

Headers = tuple[tuple[str, bytes], ...]

CORRELATION = "X-Correlation-ID"
TRACE = ("traceparent", "tracestate")
OWN = "tasker-"
"""How the names of our own headers begin."""
IDENTITY = "tasker-source"
"""Where a request without a key was published first; it keeps this identity when it is published again."""
UNKNOWN_SINCE = "tasker-unknown-since"
"""Milliseconds: since when no worker knew the definition."""


class Incoming(NamedTuple):
    """A message as it was consumed; `timestamp` in milliseconds, -1 where it has none."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Headers = ()

    def header(self, name: str) -> str | None:
        """Give the last header of a name, in whatever case it is written; None for what is no text."""
        for key, value in reversed(self.headers):
            if key.lower() == name.lower():
                return _text(value)
        return None

    @property
    def trace(self) -> dict[str, str] | None:
        """Give the headers of W3C Trace Context, or None."""
        if not self.headers:
            return None
        found = {name: self.header(name) for name in TRACE}
        return {name: value for name, value in found.items() if value is not None} or None

    def source(self, cluster_id: str) -> str:
        """Give the identity of a request that has no key: where and when it was published first."""
        own = f"kafka:{cluster_id}/{self.topic}/{self.partition}/{self.offset}/{self.timestamp}"
        return self.header(IDENTITY) or own


class Outgoing(NamedTuple):
    """A message to publish."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers = ()


def headers_of(found: Mapping[str, bytes | None] | Iterable[tuple[str, bytes | None]] | None) -> Headers:
    """Give headers as consumers of any library hand them over."""
    pairs = found.items() if isinstance(found, Mapping) else found or ()
    return tuple((str(name), b"" if value is None else bytes(value)) for name, value in pairs)


def foreign(headers: Headers) -> Headers:
    """Give the headers that are not ours."""
    return tuple((name, value) for name, value in headers if not name.startswith(OWN))


def _text(value: bytes) -> str | None:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return None
