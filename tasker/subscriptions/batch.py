"""One batch of one subscription: hands events to the subscriber and notes what came of it; stores nothing itself."""

from __future__ import annotations

import json
from asyncio import CancelledError
from time import monotonic
from typing import TYPE_CHECKING

from tasker.codec.decode import text_id
from tasker.codec.recorded import RecordedEvent
from tasker.codec.registry import supported
from tasker.errors import UnsupportedEvent
from tasker.instrument import count, logger
from tasker.subscriptions.retry import next_try, told
from tasker.subscriptions.tables import DISCARDED, FAILED, PARKED, PAUSED, RETRYING
from tasker.subscriptions.values import Held, Outcome, Row

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tasker.bus.subscriber import BaseSubscriber
    from tasker.catalog.patterns import Patterns
    from tasker.codec.rows import StoredEvent
    from tasker.log.port import EventLog
    from tasker.redaction import Redactor

SLICE = 0.5  # seconds for retries, and again for new events: then other subscriptions have their turn
STREAK = 5  # different tasks parked in a row pause a subscription
_BEHIND = 100  # events of a held stream read at once
RAISED = (Exception, SystemExit, CancelledError)
"""What a subscriber may raise without hurting anybody but its own delivery."""


class Lane:
    """A durable subscriber of this process.

    Attributes:
        name: The subscription.
        subscriber: Who is told.
        patterns: Of what.
        held: Streams that wait for a retry or a person; None while this process is not known to own the subscription.
    """

    def __init__(self, name: str, subscriber: BaseSubscriber, patterns: Patterns) -> None:
        """Start without ownership."""
        self.name = name
        self.subscriber = subscriber
        self.patterns = patterns
        self.held: set[bytes] | None = None


