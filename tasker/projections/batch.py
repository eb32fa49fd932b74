"""A batch of rows for one generation: collected outside of the transaction, written inside it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tasker.projections import rows
from tasker.projections.sql import delete, insert, marks, update
from tasker.projections.tables import tables_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Connection

    from tasker.codec.rows import StreamHeader
    from tasker.domain.task import Task
    from tasker.projections.rows import Annotated, Row

_STEP_CHANGES = ("status", "attempts", "retry_limit", "worker_id", "started_at", "completed_at", "due", "error_type")
_STEP_CONFLICT = "(task, number) DO UPDATE SET " + ", ".join(f"{name} = excluded.{name}" for name in _STEP_CHANGES)
_NOTHING = "DO NOTHING"


class Known(NamedTuple):
    """What a generation already has of a task: position of its first event, and the column `tags`."""

    created: int
    tags: str


class Batch:
    """Rows to be written together."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.tasks: list[Row] = []
        self.changed: list[Row] = []
        self.steps: list[Row] = []
        self.tags: list[Row] = []
        self.old_tags: list[Row] = []
        self.systems: list[Row] = []
        self.annotations: list[Row] = []
        self.matches: list[Row] = []
        self.erased: list[tuple[int, int]] = []

    def create(self, task: Task, header: StreamHeader, stream_id: bytes, created: int, position: int) -> None:
        """Take in a task that the generation does not have yet.

        Args:
            task: The task.
            header: The row of its stream.
            stream_id: Its id.
            created: Position of its first event.
            position: Position of its last event.
        """
        self.tasks.append(rows.fixed(task, header, stream_id, created) + rows.changing(task, position))
        self.steps += [rows.step(task, created, number) for number in range(len(task.steps))]
        self.systems += [(system, created) for system in rows.systems(task)]
        self.tags += [(tag, created) for tag in dict.fromkeys(task.request.tags)]

    def change(self, task: Task, known: Known, position: int, steps: Iterable[int]) -> None:
        """Take in a task that the generation has, and those of its steps that may have changed."""
        created = known.created
        self.changed.append((*rows.changing(task, position), created))
        self.steps += [rows.step(task, created, number) for number in steps]
        if rows.tags_text(task.request.tags) != known.tags:
            self.old_tags += [(tag, created) for tag in rows.tags_of(known.tags)]
            self.tags += [(tag, created) for tag in dict.fromkeys(task.request.tags)]

    def annotate(self, created: int, stored: Annotated) -> None:
        """Take in a new annotation."""
        row = rows.annotation(created, stored)
        self.annotations.append(row)
        self.matches += [(match, created) for match in rows.matches(str(row[2]), stored.payload)]

    def erase(self, created: int, version: int) -> None:
        """Take in that the values of all annotations before a version are gone."""
        self.erased.append((created, version))

    def write(self, connection: Connection, generation: int) -> None:
        """Write everything into the tables of a generation; erasures come first, so that later values stay."""
        tables = tables_of(generation)
        if self.erased:
            self.write_erasures(connection, generation)
        insert(connection, tables.tasks, rows.FIXED + rows.CHANGING, self.tasks)
        update(connection, tables.tasks, rows.CHANGING, "created", self.changed)
        insert(connection, tables.steps, rows.STEP, self.steps, _STEP_CONFLICT)
        delete(connection, tables.tags, ("tag", "task"), self.old_tags)
        insert(connection, tables.tags, ("tag", "task"), self.tags, _NOTHING)
        insert(connection, tables.systems, ("dependent_system", "task"), self.systems)
        insert(connection, tables.annotations, rows.ANNOTATION, self.annotations)
        insert(connection, tables.matches, ("match", "task"), self.matches, _NOTHING)

    def write_erasures(self, connection: Connection, generation: int) -> None:
        """Write only that values are gone; every generation that exists must forget them."""
        tables = tables_of(generation)
        mark = marks(connection, 1)
        where = f"WHERE task = {mark} AND stream_version < {mark} AND value IS NOT NULL"
        select = f"SELECT type, value FROM {tables.annotations.name} {where}"  # noqa: S608 - constants only
        forget = f"UPDATE {tables.annotations.name} SET value = NULL {where}"  # noqa: S608 - constants only
        for task, version in self.erased:
            known = connection.exec_driver_sql(select, (task, version)).all()
            gone: list[Row] = [(match, task) for kind, value in known for match in rows.matches(kind, value)]
            delete(connection, tables.matches, ("match", "task"), gone)
            connection.exec_driver_sql(forget, (task, version))
