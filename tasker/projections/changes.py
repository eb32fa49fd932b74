"""What changed in a stretch of the log: which tasks, up to which version, which of their steps."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tasker.codec.registry import CODES
from tasker.domain import events as ev
from tasker.projections.rows import Annotated
from tasker.projections.sql import among, chunks, marks

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Connection

_ANNOTATED, _ERASED = CODES[ev.TaskAnnotated], CODES[ev.TaskErased]

Event = tuple[int, bytes, int, int, int | None]
"""Position, stream, version, type code and step of an event."""


class Change:
    """What happened to one stream.

    Attributes:
        created: Position of its first event, 0 where that lies before the stretch.
        version: Of its last event.
        position: Of its last event.
        steps: Ordinals of the steps that have events.
        annotated: Positions of its new annotations.
        erased: Version of its last `task.erased`, 0 for none.
    """

    __slots__ = ("annotated", "created", "erased", "position", "steps", "version")

    def __init__(self) -> None:
        """Begin with nothing."""
        self.created = self.version = self.position = self.erased = 0
        self.steps: set[int] = set()
        self.annotated: list[int] = []

    def take(self, position: int, version: int, code: int) -> None:
        """Take in an event of the task as a whole."""
        if version == 1:
            self.created = position
        if code == _ANNOTATED:
            self.annotated.append(position)
        elif code == _ERASED:
            self.erased = version


class Stretch(NamedTuple):
    """A stretch of the log behind the checkpoint of a generation.

    Attributes:
        generation: Whose checkpoint it is.
        after: The checkpoint.
        upto: Position of the last event in it; `after` if there is none.
        changes: What happened, by stream.
    """

    generation: int
    after: int
    upto: int
    changes: dict[bytes, Change]


def read_changes(connection: Connection, generation: int, after: int, limit: int) -> Stretch:
    """Read what changed behind a checkpoint, with one query over at most `limit` events."""
    mark = marks(connection, 1)
    sql = (
        "SELECT position, stream_id, version, type, step FROM events "  # noqa: S608 - constants only
        f"WHERE position > {mark} ORDER BY position LIMIT {mark}"
    )
    return collect(connection.exec_driver_sql(sql, (after, limit)).all(), generation, after)


def collect(events: Iterable[Event], generation: int, after: int) -> Stretch:
    """Gather what events, in order of their positions, changed."""
    changes: dict[bytes, Change] = {}
    upto = after
    for upto, stream_id, version, code, step in events:
        change = changes.get(stream_id)
        if change is None:
            change = changes[stream_id] = Change()
        change.version = version
        change.position = upto
        if step is None:
            change.take(upto, version, code)
        else:
            change.steps.add(step)
    return Stretch(generation, after, upto, changes)


def read_annotated(connection: Connection, positions: list[int]) -> dict[bytes, list[Annotated]]:
    """Read the annotations at some positions, by stream, in the order of their versions."""
    found: dict[bytes, list[Annotated]] = {}
    for chunk in chunks(positions):
        condition, values = among(connection, "position", chunk)
        sql = (
            "SELECT stream_id, version, schema_version, time, actor, data, payload FROM events "  # noqa: S608 - the same
            f"WHERE {condition} ORDER BY position"
        )
        for stream_id, *columns in connection.exec_driver_sql(sql, values):
            found.setdefault(stream_id, []).append(Annotated(*columns))
    return found
