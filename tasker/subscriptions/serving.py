"""`Serving`: rounds over the durable subscribers of a process, which start batches, and what becomes of these.

A round costs a fixed number of statements, however many subscriptions there are: their rows are read together, leases
are taken together, and what was passed over because nobody wants it is stored together. Batches run on threads of their
own, so that a slow subscriber holds up no other.
"""

from __future__ import annotations

import json
from functools import partial
from threading import Condition, RLock, local
from typing import TYPE_CHECKING

from tasker.errors import LogRewound
from tasker.instrument import count, logger
from tasker.subscriptions import batch as batches
from tasker.subscriptions.batch import Abandoned, Batch, Overtaken, Terms
from tasker.subscriptions.clock import elapsed
from tasker.subscriptions.crew import Crew
from tasker.subscriptions.keeper import Keeper
from tasker.subscriptions.ownership import Ownership
from tasker.subscriptions.pages import Page, Pages
from tasker.subscriptions.recorder import Recorder
from tasker.subscriptions.tables import ACTIVE, RETIRED
from tasker.subscriptions.values import Entry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from tasker.log.port import Store
    from tasker.redaction import Redactor
    from tasker.subscriptions.lane import Lane
    from tasker.subscriptions.ledger import Ledger
    from tasker.subscriptions.pages import Stretch, Wanted
    from tasker.subscriptions.values import Held, Row

_LOOK_SECONDS = 0.5
"""How often the rows of those that have nothing to deliver are looked at, at most, unless somebody here changed one."""
_log = logger("subscriptions")


class Here(local):
    """What the present thread does.

    Attributes:
        lane: The subscription whose subscriber it calls, or None.
    """

    lane: Lane | None = None


