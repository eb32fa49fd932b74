"""Fold a log anew, page by page, into the rows that serving it event by event gives.

Columns of events say nearly everything; the few events whose data say the rest are read by their positions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tasker.codec.decode import decode, text_id
from tasker.codec.definition import decode as decode_definition
from tasker.codec.recorded import CONTROL_NAMESPACE
from tasker.codec.registry import CODES, SYSTEM_TYPES
from tasker.codec.rows import StoredEvent
from tasker.domain import events as ev
from tasker.domain.task import blank, evolve
from tasker.errors import TaskerError
from tasker.fold import fold_stream
from tasker.fold.bulk import ERROR, LIMIT, WORKER, Bulk
from tasker.fold.columns import at_code, first, last, position
from tasker.fold.complete import limits
from tasker.projections import rows
from tasker.projections.batch import Batch
from tasker.projections.changes import read_annotated

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tasker.codec.rows import StreamHeader
    from tasker.domain.definition import TaskDefinition
    from tasker.domain.task import Request
    from tasker.fold.bulk import Need, Sums, TaskSums
    from tasker.fold.columns import HeadPage
    from tasker.log.port import EventLog, Store
    from tasker.projections.rows import Row

    Progress = Callable[[int, int], None]
    """Called now and then with how many events are done and how many there are."""

_EVENTS_AT_ONCE = 2_000  # larger pages leave the processor's cache
_CREATED = SYSTEM_TYPES[CODES[ev.TaskCreated]]
_ANNOTATED = CODES[ev.TaskAnnotated]


class Folded(NamedTuple):
    """What the events of one task up to a position have said in their data."""

    stream_id: bytes
    header: StreamHeader
    sums: TaskSums
    asked: ev.TaskCreated | Request


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
        self._systems: dict[bytes, tuple[str, ...]] = {}
        self._bulk = Bulk(self._definition)

    def __iter__(self) -> Iterator[Batch]:
        """Fold the streams in the order of their ids; gives the rows of some of them at a time."""
        after = b""
        while (page := self._store.log.heads(after, limit=_EVENTS_AT_ONCE, upto=self._upto)).events:
            after = last(page.heads)
            yield self._batch(page)
            self.events += page.events
            if self._progress is not None:
                self._progress(self.events, self._upto)

    def _batch(self, page: HeadPage) -> Batch:
        """Fold a page into the rows of its tasks."""
        batch, sums = Batch(), self._bulk.sums(page)
        folded = self._asked(page, sums)
        batch.steps = self._steps(page, sums)
        for one in folded:
            created, request = one.sums.created, one.asked
            batch.tasks.append(rows.task(one.stream_id, one.header, one.sums, request))
            batch.systems += [(system, created) for system in self._systems_of(one.header.definition_digest)]
            batch.tags += [(tag, created) for tag in dict.fromkeys(request.tags)]
        self._annotate(batch, page, {one.stream_id: one.sums.created for one in folded})
        self.tasks += len(folded)
        for place in sums.returned:
            self._add(batch, *page.streams[place])
        return batch

    def _asked(self, page: HeadPage, sums: Sums) -> list[Folded]:
        """Read what was asked for when the tasks of a page were created, and since then."""
        log = self._store.log
        data = dict(log.data_at([task.created for task in sums.tasks if task is not None]))
        folded = []
        for (stream_id, header), task in zip(page.streams, sums.tasks, strict=True):
            if task is not None:
                created = _created(stream_id, header, task, data[task.created])
                asked = self._updated(page, stream_id, header, task, created) if task.updated else created
                folded.append(Folded(stream_id, header, task, asked))
        return folded

    def _updated(
        self, page: HeadPage, stream_id: bytes, header: StreamHeader, sums: TaskSums, created: ev.TaskCreated
    ) -> Request:
        """Take in what operators have changed of a request."""
        start = first(page.heads, stream_id) - 1
        task = evolve(blank(created.name, self._definition(header.definition_digest)), created)
        for event in self._store.log.events_at([position(page.heads, start + version) for version in sums.updated]):
            task = evolve(task, decode(event))
        return task.request

    def _steps(self, page: HeadPage, sums: Sums) -> list[Row]:
        """Give the rows of steps, with what they lack."""
        found: list[Row] = sums.steps  # type: ignore[assignment]  # columns of the read models
        if not sums.needs:
            return found
        needs, heads = sums.needs, page.heads
        starts = {need.stream: first(heads, page.streams[need.stream][0]) - 1 for need in needs}
        places = [[position(heads, starts[need.stream] + version) for version in need.versions] for need in needs]
        read = self._store.log.events_at(list({at for wanted in places for at in wanted}))
        events = {row.position: row for row in read}
        for need, wanted in zip(needs, places, strict=True):
            found[need.row] = _with(found[need.row], need, [decode(events[at]) for at in wanted])
        return found

    def _annotate(self, batch: Batch, page: HeadPage, created: dict[bytes, int]) -> None:
        """Take in the annotations of the tasks of a page."""
        positions = at_code(page.heads, _ANNOTATED) if created else []
        if positions:
            with self._store.reading() as connection:
                found = read_annotated(connection, positions)
            for stream_id, annotations in found.items():
                for stored in annotations if stream_id in created else ():
                    batch.annotate(created[stream_id], stored)

    def _add(self, batch: Batch, stream_id: bytes, header: StreamHeader) -> None:
        """Fold one stream from its stored events."""
        if header.namespace == CONTROL_NAMESPACE:
            return
        events = [event for event in self._store.log.stream(stream_id) if event.position <= self._upto]
        if not events:
            return
        task = fold_stream(self._definition(header.definition_digest), text_id(stream_id), events)
        created = events[0].position
        batch.create(task, header, stream_id, created, events[-1].position)
        for event in events:
            if event.code == _ANNOTATED:
                columns = (event.version, event.schema_version, event.time, event.actor, event.data, event.payload)
                batch.annotate(created, rows.Annotated(*columns))
        self.tasks += 1

    def _definition(self, digest: bytes) -> TaskDefinition:
        found = self._definitions.get(digest)
        if found is None:
            found = self._definitions[digest] = definition_of(self._store.log, digest)
        return found

    def _systems_of(self, digest: bytes) -> tuple[str, ...]:
        found = self._systems.get(digest)
        if found is None:
            found = self._systems[digest] = tuple(rows.systems_of(self._definition(digest)))
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
    return decode_definition(stored)


def _created(stream_id: bytes, header: StreamHeader, sums: TaskSums, data: bytes) -> ev.TaskCreated:
    """Read a `task.created` without its payload, which no row shows."""
    event = decode(
        StoredEvent(
            sums.created, stream_id, 1, b"", _CREATED.code, _CREATED.name, 1, sums.created_at, None, None, None, None,
            None, None, data, None, None, None, b"", header,
        )
    )  # fmt: skip
    assert isinstance(event, ev.TaskCreated)  # noqa: S101 - the code says so
    return event


def _with(row: Row, need: Need, events: Sequence[ev.TaskStreamEvent]) -> Row:
    """Give a row of a step with what it lacked."""
    columns, last = dict(zip(rows.STEP, row, strict=True)), events[-1]
    if need.kind == WORKER and isinstance(last, ev.StepStarted):
        columns["worker_id"] = last.worker_id
    elif need.kind == ERROR and isinstance(last, ev.StepFailed):
        columns["error_type"] = last.error.type
    elif need.kind == LIMIT:
        columns["retry_limit"] = limits(need.versions, events)[0] or columns["retry_limit"]
    return tuple(columns.values())
