"""`Subscriptions`: registers subscribers, serves the durable ones of this process, and is what operators call.

subscriptions = Subscriptions(store, bus, now)
subscriptions.subscribe(Notify(), start="beginning")
while subscriptions.serve(now(), until_position=store.log.head()):
...
"""

from __future__ import annotations

import os
import socket
import uuid
from functools import partial
from threading import Event, Lock
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import BigInteger, literal

from tasker.bus.subscriber import BaseSubscriber, checked, close_quietly
from tasker.errors import InvalidRequest, TaskerError
from tasker.instrument import logger
from tasker.redaction import Redactor
from tasker.subscriptions.again import send_again
from tasker.subscriptions.clock import StoreClock
from tasker.subscriptions.lane import Lane
from tasker.subscriptions.ledger import Ledger
from tasker.subscriptions.operators import Operators
from tasker.subscriptions.retry import LONGEST_DELAY
from tasker.subscriptions.serving import Serving
from tasker.subscriptions.tables import ACTIVE, RETIRED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from tasker.bus.bus import Bus
    from tasker.catalog.patterns import Patterns
    from tasker.log.port import Store
    from tasker.subscriptions.values import Redelivered

LEASE = 30_000_000
"""Microseconds for which a process owns a subscription without being heard of."""
_END_SECONDS = 5.0
_LONGEST_NAME = 128
_log = logger("subscriptions")


class Rules(NamedTuple):
    """What the settings say about subscriptions.

    Attributes:
        redactor: Masks error texts that are stored and shown.
        lease: Microseconds for which a process owns a subscription without being heard of.
        longest_wait: The longest delay that a subscriber may ask for, in microseconds.
        clock: The present time in microseconds by which leases are compared; None for the database's.
    """

    redactor: Redactor = Redactor()
    lease: int = LEASE
    longest_wait: int = LONGEST_DELAY
    clock: Callable[[], int] | None = None


