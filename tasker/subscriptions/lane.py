"""`Lane`: a durable subscriber of this process, and what this process knows of its row while it owns it."""

from __future__ import annotations

from threading import RLock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tasker.bus.subscriber import BaseSubscriber
    from tasker.catalog.patterns import Patterns
    from tasker.subscriptions.batch import Batch
    from tasker.subscriptions.values import Row


class Lane:
    """One subscription of this process. The round that starts a batch, and then that batch alone, change it.

    Attributes:
        name: The subscription.
        subscriber: Who is told.
        patterns: Of what.
        turn: Held by whoever calls the subscriber; another one takes its place when a call does not return.
        row: As this process has stored it; None while it is not known to be the owner.
        held: Streams that wait for a retry or a person.
        reached: The checkpoint, and what was passed over since and is not stored yet, for nothing there matched.
        stored_at: When the checkpoint was stored last (seconds, see `elapsed`).
        valid_until: Until when the lease is known to last (seconds, see `elapsed`).
        batch: What is being delivered, or None.
        again: True if a round came by while a batch was running.
        hanging: Positions of the events with which a call was given up and has not returned yet.
        failure: Why the last batch could not be stored, until somebody is told.
    """

    def __init__(self, name: str, subscriber: BaseSubscriber, patterns: Patterns) -> None:
        """Start without ownership."""
        self.name = name
        self.subscriber = subscriber
        self.patterns = patterns
        self.turn = RLock()
        self.row: Row | None = None
        self.held: set[bytes] = set()
        self.reached = 0
        self.stored_at = 0.0
        self.valid_until = 0.0
        self.batch: Batch | None = None
        self.again = False
        self.hanging: set[int] = set()
        self.failure: BaseException | None = None

    @property
    def timeout(self) -> float:
        """Give for how many seconds one call of the subscriber may take."""
        return self.subscriber.delivery_timeout

    def own(self, row: Row, valid_until: float) -> None:
        """Note the row of a subscription that this process owns."""
        known, self.row = self.row, row
        self.valid_until = max(valid_until, self.valid_until)
        if known is None or (known.epoch, known.checkpoint) != (row.epoch, row.checkpoint):
            self.reached = row.checkpoint

    def lose(self) -> None:
        """Forget that this process was the owner."""
        self.row = None
        self.valid_until = 0.0
