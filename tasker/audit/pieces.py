"""Which events an export wants, and the lines of a range of the log, as this or another process writes them."""

from __future__ import annotations

import json
import signal
import sys
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from tasker.audit.lines import Lines
from tasker.catalog.patterns import Patterns
from tasker.errors import TaskerError
from tasker.log.open import open_store

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tasker.codec.rows import StoredEvent
    from tasker.log.port import EventLog

_PAGE = 500


class Wanted(NamedTuple):
    """The events that are wanted; None stands for all.

    Attributes:
        stream_id: The stream, as hexadecimal digits.
        types: Globs over event names.
        namespace: The namespace of the task.
        since: Only what was recorded later, in microseconds since the epoch.
        until: Only what was recorded earlier, the same.
    """

    stream_id: str | None = None
    types: tuple[str, ...] | None = None
    namespace: str | None = None
    since: int | None = None
    until: int | None = None

    def matches(self, event: StoredEvent) -> bool:
        """Say whether an event is wanted; its stream has been chosen already."""
        return (
            (self.types is None or _patterns(tuple(self.types)).matches(event.type))
            and (self.namespace is None or event.header.namespace == self.namespace)
            and (self.since is None or event.time > self.since)
            and (self.until is None or event.time < self.until)
        )


class Piece(NamedTuple):
    """Lines of a range of the log: how many, and the position up to which the log was read for them."""

    lines: bytes
    events: int
    last: int


def events(log: EventLog, wanted: Wanted, after: int, upto: int) -> Iterator[list[StoredEvent]]:
    """Read the wanted events of a range, page by page; a page may be empty.

    Raises:
        LogUnavailable: The store failed.
    """
    streams = None if wanted.stream_id is None else [bytes.fromhex(wanted.stream_id)]
    simple = wanted == Wanted(wanted.stream_id)
    while after < upto and (page := log.tail(after, limit=min(_PAGE, upto - after), streams=streams)):
        after = page[-1].position
        while page and page[-1].position > upto:
            page.pop()
        yield page if simple else [event for event in page if wanted.matches(event)]


def piece(log: EventLog, lines: Lines, wanted: Wanted, after: int, upto: int) -> Piece:
    """Write the lines of a range.

    Raises:
        LogUnavailable: The store failed.
    """
    written = [lines.line(event) for page in events(log, wanted, after, upto) for event in page]
    return Piece(b"".join(written), len(written), upto)


def main() -> None:
    """Write pieces for the process that has started this one: orders come and pieces go as `tasker.audit.export` says.

    It ends with its standard input, or when nobody reads what it writes any more.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who gives the orders decides what an interruption ends
    url, *values = json.loads(sys.stdin.buffer.readline())
    wanted, output = Wanted(*values), sys.stdout.buffer
    try:
        store = open_store(url, check_only=True)
        lines = Lines(store.log.log_id)
        for order in sys.stdin.buffer:
            made = piece(store.log, lines, wanted, *json.loads(order))
            output.write(b"= %d %d %d\n" % (len(made.lines), made.events, made.last))
            output.write(made.lines)
            output.flush()
    except TaskerError as error:
        output.write(b"! %b\n" % " ".join(str(error).split()).encode())
        output.flush()


@cache
def _patterns(globs: tuple[str, ...]) -> Patterns:
    return Patterns(globs)
