"""`Subscriptions`: registers subscribers, serves the durable ones of this process, and is what operators call.

subscriptions = Subscriptions(store, bus, now)
subscriptions.subscribe(Notify(), start="beginning")
while subscriptions.serve(now(), until_position=store.log.head()).progress:
...
"""

from __future__ import annotations

import os
import time
import uuid
from threading import Lock, get_ident
from typing import TYPE_CHECKING

from tasker.bus.subscriber import BaseSubscriber, checked
from tasker.errors import InvalidRequest
from tasker.instrument import count, logger
from tasker.redaction import Redactor
from tasker.subscriptions.again import send_again
from tasker.subscriptions.batch import Batch, Lane
from tasker.subscriptions.ledger import Ledger, OwnershipLost, rewound
from tasker.subscriptions.operators import Operators
from tasker.subscriptions.tables import ACTIVE, RETIRED
from tasker.subscriptions.values import Redelivered, Row, Served

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tasker.bus.bus import Bus
    from tasker.catalog.patterns import Patterns
    from tasker.codec.rows import StoredEvent
    from tasker.log.port import Store

PAGE = 500  # events that one round of a subscription reads
LEASE = 30_000_000  # microseconds of real time; renewed with every batch, and at half of it where nothing happens
_LONGEST_NAME = 128


