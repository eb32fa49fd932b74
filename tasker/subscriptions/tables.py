"""The two tables of the subscriptions: one row for each subscription, one for each event that did not go through."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, MetaData, Table, Text
from sqlalchemy.schema import CreateIndex, CreateTable

if TYPE_CHECKING:
    from sqlalchemy import Connection

ACTIVE, PAUSED, FAILED, RETIRED = "active", "paused", "failed", "retired"
RETRYING, PARKED, DISCARDED = "retrying", "parked", "discarded"

metadata = MetaData()

subscriptions = Table(
    "subscriptions",
    metadata,
    Column("name", Text, primary_key=True),
    Column("state", Text, nullable=False),
    Column("checkpoint", BigInteger, nullable=False),
    Column("owner", Text),
    Column("lease_until", BigInteger, nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("patterns", Text, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("streak", Text, nullable=False),
    Column("error", Text),
)
"""One row for each subscription.

`checkpoint`: every matching event up to it was delivered, or waits behind a row of `held`. `lease_until`: microseconds
of the database's clock. `epoch`: counts owners. `failures`: deliveries that failed since the last that went through.
`streak`: the tasks that were parked since then (JSON list of stream ids in hex).
"""

FRESH = {"owner": None, "lease_until": 0, "epoch": 0, "failures": 0, "streak": "[]", "error": None}
"""What a new subscription has beside its name, state, checkpoint and patterns."""

held = Table(
    "subscription_events",
    metadata,
    Column("subscription", Text, primary_key=True),
    Column("position", BigInteger, primary_key=True),
    Column("stream_id", LargeBinary(16), nullable=False),
    Column("state", Text, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("due", BigInteger),
    Column("error", Text),
    Column("actor", Text),
    Index("subscription_events_due", "subscription", "due"),
)
"""Events that did not go through, at most one open row for each stream of a subscription.

A row is open while it is parked or has a `due` (microseconds, the application's clock). It holds its stream: later
events of it, up to the checkpoint, have no rows; they are read from the log again when the row lets go. A discarded row
is kept; it has a `due` until the events behind it were delivered.
"""


def create(connection: Connection) -> None:
    """Make what is missing."""
    for table in metadata.sorted_tables:
        connection.execute(CreateTable(table, if_not_exists=True))
        for index in table.indexes:
            connection.execute(CreateIndex(index, if_not_exists=True))
