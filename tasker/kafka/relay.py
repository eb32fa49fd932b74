"""`Relay`: the durable subscription that publishes the log to the topic of events, in order, at least once.

One process owns it at a time, by the lease of its row. What was published is acknowledged by the broker before the
checkpoint moves; after a failover some events come twice, with the same id and stream version.
"""

from __future__ import annotations

import os
import socket
import time
import uuid
from threading import Event, Thread
from typing import TYPE_CHECKING, NamedTuple

import orjson

from tasker.codec.recorded import RecordedEvent
from tasker.codec.registry import supported
from tasker.errors import TaskerError, UnsupportedEvent
from tasker.instrument import logger
from tasker.kafka.errors import BrokerUnavailable, PublishRefused
from tasker.kafka.message import Outgoing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tasker.codec.rows import StoredEvent
    from tasker.kafka.pages import PagePublisher
    from tasker.log.port import Store
    from tasker.subscriptions.ledger import Ledger
    from tasker.subscriptions.values import Row

NAME = "relay"
CONTENT_TYPE = (("content-type", b"application/cloudevents+json; charset=UTF-8"),)
LEASE_SECONDS = 30.0
_MOST_EVENTS = 2_000
_FEWEST_EVENTS = 20
_PAGE_BYTES = 8 * 1024 * 1024
_OWNER_LOOK_SECONDS = 1.0
_AGAIN_SECONDS = 1.0
_REST_SECONDS = 0.05
"""How long it waits after a page that was not full: what a busy worker appends meanwhile costs one round, not ten."""
_RENEW = 1 / 3
_log = logger("kafka")


def patience(lease: float) -> float:
    """Give for how many seconds a page may be under way, so that its lease outlives it."""
    return lease * _RENEW


class RelayState(NamedTuple):
    """How the relay of this process stands.

    Attributes:
        owner: True if this process publishes.
        position: The last event that it published and stored as published.
        problem: Why it does not go on, or None.
    """

    owner: bool
    position: int
    problem: str | None