class Serving:
    """Serves subscriptions. One thread at a time makes rounds; everything else is thread-safe.

    Attributes:
        lanes: The subscribers of this process by name; replaced as a whole.
        here: What the present thread does.
        retired: Those that a round found retired, until somebody takes them away.
        crew: The threads on which subscribers are called.
        started: How often one of them was given something to deliver.
    """

    def __init__(
        self,
        store: Store,
        ledger: Ledger,
        *,
        redactor: Redactor,
        now: Callable[[], int],
        longest_wait: int,
        wake: Callable[[], None],
    ) -> None:
        """Open and start nothing.

        Args:
            store: The log.
            ledger: The rows of the subscriptions.
            redactor: Masks error texts.
            now: The present time of the application's clock, in microseconds.
            longest_wait: The longest delay that a subscriber may ask for, in microseconds.
            wake: Called when there may be more to do, from any thread; must return at once.
        """
        self.lanes: Mapping[str, Lane] = {}
        self.here = Here()
        self.retired: list[Lane] = []
        self.crew = Crew()
        self.started = 0
        self._store = store
        self._ledger = ledger
        self._ownership = Ownership(ledger)
        self._recorder = Recorder(ledger)
        self._pages = Pages()
        self._wake = wake
        self._keeper = Keeper(ledger, self.busy, self._hung)
        self._changed = Condition()
        self._ending = False
        self._looked_at = 0.0
        self._terms = Terms(
            store.log, redactor, now, holds=self._keeper.holds, ending=lambda: self._ending, longest_wait=longest_wait
        )

    # --- rounds ---

    def round(self, now: int, until: int, *, at_once: bool) -> bool:
        """Start whatever there is to deliver.

        Args:
            now: The present time of the application's clock, in microseconds.
            until: The position to which to go.
            at_once: True to store also what was only passed over; else this waits until it is worth a transaction.

        Returns:
            True if anything was started or passed over.

        Raises:
            LogUnavailable: The store failed.
        """
        # First who is free, then the rows: those of a batch that ends meanwhile would show what was before it.
        free = [lane for lane in self.lanes.values() if self._is_free(lane)]
        began = elapsed()
        wanted: Mapping[str, Wanted] = {}
        if at_once or began - self._looked_at >= _LOOK_SECONDS:
            self._looked_at = began
        else:
            wanted = self._pass_over([lane for lane in free if lane.valid_until > began], until)
            free = [lane for lane in free if lane.name in wanted]
        before = sum(lane.reached for lane in free)
        mine = self._ownership.settle(self._active(free), began)
        wanted = self._pass_over([lane for lane, _ in mine], until)
        started = [lane for lane, row in mine if self._serve(lane, row, wanted.get(lane.name), now, until)]
        self._ownership.store_moves([lane for lane, _ in mine if lane.batch is None], at_once=at_once)
        if not started and not self.busy():
            self._pages.forget()  # what was read stays in memory no longer than it is of use
        return bool(started) or sum(lane.reached for lane in free) > before

    def appended(self, first: int, last: int, types: Iterable[str]) -> None:
        """Hear what this process has appended, and which names occur in it: what nobody wants is not read."""
        self._pages.appended(first, last, types)

    def look(self) -> None:
        """Hear that rows were changed here: the next round looks at all of them."""
        self._looked_at = 0.0
        self._wake()

    def busy(self) -> list[Lane]:
        """Give those that deliver something now."""
        return [lane for lane in self.lanes.values() if lane.batch is not None]

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until nothing is being delivered any more, but by this thread; False if the time ran out before."""
        mine = self.here.lane
        with self._changed:
            return self._changed.wait_for(lambda: all(lane is mine for lane in self.busy()), seconds)

    def failures(self) -> list[BaseException]:
        """Give, once, why batches could not be stored."""
        found = []
        for lane in self.lanes.values():
            failure, lane.failure = lane.failure, None
            if failure is not None:
                found.append(failure)
        return found

    def end(self, seconds: float) -> None:
        """Let each batch end with its present event and be stored; what has not returned in time counts as not sent.

        Raises:
            LogUnavailable: The store failed.
        """
        self._ending = True
        try:
            self.wait(seconds)
            for lane in self.busy():
                if lane.batch is not None and lane.batch.cut():
                    self._take_away(lane)
            self._ownership.store_moves([lane for lane in self.lanes.values() if lane.batch is None], at_once=True)
        finally:
            self._ending = False
            self._pages.forget()

    def close(self) -> None:
        """End the threads that have nothing to do."""
        self._keeper.close()
        self.crew.close()

    # --- one round ---

    def _is_free(self, lane: Lane) -> bool:
        """Tell whether nothing is being delivered; if something is, another round follows it."""
        with self._changed:
            lane.again = lane.batch is not None
            return not lane.again

    def _active(self, lanes: Sequence[Lane]) -> list[tuple[Lane, Row]]:
        """Read the rows of some subscriptions; give those that are active."""
        rows = {row.name: row for row in self._ledger.rows([lane.name for lane in lanes])} if lanes else {}
        for lane in lanes:
            row = rows.get(lane.name)
            if row is None or row.state != ACTIVE:
                lane.lose()
            if row is not None and row.state == RETIRED:
                self.retired.append(lane)
        return [(lane, rows[lane.name]) for lane in lanes if lane.name in rows and rows[lane.name].state == ACTIVE]

    def _pass_over(self, lanes: Sequence[Lane], until: int) -> dict[str, Wanted]:
        """Go on over what is not wanted, all together, page by page.

        Returns:
            For each that wants something, what it wants of the page in which it does.
        """
        found: dict[str, Wanted] = {}
        deadline = elapsed() + batches.SLICE
        behind = [lane for lane in lanes if lane.reached < until]
        while behind:
            lowest = min(lane.reached for lane in behind)
            page = self._unwanted(behind, lowest) or self._pages.after(lowest, self._store.log)
            if page is None:
                break
            for lane in behind:
                if page.first <= lane.reached + 1 <= page.last:
                    wanted = page.wanted(lane.patterns, lane.reached) if isinstance(page, Page) else None
                    if wanted is None:
                        lane.reached = min(page.last, until)
                    else:
                        found[lane.name] = wanted
            in_time = elapsed() < deadline
            behind = [lane for lane in behind if in_time and lane.name not in found and lane.reached < until]
        return found

    def _unwanted(self, lanes: Sequence[Lane], position: int) -> Stretch | None:
        """Give a stretch behind a position of which none of those that stand in it wants anything."""
        stretch = self._pages.known(position)
        if stretch is None:
            return None
        there = {lane.patterns.globs: lane.patterns for lane in lanes if lane.reached < stretch.last}
        return None if any(map(stretch.wanted, there.values())) else stretch

    def _serve(self, lane: Lane, row: Row, page: Wanted | None, now: int, until: int) -> bool:
        """Serve one subscription; True if there was something to do."""
        if lane.reached > until and lane.reached > (head := self._store.log.head()):
            batch = self._batch(lane, row)
            batch.fail(str(rewound(lane.name, lane.reached, head)))
            self._record(lane, batch)
            return True
        due = self._ledger.due(lane.name, now) if row.next_due is not None and row.next_due <= now else ()
        if not due and page is None:
            return False
        with self._changed:
            lane.batch = self._batch(lane, row)
            self.started += 1
        self._keeper.watch()
        self.crew.run(partial(self._drive, lane, due, page, until))
        return True

    def _batch(self, lane: Lane, row: Row) -> Batch:
        return Batch(lane, row._replace(checkpoint=lane.reached), self._terms)

    # --- on the threads of the crew ---

    def _drive(self, lane: Lane, due: Sequence[Held], page: Wanted | None, until: int) -> None:
        """Run a batch, and those behind it for a while."""
        self.here.lane = lane
        try:
            self._deliver(lane, due, page, until)
        except Abandoned:
            return  # whoever took the batch away has ended it
        except Overtaken:
            self._overtaken(lane)
        except BaseException as error:  # noqa: BLE001 - whoever serves is told
            lane.lose()
            lane.failure = error
        finally:
            self.here.lane = None
        self._end(lane)

    def _deliver(self, lane: Lane, due: Sequence[Held], page: Wanted | None, until: int) -> None:
        deadline = elapsed() + batches.SLICE
        batch = lane.batch
        while batch is not None:
            batch.run(due, page, until)
            row = self._record(lane, batch)
            if row is None:
                return
            due, batch = (), None
            late = self._ending or elapsed() >= deadline
            page = None if late else self._pass_over([lane], until).get(lane.name)
            if page is not None:
                batch = lane.batch = self._batch(lane, row)
        lane.again = lane.again or lane.reached < until

    def _record(self, lane: Lane, batch: Batch) -> Row | None:
        """Store what a batch brought; give the row as it is now, or None if it does not go on."""
        row, outcome, began = lane.row, batch.outcome(), elapsed()
        if outcome is None or row is None:
            return row
        state = self._recorder.record(Entry(row, outcome))
        if state is None:
            self._overtaken(lane)
            return None
        lane.held = batch.held
        lane.reached = outcome.checkpoint
        lane.stored_at = began
        streak = json.dumps(outcome.streak)
        now = row._replace(
            state=state, checkpoint=outcome.checkpoint, failures=outcome.failures, streak=streak, error=outcome.error
        )
        lane.row = now
        lane.valid_until = began + self._ledger.lease / 1_000_000
        if outcome.stop is not None:
            _log.error("subscription %s is %s: %s", lane.name, *outcome.stop)
        return now if state == ACTIVE else None

    def _overtaken(self, lane: Lane) -> None:
        lane.lose()
        count("tasker.subscription_lost", subscription=lane.name)
        _log.warning("subscription %s was taken over; the batch is dropped here", lane.name)

    def _end(self, lane: Lane) -> None:
        with self._changed:
            lane.batch = None
            again, lane.again = lane.again, False
            self._changed.notify_all()
        if again:
            self._wake()

    def _hung(self, lane: Lane) -> None:
        """Go on without a call that hangs."""
        self.crew.run(partial(self._take_away, lane))

    def _take_away(self, lane: Lane) -> None:
        """End a batch that was taken away from the thread that ran it."""
        lane.turn = RLock()  # the one that hangs keeps the old one
        try:
            if lane.batch is not None:
                self._record(lane, lane.batch)
        except BaseException as error:  # noqa: BLE001 - whoever serves is told
            lane.lose()
            lane.failure = error
        lane.again = True
        self._end(lane)


def rewound(name: str, checkpoint: int, head: int) -> LogRewound:
    """Give the error of a subscription that is ahead of its log."""
    return LogRewound(
        f"subscription {name!r} has reached position {checkpoint}, but the log ends at {head}: it lost its tail, "
        f"for instance because a replica was promoted. Find out which events are missing, then retire the subscription "
        f"and subscribe under a new name, or restore the log"
    )
