"""What every subscription has still to be told: whoever removes payloads from the log asks first."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tasker.subscriptions.ledger import Ledger
from tasker.subscriptions.tables import RETIRED

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

    from tasker.log.port import Store


class Told(NamedTuple):
    """How far a subscription has been told of the log.

    Attributes:
        name: Its name.
        checkpoint: The position that it has reached.
        held: Streams of which events before that position wait to be delivered.
    """

    name: str
    checkpoint: int
    held: AbstractSet[bytes]


def told(store: Store) -> list[Told]:
    """Say it of every subscription of a log that is not retired, by name; the relay to Kafka is one of them.

    Raises:
        LogUnavailable: The store failed.
    """
    ledger = Ledger(store, "", 0)
    rows = [row for row in ledger.rows() if row.state != RETIRED]
    held = ledger.streams([row.name for row in rows])
    return [Told(row.name, row.checkpoint, held[row.name]) for row in rows]
