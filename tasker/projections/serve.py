"""Serve a generation: read what changed, fold it outside of any transaction, write rows and checkpoint in one."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tasker.codec.recorded import CONTROL_NAMESPACE
from tasker.errors import LogRewound, LogUnavailable, TaskerError, UnsupportedEvent
from tasker.projections import generation as generations
from tasker.projections.batch import Batch, Known
from tasker.projections.changes import Change, Stretch, read_annotated, read_changes
from tasker.projections.sql import chunks, marks
from tasker.projections.tables import tables_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection

    from tasker.domain.task import Task
    from tasker.log.port import Store
    from tasker.projections.rows import Annotated

    StateAt = Callable[[bytes, int], Task]
    """Gives the state of a stream's task as of a version."""


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


def serve(store: Store, state_at: StateAt, number: int | None, limit: int) -> bool:
    """Bring a generation forward by at most `limit` events.

    Args:
        store: Where the log and the read models are.
        state_at: Gives states.
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
    batch = Batch()
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
        where = f"WHERE stream_id IN ({marks(connection, len(chunk))})"
        sql = f"SELECT stream_id, created, tags FROM {table} {where}"  # noqa: S608 - constants only
        for stream_id, created, tags in connection.exec_driver_sql(sql, tuple(chunk)):
            found[stream_id] = Known(created, tags)
    return found


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
