"""One batch of one subscription: hands events to the subscriber and notes what came of it; stores nothing itself."""

from __future__ import annotations

import json
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple

from tasker.codec.decode import text_id
from tasker.codec.recorded import RecordedEvent
from tasker.codec.registry import supported
from tasker.errors import TaskerError, UnsupportedEvent
from tasker.instrument import count, logger
from tasker.subscriptions.clock import elapsed
from tasker.subscriptions.retry import LONGEST_DELAY, next_try, told
from tasker.subscriptions.tables import DISCARDED, FAILED, PARKED, PAUSED, RETRYING
from tasker.subscriptions.values import Held, Outcome, Row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tasker.codec.rows import StoredEvent
    from tasker.log.port import EventLog
    from tasker.redaction import Redactor
    from tasker.subscriptions.lane import Lane
    from tasker.subscriptions.pages import Wanted

SLICE = 0.5  # seconds for retries, and again for new events: then what was delivered is stored
STREAK = 5  # different tasks parked in a row, or calls that hang, pause a subscription
_BEHIND = 100  # events of a held stream read at once


class Overtaken(Exception):
    """The lease ended and another process has the subscription, or may have it; nothing of the batch is stored."""


class Abandoned(Exception):
    """The call did not return in time, and somebody else has finished the batch."""


class Hanging(TaskerError):
    """A call of a subscriber that has not returned in time; the event is tried again like any other that failed."""


class Terms(NamedTuple):
    """What all batches of a process have in common.

    Attributes:
        log: Where the events behind a held one are read.
        redactor: Masks error texts.
        now: The present time of the application, in microseconds.
        holds: Asks the database whether a lease that has ended here is still ours.
        ending: Says whether batches are to end with the present event.
        longest_wait: The longest delay that a subscriber may ask for, in microseconds.
    """

    log: EventLog
    redactor: Redactor
    now: Callable[[], int]
    holds: Callable[[Lane], bool]
    ending: Callable[[], bool]
    longest_wait: int = LONGEST_DELAY


class _Call(NamedTuple):
    """A call of the subscriber: of an event, for the how-manieth time, and the held row that it is of, if any."""

    stored: StoredEvent
    tries: int
    row: Held | None
    since: float


