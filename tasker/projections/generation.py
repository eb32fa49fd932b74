"""The row of each generation: which one is current, how far it has come, why it stopped."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import func, insert, select, update

from tasker.projections import tables
from tasker.projections.tables import BUILDING, CURRENT, generations

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from tasker.log.port import Store


class Generation(NamedTuple):
    """One generation.

    Attributes:
        number: Stands at the end of its tables' names.
        checkpoint: Position up to which it shows the log.
        failed_at: Position of the event that stopped it, or None.
        error: Why it stopped, or None.
    """

    number: int
    checkpoint: int
    failed_at: int | None
    error: str | None


_CURRENT = f"SELECT generation, checkpoint, failed_at, error FROM {generations.name} WHERE current = {CURRENT}"  # noqa: S608 - constants only
_COLUMNS = (generations.c.generation, generations.c.checkpoint, generations.c.failed_at, generations.c.error)


def ensure(store: Store) -> None:
    """Create the first generation if there is none."""
    with store.reading() as connection:
        if tables.exist(connection):
            return
    with store.transaction() as connection:
        if not tables.exist(connection):
            generations.create(connection)
            tables.create(connection, 1)
            connection.execute(insert(generations).values(generation=1, current=CURRENT, checkpoint=0))


def current(connection: Connection) -> Generation:
    """Read the row of the current generation."""
    return Generation(*connection.exec_driver_sql(_CURRENT).one())


def of(connection: Connection, number: int) -> Generation | None:
    """Read the row of a generation; None if it was dropped."""
    row = connection.execute(select(*_COLUMNS).where(generations.c.generation == number)).one_or_none()
    return None if row is None else Generation(*row)


def advance(connection: Connection, number: int, *, expected: int, position: int) -> bool:
    """Move a checkpoint by compare-and-set, and forget that it had stopped; False if somebody else was faster."""
    moved = connection.execute(
        update(generations)
        .where(generations.c.generation == number, generations.c.checkpoint == expected)
        .values(checkpoint=position, failed_at=None, error=None)
    )
    return moved.rowcount == 1


def fail(store: Store, number: int, position: int, error: str) -> None:
    """Record why a generation stopped."""
    with store.transaction(durable=False) as connection:
        connection.execute(
            update(generations).where(generations.c.generation == number).values(failed_at=position, error=error)
        )


def begin(store: Store, position: int) -> int:
    """Make a new generation beside the others, with its checkpoint where its filling will bring it; give its number."""
    with store.transaction() as connection:
        last = connection.execute(select(func.max(generations.c.generation))).scalar_one()
        number = int(last) + 1
        tables.create(connection, number)
        connection.execute(insert(generations).values(generation=number, current=BUILDING, checkpoint=position))
    return number


def swap(store: Store, number: int) -> bool:
    """Make a generation the current one and drop those before it, in one transaction.

    Returns:
        False if it is behind the current one: it has to be served first, for a read model never goes back.
    """
    with store.transaction() as connection:
        old, new = current(connection), of(connection, number)
        (head,) = connection.exec_driver_sql("SELECT position FROM log_head").one()
        # The current one may stand behind the end of a log that has lost its tail; there is nothing to wait for then.
        if new is None or new.checkpoint < min(old.checkpoint, head):
            return False
        connection.execute(update(generations).values(current=BUILDING).where(generations.c.generation == old.number))
        connection.execute(update(generations).values(current=CURRENT).where(generations.c.generation == number))
        for earlier in others(connection, number):
            if earlier < number:
                _drop(connection, earlier)
    return True


def discard(store: Store, number: int) -> None:
    """Drop a generation that will not be finished."""
    with store.transaction() as connection:
        found = of(connection, number)
        if found is not None and found.number != current(connection).number:
            _drop(connection, number)


def others(connection: Connection, number: int) -> list[int]:
    """Give the numbers of all other generations."""
    found = connection.execute(select(generations.c.generation).where(generations.c.generation != number))
    return list(found.scalars())


def _drop(connection: Connection, number: int) -> None:
    connection.execute(generations.delete().where(generations.c.generation == number))
    tables.drop(connection, number)
