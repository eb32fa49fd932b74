"""The reading use cases: a task now or at any past point, lists from the read model, events, and replay."""

from __future__ import annotations

import time
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from tasker.catalog.patterns import Patterns
from tasker.clock import from_micros, micros
from tasker.codec.decode import text_id
from tasker.codec.recorded import RecordedEvent
from tasker.codec.rows import StoredEvent
from tasker.domain.status import TaskStatus
from tasker.errors import InvalidRequest, UnknownTask
from tasker.fold import fold_heads, fold_stream
from tasker.fold.columns import points
from tasker.handlers.step_view import TaskFacts
from tasker.handlers.views import Task
from tasker.runtime.identity import stream_id
from tasker.runtime.position import Position
from tasker.runtime.sources import LogSource
from tasker.runtime.streams import LONG, Known

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tasker.projections.filters import TaskFilter
    from tasker.projections.rows import TaskRow
    from tasker.runtime.context import Context

At = int | Position | datetime | None
_PAGE = 500
_CATCH_UP_SECONDS = 2.0


class TaskPage(NamedTuple):
    """One page of `tasks()`.

    Attributes:
        items: The tasks, newest first.
        as_of: Position of the log up to which the read model had come.
        cursor: What to give for the next page; None on the last.
    """

    items: list[Task]
    as_of: int
    cursor: str | None


class Replayed(NamedTuple):
    """What a replay of the whole log found.

    Attributes:
        tasks: Tasks folded.
        events: Events read.
        seconds: Real time taken.
        differences: What the read model says otherwise, a sentence each.
    """

    tasks: int
    events: int
    seconds: float
    differences: list[str]


class ListedTask(Task):
    """A task of a list: its summary comes from the read model, its steps and payloads are loaded when asked for."""

    __slots__ = ("_load", "_loaded", "_row")

    def __init__(self, row: TaskRow, load: Callable[[], TaskFacts]) -> None:
        """Take the row and what loads the rest as of the row's version."""
        self._row = row
        self._load = load
        self._loaded: TaskFacts | None = None
        self._now = None
        self.created = False
        self.position = row.position

    @property
    def _facts(self) -> TaskFacts:  # type: ignore[override]  # the base class keeps it in a slot
        if self._loaded is None:
            self._loaded = self._load()
        return self._loaded


def _from_row(name: str, convert: Callable[[object], object] | None = None) -> property:
    def read(self: ListedTask) -> object:
        value = getattr(self._row, name)
        return value if convert is None or value is None else convert(value)

    read.__doc__ = f"Give `{name}` from the read model."
    return property(read)


def _moment(value: object) -> datetime | None:
    return from_micros(value) if isinstance(value, int) else None


def _status(value: object) -> TaskStatus:
    return TaskStatus(str(value))


for _name in (
    "id", "name", "namespace", "version", "paused", "initiator", "source_system", "reason", "tags", "priority",
    "correlation_id", "parent", "execution_status", "health_status", "completion_percentage", "recommended_action",
    "stream_version",
):  # fmt: skip
    setattr(ListedTask, _name, _from_row(_name))
for _name in ("created_at", "started_at", "completed_at"):
    setattr(ListedTask, _name, _from_row(_name, _moment))
ListedTask.status = _from_row("status", _status)  # type: ignore[assignment,method-assign]  # a property like the base's