class Subscriptions(Operators):
    """All subscriptions of an application; thread-safe.

    Several processes may register the same name: one owns it at a time, by a lease on its row, and the others are ready
    to take over.

    """

    def __init__(
        self,
        store: Store,
        bus: Bus,
        now: Callable[[], int],
        rules: Rules | None = None,
        wake: Callable[[], None] = lambda: None,
    ) -> None:
        """Open and start nothing.

        Args:
            store: The log, and the database in which the rows are kept.
            bus: Where subscribers go that need not be durable.
            now: The present time of the application's clock, in microseconds; retries are measured by it.
            rules: What the settings say.
            wake: Called, from any thread, when another round is worth while; must return at once.
        """
        rules = rules or Rules()
        owner = f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        wall = rules.clock
        clock = StoreClock if wall is None else lambda: literal(wall(), BigInteger())
        super().__init__(store, Ledger(store, owner, rules.lease, clock), now)
        self._bus = bus
        self._redactor = rules.redactor
        self._serving = Serving(
            store, self._ledger, redactor=rules.redactor, now=now, longest_wait=rules.longest_wait, wake=wake
        )
        self._prepared: Mapping[str, Lane] = {}
        self._rounds = Lock()
        self._changing = Lock()
        self._alone = False

    def subscribe(
        self,
        subscriber: BaseSubscriber,
        *,
        name: str | None = None,
        durable: bool = True,
        start: str | int = "now",
        patterns: str | Iterable[str] | None = None,
    ) -> None:
        """Attach a subscriber: durably under a name, or to the bus of this process.

        Args:
            subscriber: Who is told.
            name: The identity of the subscription; by default the subscriber's `name`.
            durable: False for the bus: what comes while this process is down is not told later.
            start: `now`, `beginning`, or the position behind which it starts; counts at the first registration only.
            patterns: Globs in place of the subscriber's own `subscribe_to`.

        Raises:
            InvalidRequest: It is no subscriber, names no events, or has no name, or one that is taken; a wrong start.
        """
        wanted = self._adopted(subscriber, patterns)
        if not durable:
            self._bus.attach(subscriber, wanted)
            return
        lane = Lane(_checked_name(subscriber.name if name is None else name, subscriber), subscriber, wanted)
        with self._changing:
            self._refuse_another(lane)
            self._register(lane, start)

    def prepare(self, subscriber: BaseSubscriber, *, name: str | None = None) -> str:
        """Attach a subscriber for `redeliver` alone: no row is made or changed, and nothing new is delivered.

        Returns:
            The name of its subscription.

        Raises:
            InvalidRequest: As `subscribe`.
        """
        wanted = self._adopted(subscriber)
        lane = Lane(_checked_name(subscriber.name if name is None else name, subscriber), subscriber, wanted)
        with self._changing:
            self._refuse_another(lane)
            self._prepared = {**self._prepared, lane.name: lane}
        return lane.name

    def serve(self, now_micros: int, *, until_position: int, wait: bool = True) -> bool:
        """Serve every active subscription of this process once, a page of events each.

        A subscriber that calls this from a delivery is told that there was nothing to do.

        Args:
            now_micros: The present time of the application's clock.
            until_position: How far to go, as a rule the head of the log.
            wait: False to return while batches are still running; `wake` is called when another round is worth while.

        Returns:
            True if anything was delivered, tried or passed over: there may be more.

        Raises:
            LogUnavailable: The store failed; what was delivered since the last stored checkpoint is delivered again.
        """
        serving = self._serving
        if not serving.lanes or serving.here.lane is not None:
            return False
        with self._rounds:
            progress = serving.round(now_micros, until_position, at_once=wait)
            progress = bool(serving.busy()) or progress
        self._forget_retired()
        if wait:
            serving.wait()
            for failure in serving.failures():
                raise failure
        else:
            for failure in serving.failures():
                _log.warning("what a subscription did could not be stored and is done again: %s", failure)
        return progress

    def appended(self, first: int, last: int, types: Iterable[str]) -> None:
        """Hear what this process has appended, so that what nobody wants need not be read; may be left out.

        Args:
            first: Position of the first event.
            last: Position of the last event; this process appended all between, in one go.
            types: The names that occur among them.
        """
        self._serving.appended(first, last, types)

    def has(self, name: str) -> bool:
        """Tell whether this process has the subscriber of a name, for deliveries or for `redeliver` alone."""
        return name in self._serving.lanes or name in self._prepared

    @property
    def started(self) -> int:
        """Give how often a subscription was given something to deliver, on a thread of its own."""
        return self._serving.started

    @property
    def any(self) -> bool:
        """Tell whether this process has a durable subscriber."""
        return bool(self._serving.lanes)

    def next_due(self) -> int | None:
        """Give when the earliest retry of this process is due (microseconds), or None."""
        rows = self._ledger.rows(tuple(self._serving.lanes)) if self._serving.lanes else []
        return min((row.next_due for row in rows if row.state == ACTIVE and row.next_due is not None), default=None)

    def settled(self, head: int) -> bool:
        """Tell whether every active subscription of this process has reached a position, and none has a retry due now.

        One that another living process owns does not count, nor does anything while the caller is itself a delivery.
        """
        if not self._serving.lanes or self._serving.here.lane is not None:
            return True
        mine = {None, self._ledger.owner}
        rows = [
            row
            for row in self._ledger.rows(tuple(self._serving.lanes))
            if row.state == ACTIVE and (row.owner in mine or row.lease_left <= 0)
        ]
        now = self._now()
        return all(row.checkpoint >= head and (row.next_due is None or row.next_due > now) for row in rows)

    def redeliver(self, name: str, *, first: int, last: int, dry_run: bool = False) -> Redelivered:
        """Send the events of a range again, whatever the checkpoint; it stays where it is.

        Args:
            name: A subscription whose subscriber is registered in this process.
            first: Position of the first event.
            last: Position of the last event.
            dry_run: True to send nothing: shows what the subscriber's globs and filter select.

        Raises:
            InvalidRequest: No such subscriber here, or no range.
        """
        lane = self._serving.lanes.get(name) or self._prepared.get(name)
        if lane is None:
            self._known(name)
            msg = f"redeliver: subscription {name!r} has no subscriber in this process. Subscribe it here first"
            raise InvalidRequest(msg)
        if not 1 <= first <= last:
            msg = f"redeliver: expected 1 <= first <= last, found first={first!r}, last={last!r}"
            raise InvalidRequest(msg)
        here = self._serving.here
        before, here.lane = here.lane, lane
        try:
            with lane.turn:
                return send_again(lane, self._store.log, (first, last), self._redactor, dry_run=dry_run)
        finally:
            here.lane = before

    def inherit(self) -> None:
        """Take what other processes own, now and until `release`; only for who knows that they are dead."""
        self._alone = True
        if self._serving.lanes:
            self._ledger.inherit()

    def release(self) -> None:
        """Give up what this process owns, so that another may take it at once; the next `serve` takes it again.

        What is being delivered is finished first, and stored.
        """
        self._alone = False
        if self._serving.lanes:
            with self._rounds:
                self._give_up()

    def close(self) -> None:
        """Release everything, and close and forget the subscribers; safe to repeat."""
        self._alone = False
        with self._rounds:  # no round in between: it would take a lease again that nobody gives back
            self._give_up()
            served, self._serving.lanes = self._serving.lanes, {}
        with self._changing:
            lanes, self._prepared = [*served.values(), *self._prepared.values()], {}
        for done in self._close(lanes):
            if not done.wait(_END_SECONDS):
                _log.warning("a subscriber has not closed within %g s and is left alone", _END_SECONDS)
        self._serving.close()

    def _give_up(self) -> None:
        """Finish what is being delivered, and give back the leases; no round is made meanwhile."""
        if not self._serving.lanes:
            return
        try:
            self._serving.end(_END_SECONDS)
            self._ledger.release()
        except TaskerError as error:
            _log.warning("subscriptions could not be given up; their leases end by themselves: %s", error)
        for lane in self._serving.lanes.values():
            lane.lose()

    def _adopted(self, subscriber: BaseSubscriber, patterns: str | Iterable[str] | None = None) -> Patterns:
        """Check a subscriber, let it mask as the settings say, and give its globs."""
        wanted = checked(subscriber, patterns)
        if subscriber.redactor is None:
            subscriber.redactor = self._redactor
        return wanted

    def _refuse_another(self, lane: Lane) -> None:
        """Refuse a name under which this process has another subscriber."""
        known = self._serving.lanes.get(lane.name) or self._prepared.get(lane.name)
        if known is not None and known.subscriber is not lane.subscriber:
            msg = f"subscribe: the name {lane.name!r} belongs to another subscriber of this application. Give name='…'"
            raise InvalidRequest(msg)

    def _register(self, lane: Lane, start: object) -> None:
        """Make or find the row, and serve it from now on."""
        begin = 0 if self._ledger.rows([lane.name]) else self._start(start)
        state = self._ledger.register(lane.name, begin, lane.patterns.globs)
        if self._alone:
            self._ledger.inherit()
        if state == RETIRED:
            _log.warning("subscription %s is retired and gets nothing; subscribe under a new name", lane.name)
        with self._rounds:
            known = self._serving.lanes.get(lane.name)
            if known is None:
                self._serving.lanes = {**self._serving.lanes, lane.name: lane}
            else:
                known.patterns = lane.patterns
        self._changed()

    def _changed(self) -> None:
        self._serving.look()

    def _forget_retired(self) -> None:
        """Take away what a round found retired, and close its subscribers."""
        with self._changing, self._rounds:
            retired, self._serving.retired = self._serving.retired, []
            gone = {lane.name for lane in retired}
            if gone:
                self._serving.lanes = {name: lane for name, lane in self._serving.lanes.items() if name not in gone}
        self._close(retired)

    def _close(self, lanes: Iterable[Lane]) -> list[Event]:
        """Close the subscribers of some lanes, each once, but those that another lane still has; give who says when."""
        left = {id(lane.subscriber) for lane in self._serving.lanes.values()}
        ended = {id(lane.subscriber): lane.subscriber for lane in lanes if id(lane.subscriber) not in left}
        waiting = {key: Event() for key in ended}
        for key, subscriber in ended.items():
            self._serving.crew.run(partial(_close_one, subscriber, waiting[key]))
        return list(waiting.values())

    def _start(self, start: object) -> int:
        """Give the checkpoint at which a new subscription starts."""
        if start == "beginning":
            return 0
        head = self._store.log.head()
        if start == "now":
            return head
        if isinstance(start, int) and not isinstance(start, bool) and 0 <= start <= head:
            return start
        msg = f"subscribe: expected start='now', 'beginning' or a position from 0 to {head}, found {start!r}"
        raise InvalidRequest(msg)


def _close_one(subscriber: BaseSubscriber, done: Event) -> None:
    close_quietly(subscriber)
    done.set()


def _checked_name(name: object, subscriber: BaseSubscriber) -> str:
    if isinstance(name, str) and name.strip() and len(name) <= _LONGEST_NAME and name.isprintable():
        return name
    msg = (
        f"subscribe: a durable subscription needs a name, at most {_LONGEST_NAME} characters, found {name!r}. Give "
        f"name='…' or write it into the class {type(subscriber).__qualname__}"
    )
    raise InvalidRequest(msg)
