"""`Keeper`: watches what is being delivered, on a thread of its own: renews leases, and gives up calls that hang.

A subscriber may take longer than a lease lasts; the lease is kept all the same, so that nobody takes the subscription
over. And it may never return; then its batch goes on without it.
"""

from __future__ import annotations

from threading import Condition, Thread
from typing import TYPE_CHECKING

from tasker.errors import TaskerError
from tasker.instrument import logger
from tasker.subscriptions.clock import elapsed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tasker.subscriptions.lane import Lane
    from tasker.subscriptions.ledger import Ledger

_LONGEST_LOOK = 0.5  # seconds between two looks at what runs
_SHORTEST_LOOK = 0.005


class Keeper:
    """Looks while anything is being delivered, and sleeps while nothing is."""

    def __init__(self, ledger: Ledger, lanes: Callable[[], Sequence[Lane]], hung: Callable[[Lane], None]) -> None:
        """Start nothing.

        Args:
            ledger: Where leases are renewed.
            lanes: Gives the subscriptions that deliver something now.
            hung: Is told of one whose batch was taken away from a call that lasts too long; must not wait.
        """
        self._ledger = ledger
        self._lanes = lanes
        self._hung = hung
        self._changed = Condition()
        self._asleep = False
        self._closed = False
        self._thread: Thread | None = None

    def watch(self) -> None:
        """Hear that something is being delivered."""
        if self._thread is None or self._asleep:
            with self._changed:
                self._closed = False
                if self._thread is None:
                    self._thread = Thread(target=self._run, name="tasker-subscriptions", daemon=True)
                    self._thread.start()
                self._changed.notify_all()

    def holds(self, lane: Lane) -> bool:
        """Ask the database whether a lease that has ended here is still ours, and lengthen it if so.

        Raises:
            LogUnavailable: The store failed.
        """
        self._renew([lane])
        return elapsed() < lane.valid_until

    def close(self) -> None:
        """End the thread; safe to repeat, and `watch` starts it anew."""
        with self._changed:
            self._closed = True
            thread, self._thread = self._thread, None
            self._changed.notify_all()
        if thread is not None:
            thread.join(_LONGEST_LOOK * 4)

    def _run(self) -> None:
        while self._wait():
            busy = self._lanes()
            try:
                self._give_up(busy)
                self._keep(busy)
            except Exception:  # noqa: BLE001 - without it leases would end in the middle of a delivery
                logger("subscriptions").exception("what watches the deliveries met an error and goes on")

    def _wait(self) -> bool:
        """Wait until it is time for a look; False if it is time to end."""
        with self._changed:
            self._asleep = True  # first, so that what begins while the lanes are looked at is heard of
            busy = self._lanes()
            self._asleep = not busy
            if not self._closed:
                self._changed.wait(self._patience(busy) if busy else None)
            self._asleep = False
            return not self._closed

    def _patience(self, busy: Sequence[Lane]) -> float:
        shortest = min(*(lane.timeout for lane in busy), self._ledger.lease / 1_000_000) / 8
        return min(max(shortest, _SHORTEST_LOOK), _LONGEST_LOOK)

    def _give_up(self, busy: Sequence[Lane]) -> None:
        for lane in busy:
            if lane.batch is not None and lane.batch.give_up(lane.timeout):
                self._hung(lane)

    def _keep(self, busy: Sequence[Lane]) -> None:
        """Renew the leases of which a third has passed."""
        soon = elapsed() + self._ledger.lease / 1_000_000 * 2 / 3
        old = [lane for lane in busy if lane.valid_until < soon]
        if old:
            try:
                self._renew(old)
            except TaskerError as error:
                logger("subscriptions").debug("leases could not be renewed, tried again: %s", error)

    def _renew(self, lanes: Sequence[Lane]) -> None:
        began = elapsed()
        epochs = self._ledger.renew([lane.name for lane in lanes])
        for lane in lanes:
            row = lane.row
            still = row is not None and epochs.get(lane.name) == row.epoch
            lane.valid_until = began + self._ledger.lease / 1_000_000 if still else 0.0
