"""`Ownership`: who serves which subscription: leases are taken, kept and lost, for all of a process together."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from tasker.subscriptions.clock import elapsed

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tasker.subscriptions.lane import Lane
    from tasker.subscriptions.ledger import Ledger
    from tasker.subscriptions.values import Row

_MOVES_SECONDS = 1.0
"""How long it may take until the row shows a checkpoint that has only passed over events nobody wants."""


class Ownership:
    """Takes and keeps leases; one thread at a time calls it."""

    def __init__(self, ledger: Ledger) -> None:
        """Take the rows."""
        self._ledger = ledger

    def settle(self, found: Sequence[tuple[Lane, Row]], read_at: float) -> list[tuple[Lane, Row]]:
        """Take those that nobody serves, and keep the leases of one's own.

        Args:
            found: Subscriptions that deliver nothing now, with their rows.
            read_at: When the reading of the rows began (see `elapsed`).

        Returns:
            Those that this process owns.
        """
        mine, wanted = [], []
        for lane, row in found:
            if self._is_fresh(lane, row):
                lane.own(row, read_at + row.lease_left / 1_000_000)
                mine.append((lane, row))
            elif row.owner in {None, self._ledger.owner} or row.lease_left <= 0:
                wanted.append(lane)
            else:
                lane.lose()
        return [*mine, *self._take(wanted)]

    def store_moves(self, lanes: Iterable[Lane], *, at_once: bool) -> None:
        """Store the checkpoints that have only passed over something: all that stand together, together.

        Args:
            lanes: Subscriptions that deliver nothing now.
            at_once: True to store them however lately the last one was stored.
        """
        now = elapsed()
        together: defaultdict[tuple[int, int], list[Lane]] = defaultdict(list)
        for lane in lanes:
            if lane.row is not None and (at_once or now - lane.stored_at >= _MOVES_SECONDS):
                together[lane.row.checkpoint, lane.reached].append(lane)
        for (before, after), group in together.items():
            if before == after:
                continue
            moved = self._ledger.move([lane.name for lane in group], before, after)
            for lane in group:
                lane.stored_at = now
                if lane.name in moved and lane.row is not None:
                    lane.row = lane.row._replace(checkpoint=after)
                else:
                    lane.lose()

    def _is_fresh(self, lane: Lane, row: Row) -> bool:
        """Tell whether a subscription is ours and its lease is not to be renewed yet."""
        same = lane.row is not None and (row.owner, row.epoch) == (self._ledger.owner, lane.row.epoch)
        return same and row.lease_left > self._ledger.lease // 2

    def _take(self, lanes: Sequence[Lane]) -> list[tuple[Lane, Row]]:
        """Take, or renew, leases; give what was got."""
        if not lanes:
            return []
        began = elapsed()
        taken = {row.name: row for row in self._ledger.claim([lane.name for lane in lanes])}
        new = [lane.name for lane in lanes if lane.name in taken and not self._is_known(lane, taken[lane.name])]
        held = self._ledger.streams(new) if new else {}
        mine = []
        for lane in lanes:
            row = taken.get(lane.name)
            if row is None:
                lane.lose()
                continue
            if lane.name in held:
                lane.held = held[lane.name]
            lane.own(row, began + self._ledger.lease / 1_000_000)
            mine.append((lane, row))
        return mine

    @staticmethod
    def _is_known(lane: Lane, row: Row) -> bool:
        return lane.row is not None and lane.row.epoch == row.epoch
