"""Fold the whole log anew: into a new generation of the read models, or to compare the present one with it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import Table, select

from tasker.codec.decode import text_id
from tasker.codec.definition import decode
from tasker.codec.recorded import CONTROL_NAMESPACE
from tasker.codec.registry import CODES
from tasker.domain.events import TaskAnnotated
from tasker.errors import TaskerError
from tasker.fold import fold_stream
from tasker.projections import generation, rows
from tasker.projections.batch import Batch
from tasker.projections.rows import Annotated
from tasker.projections.serve import serve
from tasker.projections.tables import tables_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import Connection

    from tasker.codec.rows import StoredEvent, StreamHeader
    from tasker.domain.definition import TaskDefinition
    from tasker.domain.task import Task
    from tasker.log.port import EventLog, Store
    from tasker.projections.rows import Row
    from tasker.projections.serve import StateAt

    Progress = Callable[[int, int], None]
    """Called now and then with how many events are done and how many there are."""

_ANNOTATED = CODES[TaskAnnotated]
_TASKS_AT_ONCE = 500
_EVENTS_AT_ONCE = 5_000


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


class Folded(NamedTuple):
    """One task, folded from its stored events up to a position."""

    stream_id: bytes
    header: StreamHeader
    task: Task
    events: list[StoredEvent]


class Folding:
    """Folds every stream of a log up to a position.

    Attributes:
        tasks: How many tasks were folded so far.
        events: How many events that took.
    """

    def __init__(self, store: Store, upto: int, progress: Progress | None) -> None:
        """Take the log and the position up to which events count."""
        self.tasks = self.events = 0
        self._store = store
        self._upto = upto
        self._progress = progress
        self._definitions: dict[bytes, TaskDefinition] = {}

    def __iter__(self) -> Iterator[Folded]:
        """Fold the streams in the order of their ids."""
        for stream_id, header in self._store.archive.streams():
            events = [event for event in self._store.log.stream(stream_id) if event.position <= self._upto]
            self.events += len(events)
            if events and header.namespace != CONTROL_NAMESPACE:
                definition = self._definition(header.definition_digest)
                self.tasks += 1
                yield Folded(stream_id, header, fold_stream(definition, text_id(stream_id), events), events)
            if self._progress is not None:
                self._progress(self.events, self._upto)

    def _definition(self, digest: bytes) -> TaskDefinition:
        found = self._definitions.get(digest)
        if found is None:
            found = self._definitions[digest] = definition_of(self._store.log, digest)
        return found


def definition_of(log: EventLog, digest: bytes) -> TaskDefinition:
    """Read a stored definition.

    Raises:
        TaskerError: The log does not have it.
    """
    stored = log.definition(digest)
    if stored is None:
        message = (
            f"expected the definition {digest.hex()} in the log, found none; rows were removed. Run"
            " `tasker audit verify`, then restore a backup"
        )
        raise TaskerError(message)
    return decode(stored)


def rebuild(store: Store, state_at: StateAt, progress: Progress | None) -> Rebuilt:
    """Fill a new generation from the log and make it the current one; see `Projections.rebuild`."""
    began = time.monotonic()
    upto = store.log.head()
    number = generation.begin(store, upto)
    folding = Folding(store, upto, progress)
    try:
        _fill(store, number, folding)
        while not generation.swap(store, number):
            serve(store, state_at, number, _EVENTS_AT_ONCE)
    except BaseException:
        generation.discard(store, number)
        raise
    return Rebuilt(folding.tasks, folding.events, upto, time.monotonic() - began)


def _fill(store: Store, number: int, folding: Folding) -> None:
    batch, waiting = Batch(), 0
    for folded in folding:
        add(batch, folded)
        waiting += 1
        if waiting == _TASKS_AT_ONCE:
            _write(store, number, batch)
            batch, waiting = Batch(), 0
    _write(store, number, batch)


def _write(store: Store, number: int, batch: Batch) -> None:
    with store.transaction(durable=False) as connection:
        if generation.of(connection, number) is None:
            message = f"generation {number} of the read models is gone: a later rebuild has replaced it; nothing to do"
            raise TaskerError(message)
        batch.write(connection, number)


def add(batch: Batch, folded: Folded) -> None:
    """Put a folded task into a batch."""
    first, last = folded.events[0], folded.events[-1]
    batch.create(folded.task, folded.header, folded.stream_id, first.position, last.position)
    for event in folded.events:
        if event.code == _ANNOTATED:
            stored = Annotated(event.version, event.schema_version, event.time, event.actor, event.data, event.payload)
            batch.annotate(first.position, stored)


def compare(store: Store, progress: Progress | None) -> Compared:
    """Fold every task anew and compare it with the read models; see `Projections.compare`."""
    began = time.monotonic()
    differences: list[str] = []
    with store.reading() as connection:
        current = generation.current(connection)
    folding = Folding(store, current.checkpoint, progress)
    for folded in folding:
        batch = Batch()
        add(batch, folded)
        with store.reading() as connection:
            differences += _differences(connection, current.number, batch, folded)
    return Compared(folding.tasks, folding.events, time.monotonic() - began, tuple(differences))


def _differences(connection: Connection, number: int, batch: Batch, folded: Folded) -> Iterator[str]:
    tables, created = tables_of(number), folded.events[0].position
    pairs = (
        (tables.tasks, rows.FIXED + rows.CHANGING, batch.tasks),
        (tables.steps, rows.STEP, batch.steps),
        (tables.annotations, rows.ANNOTATION, batch.annotations),
        (tables.tags, ("tag", "task"), batch.tags),
        (tables.systems, ("dependent_system", "task"), batch.systems),
    )
    for table, columns, expected in pairs:
        found = _stored(connection, table, columns, created)
        wanted = sorted(dict.fromkeys(expected), key=repr)
        if found != wanted:
            wrong = [row for row in wanted if row not in found] + [row for row in found if row not in wanted]
            yield f"task {folded.task.id}: {table.name} differs from the log in {wrong[0]!r}"


def _stored(connection: Connection, table: Table, columns: tuple[str, ...], created: int) -> list[Row]:
    key = table.c.created if "created" in columns else table.c.task
    found = connection.execute(select(*(table.c[name] for name in columns)).where(key == created))
    return sorted((tuple(row) for row in found), key=repr)