def _check_count(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        message = f"expected for {name} a whole number of at least 0, found {value!r}"
        raise InvalidRequest(message, problems={name: message})


class Point(NamedTuple):
    """Where an event stands in the log and in time."""

    position: int
    time: int


_Place = TypeVar("_Place", Point, StoredEvent)


def _until(places: list[_Place], task_id: str, at: At) -> list[_Place]:
    """Give the first events of a stream, up to a point of the past."""
    if at is None:
        return places
    if isinstance(at, Position):
        found = [place for place in places if place.position <= at.value]
        point = f"position {at.value}"
    elif isinstance(at, datetime):
        limit = micros(at)
        found = [place for place in places if place.time <= limit]
        point = at.isoformat()
    elif isinstance(at, int) and not isinstance(at, bool):
        if at > len(places):
            message = f"expected as version at most {len(places)}, which task {task_id} has reached, found {at}"
            raise InvalidRequest(message, problems={"at": message})
        found = places[: max(at, 0)]
        point = f"version {at}"
    else:
        message = f"expected for at a version (int), a Position or an aware datetime, found {at!r}"
        raise InvalidRequest(message, problems={"at": message})
    if not found:
        raise UnknownTask(
            f"task {task_id} did not exist yet at {point}; it was created at position {places[0].position}"
        )
    return found


def _bound(at: At) -> dict[str, int]:
    """Give a point of the past as `fold_heads` takes it."""
    if isinstance(at, Position):
        return {"position": at.value}
    return {"time": micros(at)} if isinstance(at, datetime) else {}


class Reading:
    """The use cases of whoever looks."""

    def __init__(self, context: Context) -> None:
        """Take what use cases share."""
        self._context = context

    def task(self, task_id: str, at: At) -> Task:
        """Give a task as it is now, or as it was.

        Args:
            task_id: The task.
            at: A version of its stream, a `Position` of the log or an aware datetime; None for now.

        Raises:
            UnknownTask: There is no such task, or there was none at that point.
            InvalidRequest: `at` is none of these, or a version that the stream has not reached.
        """
        stream = self._stream(task_id)
        if at is None:
            return self._context.view(self._context.streams.current(stream))
        return self._context.view(self._known_at(task_id, stream, at))

    def replay(self, task_id: str, at: At) -> Task:
        """Fold a task anew from its stored events."""
        stream = self._stream(task_id)
        return self._context.view(self._known_at(task_id, stream, at))

    def _stream(self, task_id: str) -> bytes:
        stream = stream_id(task_id)
        if stream == self._context.office.control_id:
            raise UnknownTask(
                f"expected a task id, found {task_id}, which is the stream of pauses; see events({task_id!r})"
            )
        return stream

    def _known_at(self, task_id: str, stream: bytes, at: At) -> Known:
        log = self._context.log()
        limit = at if isinstance(at, int) and at > 0 else None
        rows = log.stream(stream, limit=LONG if limit is None else min(limit, LONG))
        if not rows:
            raise UnknownTask(f"expected the id of a task of this log, found {task_id}, which it does not hold")
        definition = self._context.plans.get(rows[0].header.definition_digest).definition
        if len(rows) == LONG:
            heads = log.heads_of(stream, limit=limit)
            _until([Point(*point) for point in points(heads)], task_id, at)
            found = fold_heads(definition, stream, heads, log.events_at, **_bound(at))
            if found is not None:
                return Known(*found)
            rows = log.stream(stream, limit=limit)
        rows = _until(rows, task_id, at)
        return Known(fold_stream(definition, text_id(stream), rows), rows[-1].position)

    def tasks(self, wanted: TaskFilter, *, limit: int, cursor: str | None, at_least: int | None) -> TaskPage:
        """Give a page of the read model; it is brought up to the head first where that takes no long time.

        Raises:
            InvalidRequest: A filter, the limit or the cursor is wrong.
            ProjectionBehind: `at_least` was not reached within 2 s.
        """
        projections = self._context.projections
        deadline = time.monotonic() + _CATCH_UP_SECONDS
        while projections.serve() and time.monotonic() < deadline:
            pass
        if at_least is not None:
            projections.wait_for(at_least, timeout=max(0.0, deadline - time.monotonic()))
        page = projections.query(wanted, limit=limit, cursor=cursor)
        return TaskPage([ListedTask(row, self._loader(row)) for row in page.rows], page.as_of, page.cursor)

    def _loader(self, row: TaskRow) -> Callable[[], TaskFacts]:
        def load() -> TaskFacts:
            stream = stream_id(row.id)
            state = self._context.streams.at_version(stream, row.stream_version)
            return TaskFacts(state, LogSource(self._context.log, stream, row.stream_version))

        return load

    def events(
        self, task_id: str | None, *, after: int, types: str | Iterable[str] | None, limit: int | None
    ) -> Iterator[RecordedEvent]:
        """Give events in order, of one stream or of the whole log, lazily; nothing behind the last one given is read.

        Raises:
            InvalidRequest: `after`, `limit` or `types` is wrong; raised by the call, not by the first event.
            UnknownTask: `task_id` is no id.
        """
        _check_count("after", after)
        _check_count("limit", 0 if limit is None else limit)
        patterns = None if types is None else Patterns(types)
        rows = self._rows(None if task_id is None else stream_id(task_id), after)
        log_id = self._context.log().log_id
        found = (RecordedEvent(row, log_id) for row in rows if patterns is None or patterns.matches(row.type))
        return found if limit is None else islice(found, limit)

    def _rows(self, stream: bytes | None, after: int) -> Iterator[StoredEvent]:
        log = self._context.log()
        if stream is not None:
            rows = log.tail(after, limit=_PAGE, streams=[stream]) if after else log.stream(stream, limit=_PAGE)
            while rows:
                yield from rows
                rows = log.stream(stream, after=rows[-1].version, limit=_PAGE)
            return
        while rows := log.tail(after, limit=_PAGE):
            yield from rows
            after = rows[-1].position

    def replay_all(self, progress: Callable[[int, int], None] | None) -> Replayed:
        """Fold every task of the log anew and compare with the read model."""
        began = time.monotonic()
        projections = self._context.projections
        while projections.serve():
            pass
        compared = projections.compare(progress)
        return Replayed(compared.tasks, compared.events, time.monotonic() - began, list(compared.differences))
