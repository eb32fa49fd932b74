"""What people do with subscriptions: look at them, pause, resume and retire them, and free what was parked."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tasker.codec.decode import text_id
from tasker.errors import InvalidRequest, NotAllowed, near
from tasker.instrument import logger
from tasker.subscriptions.tables import ACTIVE, FAILED, PARKED, PAUSED, RETIRED, RETRYING
from tasker.subscriptions.values import Parked, Row, SubscriptionInfo

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tasker.log.port import Store
    from tasker.subscriptions.ledger import Ledger


class Operators:
    """The operators' half of `Subscriptions`; works on rows alone, so any process may call it."""

    def __init__(self, store: Store, ledger: Ledger, now: Callable[[], int]) -> None:
        """Take the store, the rows, and the application's clock in microseconds."""
        self._store = store
        self._ledger = ledger
        self._now = now

    def list(self) -> list[SubscriptionInfo]:
        """Give every subscription of the log, by name."""
        rows, counts = self._ledger.rows(), self._ledger.counts()
        head = self._store.log.head()  # after the rows, so that no lag is negative
        return [_info(row, head, counts) for row in rows]

    def head(self) -> int:
        """Give the position of the last event of the log; 0 for an empty one."""
        return self._store.log.head()

    def pause(self, name: str) -> None:
        """Stop delivering; the checkpoint stays, and nothing is lost. Safe to repeat.

        Raises:
            InvalidRequest: There is no such subscription.
            NotAllowed: It is failed or retired.
        """
        self._turn(name, PAUSED, (ACTIVE, PAUSED))

    def resume(self, name: str) -> None:
        """Deliver again, from where it stopped. Safe to repeat.

        Raises:
            InvalidRequest: There is no such subscription.
            NotAllowed: It is retired.
        """
        self._turn(name, ACTIVE, (ACTIVE, PAUSED, FAILED))

    def retire(self, name: str) -> None:
        """End a subscription for good: it no longer counts for lag and retention. Safe to repeat.

        Raises:
            InvalidRequest: There is no such subscription.
        """
        self._turn(name, RETIRED, (ACTIVE, PAUSED, FAILED, RETIRED))

    def parked(self, name: str) -> Sequence[Parked]:
        """Give the events that were given up and wait for a person, by position.

        Raises:
            InvalidRequest: There is no such subscription.
        """
        self._known(name)
        return [Parked(row.position, text_id(row.stream_id), row.tries, row.error) for row in self._ledger.parked(name)]

    def retry(self, name: str, position: int, *, actor: str | None = None) -> None:
        """Try a parked event again, with new tries.

        Raises:
            InvalidRequest: There is no such subscription.
            NotAllowed: No event is parked there.
        """
        self._free(name, position, actor, discard=False)

    def discard(self, name: str, position: int, *, actor: str | None = None) -> None:
        """Give a parked event up for good; later events of its task go on. The row is kept, with the actor.

        Raises:
            InvalidRequest: There is no such subscription.
            NotAllowed: No event is parked there.
        """
        self._free(name, position, actor, discard=True)

    def _free(self, name: str, position: int, actor: str | None, *, discard: bool) -> None:
        verb = "discard" if discard else "retry"
        self._known(name)
        if not self._ledger.free(name, position, actor or "unknown", due=self._now(), discard=discard):
            msg = (
                f"subscription {name!r}: cannot {verb} position {position!r}, for no event is parked there. "
                f"`parked` lists those that are"
            )
            raise NotAllowed(msg)
        text = "subscription %s: position %s is freed by %s (%s)"
        logger("subscriptions").info(text, name, position, actor or "unknown", verb)
        self._changed()

    def _turn(self, name: str, state: str, legal: Sequence[str]) -> None:
        row = self._known(name)
        if not self._ledger.turn(name, state, legal=legal):
            hint = "subscribe under a new name" if row.state == RETIRED else "resume it first"
            msg = f"subscription {name!r} is {row.state}; only from {', '.join(legal)} it can become {state}: {hint}"
            raise NotAllowed(msg)
        logger("subscriptions").info("subscription %s is %s", name, state)
        self._changed()

    def _changed(self) -> None:
        """Hear that a row was changed here."""

    def _known(self, name: str) -> Row:
        rows = {row.name: row for row in self._ledger.rows()}
        if name not in rows:
            hint = near(str(name), rows) or " `subscriptions.list()` lists those there are"
            msg = f"there is no subscription {name!r}.{hint}"
            raise InvalidRequest(msg)
        return rows[name]


def _info(row: Row, head: int, counts: dict[tuple[str, str], int]) -> SubscriptionInfo:
    return SubscriptionInfo(
        name=row.name,
        state=row.state,
        checkpoint=row.checkpoint,
        lag=0 if row.state == RETIRED else max(0, head - row.checkpoint),
        failures=row.failures,
        parked=counts.get((row.name, PARKED), 0),
        retrying=counts.get((row.name, RETRYING), 0),
        error=row.error,
        patterns=tuple(json.loads(row.patterns)),
        owner=row.owner,
    )