class Batch:
    """One round of a subscription: what is due again, then what is new.

    An event that fails holds its stream: it gets a row, and the checkpoint moves on over it and the later events of the
    stream. When the row lets go, these are read from the log again, up to the checkpoint, in order.
    """

    def __init__(self, lane: Lane, row: Row, log: EventLog, now: int, redactor: Redactor) -> None:
        """Start from the stored row.

        Args:
            lane: The subscriber.
            row: The row of the subscription, owned by this process.
            log: Where the events behind a held one are read.
            now: The present time of the application, in microseconds.
            redactor: Masks error texts.
        """
        self.held = set(lane.held or ())
        self._lane = lane
        self._row = row
        self._log = log
        self._now = now
        self._redactor = redactor
        self._checkpoint = row.checkpoint
        self._failures = row.failures
        self._streak: list[str] = json.loads(row.streak)
        self._error = row.error
        self._closed: list[int] = []
        self._written: dict[int, Held] = {}
        self._stop: tuple[str, str] | None = None
        self._deadline = 0.0

    def settle(self, rows: Sequence[Held]) -> None:
        """Try again what is due, and deliver what waited behind it."""
        self._deadline = monotonic() + SLICE
        for row in rows:
            self._let_go(row)
            if self._over():
                return

    def advance(self, page: Sequence[StoredEvent], until: int) -> None:
        """Deliver new events up to a position; those of held streams wait, the checkpoint moves over them."""
        self._deadline = monotonic() + SLICE
        matches, held = self._lane.patterns.matches, self.held
        for stored in page:
            if self._stop is not None or stored.position > until:
                return
            if matches(stored.type) and stored.stream_id not in held:
                if not self._readable(stored):
                    return
                error = self._hand(stored)
                if error is not None:
                    self._failed(stored, 1, error)
                if monotonic() >= self._deadline:
                    self._checkpoint = stored.position
                    return
            self._checkpoint = stored.position

    def fail(self, error: str) -> None:
        """Stop the subscription with an error."""
        self._stop = (FAILED, error)

    def outcome(self) -> Outcome | None:
        """Give what is to be stored; None if nothing happened."""
        changed = self._closed or self._written or self._stop is not None
        if not changed and self._checkpoint == self._row.checkpoint:
            return None
        return Outcome(
            self._checkpoint, self._failures, tuple(self._streak), self._error,
            tuple(self._closed), tuple(self._written.values()), self._stop,
        )  # fmt: skip

    def _over(self) -> bool:
        return self._stop is not None or monotonic() >= self._deadline

    def _let_go(self, row: Held) -> None:
        """Work a held stream off, as far as it goes."""
        tried = False
        for stored in self._behind(row):
            if not self._lane.patterns.matches(stored.type):
                continue  # the globs were changed since it was held
            if (tried and self._over()) or not self._readable(stored):
                self._wait_at(row, stored)
                return
            tried = True
            error = self._hand(stored)
            if error is not None:
                self._close(row)
                self._failed(stored, row.tries + 1 if stored.position == row.position else 1, error)
                return
        self._close(row)
        self.held.discard(row.stream_id)

    def _behind(self, row: Held) -> Iterator[StoredEvent]:
        """Read a held event and those of its stream behind it, up to the stored checkpoint."""
        after = row.position if row.state == DISCARDED else row.position - 1
        while True:
            page = self._log.tail(after, limit=_BEHIND, streams=[row.stream_id])
            for stored in page:
                if stored.position > self._row.checkpoint:
                    return
                yield stored
            if len(page) < _BEHIND:
                return
            after = page[-1].position

    def _wait_at(self, row: Held, stored: StoredEvent) -> None:
        """Come back to a stream at this event, with the next round."""
        if stored.position != row.position:
            self._close(row)
            self._written[stored.position] = Held(stored.position, row.stream_id, RETRYING, 0, self._now, None)

    def _close(self, row: Held) -> None:
        """Be done with a row; one that a person discarded is kept, closed."""
        if row.state == DISCARDED:
            self._written[row.position] = row._replace(due=None)
        else:
            self._closed.append(row.position)

    def _readable(self, stored: StoredEvent) -> bool:
        """Stop at an event that only a newer release can read."""
        try:
            supported(stored.code, stored.type, stored.schema_version, stored.position)
        except UnsupportedEvent as error:
            self.fail(str(error))
            return False
        return True

    def _hand(self, stored: StoredEvent) -> BaseException | None:
        """Hand one event over; give what the subscriber raised."""
        try:
            taken = self._lane.subscriber.deliver(RecordedEvent(stored, self._log.log_id))
        except RAISED as error:
            return error
        if self._failures and taken is not False:
            self._failures, self._error = 0, None
            self._streak.clear()
        return None

    def _failed(self, stored: StoredEvent, tries: int, error: BaseException) -> None:
        """Hold the stream at an event that failed."""
        due = next_try(tries, error, self._now)
        state = PARKED if due is None else RETRYING
        self._failures += 1
        self._error = told(error, self._redactor)
        self._written[stored.position] = Held(stored.position, stored.stream_id, state, tries, due, self._error)
        self.held.add(stored.stream_id)
        self._tell(stored, state, tries)
        if due is None:
            self._park(stored)

    def _park(self, stored: StoredEvent) -> None:
        stream = stored.stream_id.hex()
        if stream not in self._streak:
            self._streak.append(stream)
        if len(self._streak) >= STREAK:
            tasks = f"{STREAK} different tasks in a row were parked, the last at position {stored.position}"
            self._stop = (PAUSED, f"paused, because {tasks}: {self._error}. Repair the cause, retry them, then resume")

    def _tell(self, stored: StoredEvent, state: str, tries: int) -> None:
        name = self._lane.name
        count("tasker.subscription_failed", subscription=name, event=stored.type, state=state)
        logger("subscriptions").warning(
            "subscription %s: %s at position %s failed (try %s) and is %s: %s",
            name, stored.type, stored.position, tries, state, self._error,
            extra={"event": stored.type, "subscription": name, "task_id": text_id(stored.stream_id)},
        )  # fmt: skip