class Batch:
    """One round of a subscription: what is due again, then what is new.

    An event that fails holds its stream: it gets a row, and the checkpoint moves on over it and the later events of the
    stream. When the row lets go, these are read from the log again, up to the checkpoint, in order.

    The thread that runs it changes it, until `give_up` or `cut` takes it away from a call that does not return.
    """

    def __init__(self, lane: Lane, row: Row, terms: Terms) -> None:
        """Start from where the subscription stands.

        Args:
            lane: The subscriber.
            row: The row of the subscription, owned by this process; its checkpoint is the one that was reached.
            terms: What all batches share.
        """
        self.held = set(lane.held)
        self._lane = lane
        self._row = row
        self._terms = terms
        self._checkpoint = row.checkpoint
        self._failures = row.failures
        self._streak: list[str] = json.loads(row.streak)
        self._error = row.error
        self._closed: list[int] = []
        self._written: dict[int, Held] = {}
        self._stop: tuple[str, str] | None = None
        self._deadline = 0.0
        self._call: _Call | None = None
        self._abandoned = False
        self._changing = Lock()

    # --- the thread that runs it ---

    def run(self, due: Sequence[Held], page: Wanted | None, until: int) -> None:
        """Try again what is due and deliver what waited behind it; then deliver new events up to a position.

        Raises:
            Overtaken: The lease has ended and another process has it.
            Abandoned: A call took too long, and the batch was finished without this thread.
        """
        with self._lane.turn:
            self._settle(due)
            if page is not None:
                self._advance(page, until)

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

    # --- whoever watches it ---

    def since(self) -> float | None:
        """Give when the present call of the subscriber began (see `elapsed`); None between two calls."""
        call = self._call
        return None if call is None else call.since

    def give_up(self, seconds: float) -> bool:
        """Take the batch away from a call that has lasted longer than so many seconds: it counts as failed.

        Returns:
            False if no call lasts so long.
        """
        with self._changing:
            call = self._call
            if call is None or elapsed() - call.since < seconds:
                return False
            self._abandon(call)
            text = (
                f"the subscriber has not returned within {seconds:g} s (its delivery_timeout); its thread is left alone"
            )
            self._failed(call, Hanging(text))
            if len(self._lane.hanging) >= STREAK and self._stop is None:
                more = f"{STREAK} calls have not returned, the last at position {call.stored.position}"
                self._stop = (PAUSED, f"paused, because {more}: {self._error}. Repair the cause, then resume")
            return True

    def cut(self) -> bool:
        """Take the batch away from a call that lasts, as if the call had not begun; False between two calls."""
        with self._changing:
            call = self._call
            if call is None:
                return False
            self._abandon(call)
            if call.row is not None:
                self._wait_at(call.row, call.stored)
            return True

    # --- its parts ---

    def _settle(self, rows: Sequence[Held]) -> None:
        self._deadline = elapsed() + SLICE
        for row in rows:
            self._let_go(row)
            if self._over():
                return

    def _advance(self, page: Wanted, until: int) -> None:
        """Deliver new events; those of held streams wait, the checkpoint moves over them."""
        self._deadline = elapsed() + SLICE
        held, ending = self.held, self._terms.ending
        for stored in page.events:
            if stored.position > until:
                break
            if stored.stream_id not in held:
                if not self._readable(stored):
                    self._checkpoint = stored.position - 1
                    return
                self._hand(stored)
                if self._stop is not None or elapsed() >= self._deadline or ending():
                    self._checkpoint = stored.position
                    return
            self._checkpoint = stored.position
        self._checkpoint = min(page.last, until)

    def _over(self) -> bool:
        return self._stop is not None or elapsed() >= self._deadline or self._terms.ending()

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
            if not self._hand(stored, row.tries + 1 if stored.position == row.position else 1, row):
                return
        self._close(row)
        self.held.discard(row.stream_id)

    def _behind(self, row: Held) -> Iterator[StoredEvent]:
        """Read a held event and those of its stream behind it, up to the stored checkpoint."""
        after = row.position if row.state == DISCARDED else row.position - 1
        while True:
            page = self._terms.log.tail(after, limit=_BEHIND, streams=[row.stream_id])
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
            self._written[stored.position] = Held(stored.position, row.stream_id, RETRYING, 0, self._terms.now(), None)

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

    def _hand(self, stored: StoredEvent, tries: int = 1, row: Held | None = None) -> bool:
        """Hand one event over; False if it failed."""
        lane, at = self._lane, elapsed()
        if at >= lane.valid_until and not self._terms.holds(lane):
            raise Overtaken
        call = _Call(stored, tries, row, at)
        if stored.position in lane.hanging:
            self._failed(call, Hanging("the call before this one has still not returned"))
            return False
        error: BaseException | None = None
        taken = False
        self._call = call
        try:
            taken = lane.subscriber.deliver(RecordedEvent(stored, self._terms.log.log_id))
        except BaseException as raised:  # noqa: BLE001 - this thread has no other purpose: whatever is raised is a failure
            error = raised
        with self._changing:
            self._call = None
            if self._abandoned:
                lane.hanging.discard(stored.position)
                raise Abandoned from error
        return self._noted(call, error, taken=taken is not False)

    def _noted(self, call: _Call, error: BaseException | None, *, taken: bool) -> bool:
        """Note what came of a call; what the filter passed over changes nothing."""
        if error is not None:
            self._failed(call, error)
        elif self._failures and taken:
            self._failures, self._error = 0, None
            self._streak.clear()
        return error is None

    def _abandon(self, call: _Call) -> None:
        self._abandoned = True
        self._call = None
        self._lane.hanging.add(call.stored.position)

    def _failed(self, call: _Call, error: BaseException) -> None:
        """Hold the stream at an event that failed."""
        stored = call.stored
        if call.row is None:
            self._checkpoint = stored.position
        else:
            self._close(call.row)
        tries, due = next_try(call.tries, error, self._terms.now(), self._terms.longest_wait)
        state = PARKED if due is None else RETRYING
        self._failures += 1
        self._error = told(error, self._terms.redactor)
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
