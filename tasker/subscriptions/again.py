"""Sending a range of the log to a subscriber once more, or showing what would be sent."""

from __future__ import annotations

from asyncio import CancelledError
from typing import TYPE_CHECKING

from tasker.codec.recorded import RecordedEvent
from tasker.codec.registry import supported
from tasker.subscriptions.retry import told
from tasker.subscriptions.values import Redelivered

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tasker.log.port import EventLog
    from tasker.redaction import Redactor
    from tasker.subscriptions.lane import Lane

RAISED = (Exception, SystemExit, CancelledError)
"""What a subscriber may raise without ending who calls it."""
_PAGE = 500


def send_again(lane: Lane, log: EventLog, span: tuple[int, int], redactor: Redactor, *, dry_run: bool) -> Redelivered:
    """Hand the matching events of a range to a subscriber, or, as a dry run, to its filter alone.

    Raises:
        UnsupportedEvent: A newer release wrote a matching event.
    """
    sent: list[RecordedEvent] = []
    failures: list[tuple[int, str]] = []
    for event in _matching(lane, log, *span):
        try:
            taken = lane.subscriber.filter(event) if dry_run else lane.subscriber.deliver(event)
        except RAISED as error:
            failures.append((event.position, told(error, redactor)))
        else:
            if taken is not False:
                sent.append(event)
    return Redelivered(tuple(sent), tuple(failures))


def _matching(lane: Lane, log: EventLog, first: int, last: int) -> Iterator[RecordedEvent]:
    after = first - 1
    while after < last:
        page = log.tail(after, limit=min(_PAGE, last - after))
        for stored in page:
            if stored.position <= last and lane.patterns.matches(stored.type):
                supported(stored.code, stored.type, stored.schema_version, stored.position)
                yield RecordedEvent(stored, log.log_id)
        if not page:
            return
        after = page[-1].position
