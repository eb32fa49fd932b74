"""`Tasker`: subscribers, the bus and the audit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasker.app.base import Base
from tasker.bus.subscriber import BaseSubscriber

if TYPE_CHECKING:
    from tasker.audit import Audit
    from tasker.bus.bus import Bus
    from tasker.projections.models import Projections
    from tasker.subscriptions.subscriptions import Subscriptions


class Subscribing(Base):
    """Who hears of events, and who checks them."""

    def subscribe(
        self,
        subscriber: BaseSubscriber,
        *,
        name: str | None = None,
        durable: bool = True,
        start: str | int = "now",
    ) -> None:
        """Attach a subscriber.

        Args:
            subscriber: Its `subscribe_to` names the events.
            name: Identity of the durable subscription; by default the subscriber's `name`.
            durable: True for at least once, in order per task, over restarts; False for the bus of this process.
            start: `now`, `beginning` or a position; counts only at the first registration.

        Raises:
            InvalidRequest: It is no subscriber, or a durable one has no name.
        """
        subscriptions = self._engine.context.subscriptions
        if isinstance(subscriber, BaseSubscriber):  # what is none is refused below, and not changed here
            subscriber.app = self
        subscriptions.subscribe(subscriber, name=name, durable=durable, start=start)

    @property
    def subscriptions(self) -> Subscriptions:
        """Give the durable subscriptions: list, pause, resume, retire, redeliver, parked, retry, discard."""
        return self._engine.context.subscriptions

    @property
    def bus(self) -> Bus:
        """Give the in-process signals: `bus.on(pattern, receiver)`."""
        return self._engine.context.bus

    @property
    def projections(self) -> Projections:
        """Give the read models, to rebuild them or to see how they stand."""
        return self._engine.context.projections

    @property
    def audit(self) -> Audit:
        """Give the audit of the log: `audit.verify()`, `seal(key)`, `prove(task_id)`, `export(output)`."""
        from tasker.audit import Audit

        return Audit(self._engine.context.store, self._engine.context.clock)
