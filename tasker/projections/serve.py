"""Serve a generation: read what changed, fold it outside of any transaction, write rows and checkpoint in one."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tasker.codec.recorded import CONTROL_NAMESPACE
from tasker.errors import LogRewound, LogUnavailable, TaskerError, UnsupportedEvent
from tasker.projections import generation as generations
from tasker.projections.batch import Batch, Known
from tasker.projections.changes import Change, Stretch, read_annotated, read_changes
from tasker.projections.sql import among, chunks
from tasker.projections.tables import tables_of
from tasker.subscriptions.erasure import forget

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sqlalchemy import Connection

    from tasker.codec.rows import StreamHeader
    from tasker.domain.task import Task
    from tasker.log.port import Store
    from tasker.projections.rows import Annotated

    StatesAt = Callable[[Mapping[bytes, int]], Mapping[bytes, Task]]
    """Gives the states of the tasks of some streams, each as of a version; fails if one of them cannot be had."""

    StateAt = Callable[[bytes, int], Task]
    """The same for one stream."""


class EventFailed(TaskerError):
    """An event could not be brought into the read models; `position` and `cause` say which and why."""

    def __init__(self, position: int, cause: Exception) -> None:
        """Keep the place and the cause."""
        super().__init__(f"{type(cause).__name__}: {cause}")
        self.position = position
        self.cause = cause


class _Read(NamedTuple):
    stretch: Stretch
    known: dict[bytes, Known]
    annotated: dict[bytes, list[Annotated]]


def serve(store: Store, states_at: StatesAt, number: int | None, limit: int) -> bool:
    """Bring a generation forward by at most `limit` events.

    Args:
        store: Where the log and the read models are.
        states_at: Gives states.
        number: The generation; None for the current one.
        limit: How many events at most.

    Returns:
        Whether it, or somebody else meanwhile, made progress.

    Raises:
        EventFailed: The state of a task cannot be had or shown; nothing was written.
        LogUnavailable: The store failed; nothing was written.
    """
    read = _read(store, number, limit)
    stretch = read.stretch
    if stretch.upto == stretch.after:
        return False
    batch, state_at = Batch(), _states(store, states_at, stretch)
    for stream_id, change in stretch.changes.items():
        try:
            _take(batch, store, state_at, stream_id, change, read)
        except LogUnavailable:
            raise
        except UnsupportedEvent as error:
            raise EventFailed(error.position, error) from error
        except Exception as error:  # whatever it is, it stops the projection at this event and is shown
            raise EventFailed(change.position, error) from error
    _write(store, stretch, batch)
    return True


def _read(store: Store, number: int | None, limit: int) -> _Read:
    with store.reading() as connection:
        found = generations.current(connection) if number is None else generations.of(connection, number)
        if found is None:
            message = f"generation {number} of the read models is gone: a later rebuild has replaced it; nothing to do"
            raise TaskerError(message)
        stretch = read_changes(connection, found.number, found.checkpoint, limit)
        if not stretch.changes:
            _check_end(connection, found.checkpoint)
        changes = stretch.changes
        older = [stream_id for stream_id, change in changes.items() if not change.created]
        positions = [position for change in changes.values() for position in change.annotated]
        return _Read(stretch, known(connection, found.number, older), read_annotated(connection, positions))


def _check_end(connection: Connection, checkpoint: int) -> None:
    """Refuse a log that ends before what the read models have already shown."""
    (head,) = connection.exec_driver_sql("SELECT position FROM log_head").one()
    if checkpoint > head:
        message = (
            f"the read models stand at position {checkpoint}, the log ends at {head}: it lost its tail. Find out why,"
            " then run `tasker projections rebuild`"
        )
        raise EventFailed(head, LogRewound(message))


def known(connection: Connection, number: int, streams: list[bytes]) -> dict[bytes, Known]:
    """Read what a generation has of some streams."""
    table = tables_of(number).tasks.name
    found: dict[bytes, Known] = {}
    for chunk in chunks(streams):
        condition, values = among(connection, "stream_id", chunk)
        sql = f"SELECT stream_id, created, tags FROM {table} WHERE {condition}"  # noqa: S608 - constants only
        for stream_id, created, tags in connection.exec_driver_sql(sql, values):
            found[stream_id] = Known(created, tags)
    return found


def _states(store: Store, states_at: StatesAt, stretch: Stretch) -> StateAt:
    """Get the states of all tasks of a stretch at once; give what tells them one by one.

    Where one of them cannot be had, each is asked for by itself: so it is told which event that is about.
    """
    try:
        wanted = {one: change.version for one, change in stretch.changes.items() if _is_task(store.log.header(one))}
        found: Mapping[bytes, Task] = states_at(wanted)
    except LogUnavailable:
        raise
    except Exception:  # noqa: BLE001 - whatever it is, it is met again where the one state is asked for
        found = {}

    def state_at(stream_id: bytes, version: int) -> Task:
        return found[stream_id] if stream_id in found else states_at({stream_id: version})[stream_id]

    return state_at


def _is_task(header: StreamHeader | None) -> bool:
    return header is not None and header.namespace != CONTROL_NAMESPACE


def _take(batch: Batch, store: Store, state_at: StateAt, stream_id: bytes, change: Change, read: _Read) -> None:
    """Turn what happened to one stream into rows."""
    header = store.log.header(stream_id)
    if header is None:
        message = f"expected a row in streams for the stream {stream_id.hex()}, found none; run `tasker audit verify`"
        raise TaskerError(message)
    if header.namespace == CONTROL_NAMESPACE:
        return
    task = state_at(stream_id, change.version)
    created = change.created
    if created:
        batch.create(task, header, stream_id, created, change.position)
    else:
        before = read.known.get(stream_id)
        if before is None:
            message = (
                f"expected the task {task.id} in the read model, found nothing of its first events; run"
                " `tasker audit verify`, then `tasker projections rebuild`"
            )
            raise TaskerError(message)
        created = before.created
        batch.change(task, before, change.position, change.steps)
    if change.erased:
        batch.erase(created, change.erased)
    for stored in read.annotated.get(stream_id, ()):
        batch.annotate(created, stored)


def _write(store: Store, stretch: Stretch, batch: Batch) -> None:
    """Write rows and checkpoint, unless somebody else has moved the checkpoint meanwhile."""
    with store.transaction(durable=False) as connection:
        number = stretch.generation
        if not generations.advance(connection, number, expected=stretch.after, position=stretch.upto):
            return
        batch.write(connection, number)
        if batch.erased:
            for other in generations.others(connection, number):
                batch.write_erasures(connection, other)
            forget(connection, [stream_id for stream_id, change in stretch.changes.items() if change.erased])
    if batch.erased:
        store.purge()