class Relay:
    """Publishes on a thread between `start` and `stop`; `step` does one page, for who has a thread of its own."""

    def __init__(
        self, store: Store, publisher: PagePublisher, topic: str, *, name: str = NAME, lease: float = LEASE_SECONDS
    ) -> None:
        """Take the log and where it goes; nothing is opened.

        Args:
            store: The log, opened for the relay alone, so that it hears of what this process appends.
            publisher: Publishes for the relay alone; it gives up a message well before the lease ends.
            topic: Where events go.
            name: The name of the subscription.
            lease: Seconds for which this process owns it without being heard of.
        """
        self._store = store
        self._publisher = publisher
        self._topic = topic
        self._name = name
        self._lease = lease
        self._ledger: Ledger | None = None
        self._row: Row | None = None
        self._valid_until = 0.0
        self._limit = _MOST_EVENTS
        self._full = False
        self._state = RelayState(owner=False, position=0, problem=None)
        self._woken = Event()
        self._stopping = Event()
        self._thread: Thread | None = None

    @property
    def state(self) -> RelayState:
        """Say how it stands."""
        return self._state

    def start(self) -> None:
        """Publish on a thread of its own until `stop`."""
        if self._thread is None:
            self._stopping.clear()
            self._thread = Thread(target=self._run, name="tasker-relay", daemon=True)
            self._thread.start()

    def stop(self, seconds: float = 8.0) -> bool:
        """Finish the page at hand and give the subscription up; False if that took longer, then its lease ends."""
        thread, self._thread = self._thread, None
        if thread is None:
            return True
        self._stopping.set()
        self._woken.set()
        thread.join(seconds)
        if thread.is_alive():
            _log.warning("the relay has not ended within %g s; its lease ends by itself", seconds)
            return False
        self._publisher.close()
        return True

    def step(self) -> bool:
        """Publish one page, if this process owns the subscription and there is one.

        Raises:
            BrokerUnavailable: The broker does not answer; the page is published again later.
            LogUnavailable: The store failed; the same.
        """
        row = self._owned()
        if row is None:
            return False
        page = self._store.log.tail(row.checkpoint, limit=self._limit)
        if not page:
            if row.checkpoint > (head := self._store.log.head()):
                self._fail(
                    row, f"it has reached position {row.checkpoint}, but the log ends at {head}: it lost its tail"
                )
            return False
        self._full = len(page) >= self._limit
        messages, problem = self._messages(page)
        if messages:
            try:
                self._publisher.publish(messages)
            except PublishRefused as error:
                self._fail(row, f"an event at position {page[0].position} to {page[-1].position} was refused: {error}")
                return False
            self._moved(row, page[len(messages) - 1].position)
        if problem is not None and self._row is not None:
            self._fail(self._row, problem)
        return problem is None

    def release(self) -> None:
        """Give the subscription up, so that another process may take it at once."""
        self._row = None
        self._state = self._state._replace(owner=False)
        if self._ledger is not None:
            self._ledger.release()

    # --- the thread ---

    def _run(self) -> None:
        signals = self._store.signals()
        signals.listen(self._woken.set)
        while not self._stopping.is_set():
            pause = self._guarded(signals.poll_seconds)
            if pause and self._row is not None:
                self._woken.wait(pause)
            elif pause:
                self._stopping.wait(pause)  # appends concern the owner: each would have all others ask for the lease
            elif not self._full:
                self._stopping.wait(_REST_SECONDS)
            self._woken.clear()
        try:
            self.release()
        except TaskerError as error:
            _log.warning("the relay could not be given up; its lease ends by itself: %s", error)

    def _guarded(self, poll: float) -> float:
        """Publish a page; give for how long there is nothing to do."""
        try:
            more = self.step()
            if more:
                return 0.0
            return poll if self._row is not None else _OWNER_LOOK_SECONDS
        except TaskerError as error:
            self._trouble(error)
        except Exception:  # noqa: BLE001 - the thread has no other purpose: it goes on
            _log.exception("the relay met a fault of the program and goes on")
            self._state = self._state._replace(problem="a fault of the program; see the log")
        return _AGAIN_SECONDS

    def _trouble(self, error: TaskerError) -> None:
        """Say once what keeps it from going on, and let another process try if it is the broker."""
        text = str(error)
        if text != self._state.problem:
            _log.warning("the relay waits: %s", text)
        self._state = self._state._replace(problem=text)
        if isinstance(error, BrokerUnavailable):
            try:
                self.release()
            except TaskerError as other:
                _log.debug("the relay could not be given up: %s", other)

    # --- its parts ---

    def _owned(self) -> Row | None:
        """Give the row while this process owns it, with its lease renewed in time."""
        began = time.monotonic()
        if self._row is not None and self._valid_until - began > patience(self._lease):
            return self._row
        ledger = self._ledger or self._registered()
        rows = ledger.claim([self._name])
        self._row = rows[0] if rows else None
        self._valid_until = began + self._lease
        if self._row is not None and not self._state.owner:
            _log.info("the relay publishes from position %s on", self._row.checkpoint)
        position = self._row.checkpoint if self._row is not None else self._state.position
        self._state = self._state._replace(owner=self._row is not None, position=position)
        return self._row

    def _registered(self) -> Ledger:
        from tasker.subscriptions.ledger import Ledger  # noqa: PLC0415 - SQLAlchemy is slow to import

        owner = f"{socket.gethostname()}-{os.getpid()}-relay-{uuid.uuid4().hex[:8]}"
        ledger = Ledger(self._store, owner, int(self._lease * 1_000_000))
        ledger.register(self._name, 0, ("*",))
        self._ledger = ledger
        return ledger

    def _messages(self, page: Sequence[StoredEvent]) -> tuple[list[Outgoing], str | None]:
        """Write events as CloudEvents; with the reason why it ends before the end of the page."""
        log_id = self._store.log.log_id
        messages: list[Outgoing] = []
        size = 0
        for stored in page:
            try:
                supported(stored.code, stored.type, stored.schema_version, stored.position)
            except UnsupportedEvent as error:
                return messages, str(error)
            event = RecordedEvent(stored, log_id)
            value = orjson.dumps(event.cloudevent())
            messages.append(Outgoing(self._topic, event.stream_id.encode(), value, CONTENT_TYPE))
            size += len(value)
        self._limit = max(_FEWEST_EVENTS, min(_MOST_EVENTS, len(page) * _PAGE_BYTES // max(size, 1)))
        return messages, None

    def _moved(self, row: Row, position: int) -> None:
        """Store how far it has come; whoever has taken the subscription over meanwhile publishes these again."""
        self._record(row, position, None)
        if self._row is not None:
            self._state = RelayState(owner=True, position=position, problem=None)

    def _fail(self, row: Row, why: str) -> None:
        """Stop the subscription, for everybody, until somebody resumes it."""
        text = f"the relay stopped behind position {row.checkpoint}: {why}"
        _log.error("%s. Repair the cause, then `tasker subscriptions resume %s`", text, self._name)
        self._record(row, row.checkpoint, text)
        self.release()
        self._state = RelayState(owner=False, position=row.checkpoint, problem=text)

    def _record(self, row: Row, position: int, failure: str | None) -> None:
        from tasker.subscriptions.tables import ACTIVE, FAILED  # noqa: PLC0415 - SQLAlchemy is slow to import
        from tasker.subscriptions.values import Entry, Outcome  # noqa: PLC0415

        if self._ledger is None:
            return
        began = time.monotonic()
        stop = None if failure is None else (FAILED, failure)
        outcome = Outcome(position, 0 if failure is None else 1, (), failure, stop=stop)
        [state] = self._ledger.commit([Entry(row, outcome)])
        if state == ACTIVE:
            self._row = row._replace(checkpoint=position)
            self._valid_until = began + self._lease
        else:
            if state is None:
                _log.warning("the relay was taken over by another process; what was published comes again from there")
            self._row = None
            self._state = self._state._replace(owner=False)
