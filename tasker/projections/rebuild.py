"""Fold the whole log anew: into a new generation of the read models, or to compare the present one with it."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from tasker.errors import TaskerError
from tasker.projections import generation
from tasker.projections.batch import Batch
from tasker.projections.comparison import Comparison
from tasker.projections.folding import Folding, definition_of
from tasker.projections.serve import serve
from tasker.projections.tables import tables_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection

    from tasker.log.port import Store
    from tasker.projections.folding import Progress
    from tasker.projections.serve import StatesAt

__all__ = ["Compared", "Rebuilt", "compare", "definition_of", "rebuild"]

_TASKS_AT_ONCE = 2_000
_EVENTS_AT_ONCE = 5_000
_INDEXED_LATER = 20_000_000
"""Events of a log from which on indexes are kept up during the fill: making one afterwards holds the writer longer."""


class Rebuilt(NamedTuple):
    """What a rebuild did: numbers of tasks and events, the position it shows, and how long it took."""

    tasks: int
    events: int
    position: int
    seconds: float


class Compared(NamedTuple):
    """What a comparison of the log with the read models found; `differences` are sentences, empty if there are none."""

    tasks: int
    events: int
    seconds: float
    differences: tuple[str, ...]


def rebuild(store: Store, states_at: StatesAt, progress: Progress | None) -> Rebuilt:
    """Fill a new generation from the log and make it the current one; see `Projections.rebuild`."""
    began = time.monotonic()
    upto = store.log.head()
    number = generation.begin(store, upto)
    folding = Folding(store, upto, progress)
    try:
        with _without_indexes(store, number, upto):
            _fill(store, number, folding)
        while not generation.swap(store, number):
            serve(store, states_at, number, _EVENTS_AT_ONCE)
    except BaseException:
        generation.discard(store, number)
        raise
    return Rebuilt(folding.tasks, folding.events, upto, time.monotonic() - began)


@contextmanager
def _without_indexes(store: Store, number: int, events: int) -> Iterator[None]:
    """Fill the tasks of a generation first and index them then, one index a transaction, where that is quick."""
    indexes = list(tables_of(number).tasks.indexes) if events < _INDEXED_LATER else []
    with store.transaction(durable=False) as connection:
        _check_there(connection, number)
        for index in indexes:
            index.drop(connection)
    yield
    for index in indexes:
        with store.transaction(durable=False) as connection:
            _check_there(connection, number)
            index.create(connection)


def _fill(store: Store, number: int, folding: Folding) -> None:
    waiting = Batch()
    for batch in folding:
        _join(waiting, batch)
        if len(waiting.tasks) >= _TASKS_AT_ONCE:
            _write(store, number, waiting)
            waiting = Batch()
    _write(store, number, waiting)


def _join(batch: Batch, other: Batch) -> None:
    """Put the new tasks of a batch into another."""
    batch.tasks += other.tasks
    batch.steps += other.steps
    batch.tags += other.tags
    batch.systems += other.systems
    batch.annotations += other.annotations
    batch.matches += other.matches


def _write(store: Store, number: int, batch: Batch) -> None:
    with store.transaction(durable=False) as connection:
        _check_there(connection, number)
        batch.write(connection, number)


def _check_there(connection: Connection, number: int) -> None:
    """Stop where a later rebuild was quicker."""
    if generation.of(connection, number) is None:
        message = f"generation {number} of the read models is gone: a later rebuild has replaced it; nothing to do"
        raise TaskerError(message)


def compare(store: Store, progress: Progress | None) -> Compared:
    """Fold every task anew and compare it with the read models; see `Projections.compare`."""
    began = time.monotonic()
    with store.reading() as connection:
        current = generation.current(connection)
    folding = Folding(store, current.checkpoint, progress)
    comparison = Comparison(store, current.number)
    for batch in folding:
        comparison.look(batch)
    comparison.count(lambda: Folding(store, current.checkpoint, None))
    return Compared(folding.tasks, folding.events, time.monotonic() - began, tuple(comparison.differences))
