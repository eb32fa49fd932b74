"""The rows of the subscriptions: every read and write of the two tables.

What the owner of a subscription writes is a compare-and-set on its epoch and checkpoint; what a person changes touches
the state, or a parked row, which the owner leaves alone. So neither undoes the other.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING

from sqlalchemy import and_, bindparam, delete, func, insert, or_, select, update

from tasker.errors import LogRewound
from tasker.subscriptions import tables
from tasker.subscriptions.tables import ACTIVE, DISCARDED, PARKED, RETIRED, RETRYING, held, subscriptions
from tasker.subscriptions.values import Held, Outcome, Row

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import ColumnElement, Connection

    from tasker.log.port import Store

OPEN: ColumnElement[bool] = or_(held.c.state == PARKED, held.c.due.is_not(None))
_HELD = (held.c.position, held.c.stream_id, held.c.state, held.c.tries, held.c.due, held.c.error, held.c.actor)
_DUE_AT_ONCE = 100


class OwnershipLost(Exception):
    """Another process took the subscription over; nothing of the batch is stored."""


class Ledger:
    """Reads and writes the rows; makes the tables with the first use."""

    def __init__(self, store: Store, owner: str) -> None:
        """Take the store and the name under which this process owns subscriptions."""
        self.owner = owner
        self._store = store
        self._ready = False
        self._making = Lock()

    def rows(self, names: Sequence[str] | None = None) -> list[Row]:
        """Read the rows of some subscriptions, or of all, by name."""
        query = select(subscriptions).order_by(subscriptions.c.name)
        if names is not None:
            query = query.where(subscriptions.c.name.in_(names))
        with self._reading() as connection:
            return [Row._make(row) for row in connection.execute(query)]

    def register(self, name: str, start: int, patterns: Sequence[str]) -> Row:
        """Make the row of a subscription if there is none; else note its globs, and wake one that had failed."""
        globs = json.dumps(list(patterns))
        new = Row(name, ACTIVE, start, None, 0, 0, globs, 0, "[]", None)
        mine = subscriptions.c.name == name
        with self._writing() as connection:
            found = connection.execute(select(subscriptions).where(mine)).first()
            if found is None:
                connection.execute(insert(subscriptions).values(new._asdict()))
                return new
            connection.execute(update(subscriptions).where(mine).values(patterns=globs))
            failed = and_(mine, subscriptions.c.state == tables.FAILED)
            connection.execute(update(subscriptions).where(failed).values(state=ACTIVE, error=None))
            return Row._make(found)

    def claim(self, row: Row, now: int, until: int) -> bool:
        """Become, or stay, the owner; a new owner counts the epoch up. False if another was quicker."""
        stays = row.owner == self.owner
        with self._writing(durable=False) as connection:
            taken = connection.execute(
                update(subscriptions)
                .where(
                    subscriptions.c.name == row.name,
                    subscriptions.c.epoch == row.epoch,
                    or_(
                        subscriptions.c.owner == self.owner,
                        subscriptions.c.owner.is_(None),
                        subscriptions.c.lease_until <= now,
                    ),
                )
                .values(owner=self.owner, lease_until=until, epoch=row.epoch if stays else row.epoch + 1)
            )
            return taken.rowcount == 1

    def release(self) -> None:
        """Give up whatever this process owns, so that another may take it at once."""
        self._owned(subscriptions.c.owner == self.owner)

    def inherit(self) -> None:
        """Free what other processes own: the caller knows that they are dead."""
        self._owned(subscriptions.c.owner != self.owner)

    def commit(self, row: Row, outcome: Outcome, until: int) -> None:
        """Store what a batch brought.

        Raises:
            OwnershipLost: The epoch or the checkpoint is no longer that of the row.
        """
        values = {
            "checkpoint": outcome.checkpoint,
            "failures": outcome.failures,
            "streak": json.dumps(outcome.streak),
            "error": outcome.error,
            "lease_until": until,
        }
        with self._writing(durable=False) as connection:
            self._own(connection, row, values)
            if outcome.closed or outcome.written:
                _replace(connection, row.name, outcome)
            if outcome.stop is not None:
                state, error = outcome.stop
                active = and_(subscriptions.c.name == row.name, subscriptions.c.state == ACTIVE)
                connection.execute(update(subscriptions).where(active).values(state=state, error=error))

    def due(self, name: str, now: int) -> list[Held]:
        """Read the rows that are due, the oldest position first, a bounded number."""
        query = select(*_HELD).where(held.c.subscription == name, held.c.due <= now)
        with self._reading() as connection:
            found = connection.execute(query.order_by(held.c.due, held.c.position).limit(_DUE_AT_ONCE))
            return sorted(Held._make(row) for row in found)

    def streams(self, name: str) -> set[bytes]:
        """Read which streams of a subscription are held."""
        with self._reading() as connection:
            found = connection.execute(select(held.c.stream_id).where(held.c.subscription == name, OPEN))
            return {bytes(row.stream_id) for row in found}

    def next_due(self, names: Sequence[str]) -> int | None:
        """Give the earliest due of the active ones among some subscriptions."""
        query = select(func.min(held.c.due)).join(subscriptions, subscriptions.c.name == held.c.subscription)
        with self._reading() as connection:
            due = connection.execute(query.where(held.c.subscription.in_(names), subscriptions.c.state == ACTIVE))
            found = due.scalar()
            return None if found is None else int(found)

    def counts(self) -> dict[tuple[str, str], int]:
        """Count the open rows of each subscription by their state."""
        query = select(held.c.subscription, held.c.state, func.count()).where(OPEN)
        with self._reading() as connection:
            found = connection.execute(query.group_by(held.c.subscription, held.c.state))
            return {(name, state): number for name, state, number in found}

    def parked(self, name: str) -> list[Held]:
        """Read the parked rows of a subscription by position."""
        query = select(*_HELD).where(held.c.subscription == name, held.c.state == PARKED)
        with self._reading() as connection:
            return [Held._make(row) for row in connection.execute(query.order_by(held.c.position))]

    def free(self, name: str, position: int, actor: str | None, *, due: int, discard: bool) -> bool:
        """Let a parked row go: to new tries, or discarded for good; False if it is not parked."""
        values: dict[str, object] = {"state": DISCARDED, "due": due, "actor": actor}
        if not discard:
            values |= {"state": RETRYING, "tries": 0}
        where = (held.c.subscription == name, held.c.position == position, held.c.state == PARKED)
        with self._writing() as connection:
            return connection.execute(update(held).where(*where).values(**values)).rowcount == 1

    def turn(self, name: str, state: str, *, legal: Sequence[str]) -> bool:
        """Change the state of a subscription; False if it is in none of the legal ones."""
        values: dict[str, object] = {"state": state}
        if state == ACTIVE:
            values |= {"error": None, "failures": 0, "streak": "[]"}
        if state == RETIRED:
            values |= {"owner": None, "lease_until": 0}
        where = (subscriptions.c.name == name, subscriptions.c.state.in_(legal))
        with self._writing() as connection:
            return connection.execute(update(subscriptions).where(*where).values(**values)).rowcount == 1

    def _own(self, connection: Connection, row: Row, values: dict[str, object]) -> None:
        moved = connection.execute(
            update(subscriptions)
            .where(
                subscriptions.c.name == row.name,
                subscriptions.c.epoch == row.epoch,
                subscriptions.c.checkpoint == row.checkpoint,
            )
            .values(**values)
        )
        if moved.rowcount != 1:
            raise OwnershipLost(row.name)

    def _owned(self, whose: ColumnElement[bool]) -> None:
        with self._writing() as connection:
            connection.execute(update(subscriptions).where(whose).values(owner=None, lease_until=0))

    @contextmanager
    def _writing(self, *, durable: bool = True) -> Iterator[Connection]:
        self._prepare()
        with self._store.transaction(durable=durable) as connection:
            yield connection

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        self._prepare()
        with self._store.reading() as connection:
            yield connection

    def _prepare(self) -> None:
        if self._ready:
            return
        with self._making:
            if not self._ready:
                with self._store.transaction() as connection:
                    tables.create(connection)
                self._ready = True


def _replace(connection: Connection, name: str, outcome: Outcome) -> None:
    """Delete the rows that are done with and write the new and changed ones."""
    gone = [{"one": position} for position in (*outcome.closed, *(row.position for row in outcome.written))]
    mine = and_(held.c.subscription == name, held.c.position == bindparam("one"))
    connection.execute(delete(held).where(mine), gone)
    if outcome.written:
        connection.execute(insert(held), [{"subscription": name, **row._asdict()} for row in outcome.written])


def rewound(name: str, checkpoint: int, head: int) -> LogRewound:
    """Give the error of a subscription that is ahead of its log."""
    return LogRewound(
        f"subscription {name!r} has reached position {checkpoint}, but the log ends at {head}: it lost its tail, "
        f"for instance because a replica was promoted. Find out which events are missing, then retire the subscription "
        f"and subscribe under a new name, or restore the log"
    )
