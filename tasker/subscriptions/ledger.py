"""The rows of the subscriptions: every read and write of the two tables.

What the owner of a subscription writes is a compare-and-set on its epoch and checkpoint; what a person changes touches
the state, or a parked row, which the owner leaves alone. So neither undoes the other. Leases are written and compared
by the clock of the database. Whatever the number of subscriptions, a round needs a fixed number of statements.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING

from sqlalchemy import ColumnElement, and_, bindparam, case, delete, func, insert, or_, select, update

from tasker.subscriptions import tables
from tasker.subscriptions.clock import StoreClock
from tasker.subscriptions.tables import ACTIVE, DISCARDED, PARKED, RETIRED, RETRYING, held, subscriptions
from tasker.subscriptions.values import Held, Row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from sqlalchemy import Connection

    from tasker.log.port import Store
    from tasker.subscriptions.values import Entry, Outcome

OPEN: ColumnElement[bool] = or_(held.c.state == PARKED, held.c.due.is_not(None))
_COLUMNS = tuple(subscriptions.c[name] for name in Row._fields if name in subscriptions.c)
_NEXT_DUE = select(func.min(held.c.due)).where(held.c.subscription == subscriptions.c.name).scalar_subquery()
_HELD = (held.c.position, held.c.stream_id, held.c.state, held.c.tries, held.c.due, held.c.error, held.c.actor)
_DUE_AT_ONCE = 100


class Ledger:
    """Reads and writes the rows; makes the tables with the first use."""

    def __init__(
        self, store: Store, owner: str, lease: int, clock: Callable[[], ColumnElement[int]] = StoreClock
    ) -> None:
        """Take the store and who this process is.

        Args:
            store: Where the rows are.
            owner: The name under which this process owns subscriptions.
            lease: How long a lease lasts, in microseconds.
            clock: Gives the present time of the database, in microseconds, as an expression.
        """
        self.owner = owner
        self.lease = lease
        self._store = store
        self._clock = clock
        self._ready = False
        self._making = Lock()

    def rows(self, names: Sequence[str] | None = None) -> list[Row]:
        """Read the rows of some subscriptions, or of all, by name."""
        query = select(*_COLUMNS, self._left(), _NEXT_DUE).order_by(subscriptions.c.name)
        if names is not None:
            query = query.where(subscriptions.c.name.in_(names))
        with self._reading() as connection:
            return [Row._make(row) for row in connection.execute(query)]

    def register(self, name: str, start: int, patterns: Sequence[str]) -> str:
        """Make the row of a subscription if there is none; else note its globs, and wake one that had failed.

        Returns:
            The state that it was in.
        """
        globs = json.dumps(list(patterns))
        mine = subscriptions.c.name == name
        with self._writing() as connection:
            found = connection.execute(select(subscriptions.c.state).where(mine)).scalar()
            if found is None:
                new = {"name": name, "state": ACTIVE, "checkpoint": start, "patterns": globs}
                connection.execute(insert(subscriptions).values(**new, **tables.FRESH))
                return ACTIVE
            connection.execute(update(subscriptions).where(mine).values(patterns=globs))
            failed = and_(mine, subscriptions.c.state == tables.FAILED)
            connection.execute(update(subscriptions).where(failed).values(state=ACTIVE, error=None))
            return str(found)

    def claim(self, names: Sequence[str]) -> list[Row]:
        """Become, or stay, the owner of those that nobody else holds; a new owner counts the epoch up."""
        clock, mine = self._clock(), subscriptions.c.owner == self.owner
        free = or_(mine, subscriptions.c.owner.is_(None), subscriptions.c.lease_until <= clock)
        taken = (
            update(subscriptions)
            .where(subscriptions.c.name.in_(names), subscriptions.c.state == ACTIVE, free)
            .values(
                owner=self.owner,
                lease_until=clock + self.lease,
                epoch=subscriptions.c.epoch + case((mine, 0), else_=1),
            )
            .returning(*_COLUMNS, self._left(), _NEXT_DUE)
        )
        with self._writing() as connection:  # its number must not be given to another owner after a crash of the server
            return sorted(Row._make(row) for row in connection.execute(taken))

    def renew(self, names: Sequence[str]) -> dict[str, int]:
        """Lengthen the leases of those that this process owns; give their epochs."""
        mine = (subscriptions.c.name.in_(names), subscriptions.c.owner == self.owner)
        kept = update(subscriptions).where(*mine).values(lease_until=self._clock() + self.lease)
        with self._writing(durable=False) as connection:
            found = connection.execute(kept.returning(subscriptions.c.name, subscriptions.c.epoch))
            return {name: epoch for name, epoch in found}  # noqa: C416 - mypy knows the types of a tuple only

    def release(self) -> None:
        """Give up whatever this process owns, so that another may take it at once."""
        self._free(subscriptions.c.owner == self.owner)

    def inherit(self) -> None:
        """Free what other processes own: the caller knows that they are dead."""
        self._free(subscriptions.c.owner != self.owner)

    def move(self, names: Sequence[str], before: int, after: int) -> set[str]:
        """Move the checkpoint of some subscriptions from one place to the same other; give those that were moved."""
        there = (subscriptions.c.checkpoint == before, subscriptions.c.owner == self.owner)
        moved = update(subscriptions).where(subscriptions.c.name.in_(names), *there).values(checkpoint=after)
        with self._writing(durable=False) as connection:
            return set(connection.execute(moved.returning(subscriptions.c.name)).scalars())

    def commit(self, entries: Sequence[Entry]) -> list[str | None]:
        """Store what some batches brought, all or nothing of each.

        Returns:
            The state of each subscription; None where epoch or checkpoint is no longer that of the row: another process
            took it over, and nothing of the batch is stored.
        """
        # A crash of the server may take a checkpoint back: its owner sees that, and sends again. What holds a task, the
        # owner remembers and does not read again: a row taken back would leave its events undelivered.
        durable = any(entry.outcome.written or entry.outcome.closed for entry in entries)
        with self._writing(durable=durable) as connection:
            return [self._commit(connection, entry.row, entry.outcome) for entry in entries]

    def due(self, name: str, now: int) -> list[Held]:
        """Read the rows that are due, the oldest position first, a bounded number."""
        query = select(*_HELD).where(held.c.subscription == name, held.c.due <= now)
        with self._reading() as connection:
            found = connection.execute(query.order_by(held.c.due, held.c.position).limit(_DUE_AT_ONCE))
            return sorted(Held._make(row) for row in found)

    def streams(self, names: Sequence[str]) -> Mapping[str, set[bytes]]:
        """Read which streams are held, for each of some subscriptions."""
        query = select(held.c.subscription, held.c.stream_id).where(held.c.subscription.in_(names), OPEN)
        found: dict[str, set[bytes]] = {name: set() for name in names}
        with self._reading() as connection:
            for name, stream_id in connection.execute(query):
                found[name].add(bytes(stream_id))
        return found

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

    def free(self, name: str, position: int, actor: str, *, due: int, discard: bool) -> bool:
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

    def _commit(self, connection: Connection, row: Row, outcome: Outcome) -> str | None:
        """Store what one batch brought; give the state, or None if the subscription is another process's by now."""
        mine = (subscriptions.c.owner == self.owner, subscriptions.c.epoch == row.epoch)
        moved = (
            update(subscriptions)
            .where(subscriptions.c.name == row.name, *mine, subscriptions.c.checkpoint == row.checkpoint)
            .values(
                checkpoint=outcome.checkpoint,
                failures=outcome.failures,
                streak=json.dumps(outcome.streak),
                error=outcome.error,
                lease_until=self._clock() + self.lease,
            )
        )
        state = connection.execute(moved.returning(subscriptions.c.state)).scalar()
        if state is None:
            return None
        if outcome.closed or outcome.written:
            _replace(connection, row.name, outcome)
        if outcome.stop is None or state != ACTIVE:
            return str(state)
        state, error = outcome.stop
        connection.execute(
            update(subscriptions).where(subscriptions.c.name == row.name).values(state=state, error=error)
        )
        return state

    def _left(self) -> ColumnElement[int]:
        return (subscriptions.c.lease_until - self._clock()).label("lease_left")

    def _free(self, whose: ColumnElement[bool]) -> None:
        with self._writing() as connection:
            connection.execute(update(subscriptions).where(whose).values(owner=None, lease_until=0))

    @contextmanager
    def _writing(self, *, durable: bool = True) -> Iterator[Connection]:
        self._prepare()
        with self._store.transaction(durable=durable) as connection:
            yield connection

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        """Hold a connection for a single query."""
        self._prepare()
        with self._store.reading() as connection:
            # A query alone needs no transaction around it: on a server, that would be two more round trips.
            alone = connection.dialect.name == "postgresql"
            yield connection.execution_options(isolation_level="AUTOCOMMIT") if alone else connection

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