def wall_micros() -> int:
    """Give the real time in microseconds: leases are compared between processes, whatever clock the application has."""
    return time.time_ns() // 1_000


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
        redactor: Redactor | None = None,
        wall: Callable[[], int] = wall_micros,
    ) -> None:
        """Open nothing.

        Args:
            store: The log, and the database in which the rows are kept.
            bus: Where subscribers go that need not be durable.
            now: The present time of the application's clock, in microseconds; retries are measured by it.
            redactor: Masks error texts that are stored and shown.
            wall: Real time in microseconds; leases are measured by it.
        """
        owner = f"{os.getpid()}-{uuid.uuid4().hex[:12]}"
        super().__init__(store, Ledger(store, owner), now)
        self._bus = bus
        self._redactor = redactor or Redactor()
        self._wall = wall
        self._lanes: dict[str, Lane] = {}
        self._serving = Lock()
        self._changing = Lock()
        self._server = 0
        self._alone = False
        self._page: tuple[int, list[StoredEvent]] = (0, [])

    def subscribe(
        self,
        subscriber: BaseSubscriber,
        *,
        name: str | None = None,
        durable: bool = True,
        start: str | int = "now",
        patterns: str | Iterable[str] | None = None,
    ) -> None:
        """Tell a subscriber of the events that it names.

        Args:
            subscriber: Who is told.
            name: The identity of the durable subscription; by default the attribute `name` of the subscriber.
            durable: False to tell it over the bus of this process: nothing is stored, nothing is tried again.
            start: `now`, `beginning`, or the position behind which it starts; counts at the first registration only.
            patterns: Globs in place of the subscriber's own `subscribe_to`.

        Raises:
            InvalidRequest: It is no subscriber, names no events, or has no name, or one that is taken; a wrong start.
        """
        wanted = checked(subscriber, patterns)
        if not durable:
            self._bus.on(wanted, subscriber.deliver)
            return
        with self._changing:
            self._add(_checked_name(subscriber.name if name is None else name, subscriber), subscriber, wanted, start)

    def serve(self, now_micros: int, *, until_position: int) -> Served:
        """Serve every active subscription of this process once, a page of events each.

        A subscriber that calls this from a delivery gets an empty answer.

        Args:
            now_micros: The present time of the application's clock.
            until_position: How far to go, as a rule the head of the log.

        Raises:
            LogUnavailable: The store failed; what was delivered since the last stored checkpoint is delivered again.
        """
        if not self._lanes or self._server == get_ident():
            return Served(progress=False, next_due=None)
        with self._serving:
            self._server = get_ident()
            try:
                lanes = self._lanes
                rows = self._ledger.rows(tuple(lanes))
                progress = [self._serve(lanes[row.name], row, now_micros, until_position) for row in rows]
            finally:
                self._server = 0
                self._page = (0, [])
        return Served(any(progress), self.next_due())

    @property
    def any(self) -> bool:
        """Tell whether this process has a durable subscriber."""
        return bool(self._lanes)

    def next_due(self) -> int | None:
        """Give when the earliest retry of this process is due (microseconds), or None."""
        names = [lane.name for lane in self._lanes.values() if lane.held is None or lane.held]
        return self._ledger.next_due(names) if names else None

    def settled(self, head: int) -> bool:
        """Tell whether every active subscription of this process has reached a position, and none has a retry due now.

        One that another living process owns does not count, nor does anything while the caller is itself a delivery.
        """
        if not self._lanes or self._server == get_ident():
            return True
        rows = [
            row for row in self._ledger.rows(tuple(self._lanes)) if row.state == ACTIVE and not self._elsewhere(row)
        ]
        if any(row.checkpoint < head for row in rows):
            return False
        due = self._ledger.next_due([row.name for row in rows]) if rows else None
        return due is None or due > self._now()

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
        lane = self._lanes.get(name)
        if lane is None:
            self._known(name)
            msg = f"redeliver: subscription {name!r} has no subscriber in this process. Subscribe it here first"
            raise InvalidRequest(msg)
        if not 1 <= first <= last:
            msg = f"redeliver: expected 1 <= first <= last, found first={first!r}, last={last!r}"
            raise InvalidRequest(msg)
        if self._server == get_ident():
            return send_again(lane, self._store.log, (first, last), self._redactor, dry_run=dry_run)
        with self._serving:
            return send_again(lane, self._store.log, (first, last), self._redactor, dry_run=dry_run)

    def inherit(self) -> None:
        """Take what other processes own, now and until `release`; only for who knows that they are dead."""
        self._alone = True
        if self._lanes:
            self._ledger.inherit()

    def release(self) -> None:
        """Give up what this process owns, so that another may take it at once; the next `serve` takes it again."""
        self._alone = False
        if self._lanes:
            self._ledger.release()

    def close(self) -> None:
        """Release everything and forget the subscribers; safe to repeat."""
        self.release()
        self._lanes = {}

    def _add(self, name: str, subscriber: BaseSubscriber, wanted: Patterns, start: object) -> None:
        """Register a durable subscriber."""
        known = self._lanes.get(name)
        if known is not None and known.subscriber is not subscriber:
            msg = f"subscribe: the name {name!r} belongs to another subscriber of this application. Give name='…'"
            raise InvalidRequest(msg)
        begin = 0 if self._ledger.rows([name]) else self._start(start)
        row = self._ledger.register(name, begin, wanted.globs)
        if self._alone:
            self._ledger.inherit()
        if row.state == RETIRED:
            logger("subscriptions").warning(
                "subscription %s is retired and gets nothing; subscribe under a new name", name
            )
        self._lanes = {**self._lanes, name: Lane(name, subscriber, wanted)}

    def _serve(self, lane: Lane, row: Row, now: int, until: int) -> bool:
        """Serve one subscription; True if there was something to do."""
        mine = self._owned(lane, row) if row.state == ACTIVE else None
        if mine is None:
            return False
        batch = Batch(lane, mine, self._store.log, now, self._redactor)
        if mine.checkpoint > until and mine.checkpoint > (head := self._store.log.head()):
            batch.fail(str(rewound(lane.name, mine.checkpoint, head)))
        else:
            if lane.held:
                batch.settle(self._ledger.due(lane.name, now))
            if mine.checkpoint < until:
                batch.advance(self._read(mine.checkpoint), until)
        return self._store_outcome(lane, mine, batch)

    def _store_outcome(self, lane: Lane, row: Row, batch: Batch) -> bool:
        outcome = batch.outcome()
        if outcome is None:
            return False
        try:
            self._ledger.commit(row, outcome, self._wall() + LEASE)
        except OwnershipLost:
            lane.held = None
            count("tasker.subscription_lost", subscription=lane.name)
            logger("subscriptions").warning("subscription %s was taken over; the batch is dropped here", lane.name)
            return True
        except BaseException:
            lane.held = None
            raise
        lane.held = batch.held
        if outcome.stop is not None:
            logger("subscriptions").error("subscription %s is %s: %s", lane.name, *outcome.stop)
        return True

    def _owned(self, lane: Lane, row: Row) -> Row | None:
        """Give the row as its owner has it; None if another process owns it."""
        wall, owner = self._wall(), self._ledger.owner
        if row.owner == owner and lane.held is not None and row.lease_until - wall > LEASE // 2:
            return row
        if self._elsewhere(row) or not self._ledger.claim(row, wall, wall + LEASE):
            lane.held = None
            return None
        if lane.held is None or row.owner != owner:
            lane.held = self._ledger.streams(lane.name)
        return row._replace(owner=owner, epoch=row.epoch if row.owner == owner else row.epoch + 1)

    def _elsewhere(self, row: Row) -> bool:
        """Tell whether another living process owns a subscription."""
        return row.owner not in {None, self._ledger.owner} and row.lease_until > self._wall()

    def _read(self, after: int) -> list[StoredEvent]:
        """Read a page; subscriptions that stand at the same place share it within a round."""
        if not self._page[1] or self._page[0] != after:
            self._page = (after, self._store.log.tail(after, limit=PAGE))
        return self._page[1]

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


def _checked_name(name: object, subscriber: BaseSubscriber) -> str:
    if isinstance(name, str) and name.strip() and len(name) <= _LONGEST_NAME and name.isprintable():
        return name
    msg = (
        f"subscribe: a durable subscription needs a name, at most {_LONGEST_NAME} characters, found {name!r}. Give "
        f"name='…' or write it into the class {type(subscriber).__qualname__}"
    )
    raise InvalidRequest(msg)
