"""`Tasker`: read tasks, lists and events; ask why; replay."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasker.app.base import Base
from tasker.projections.filters import TaskFilter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from datetime import datetime

    from tasker.codec.recorded import RecordedEvent
    from tasker.domain.definition import TaskDefinition
    from tasker.domain.why import Reason
    from tasker.handlers.views import Task
    from tasker.runtime.comparing import Compared
    from tasker.runtime.position import Position
    from tasker.runtime.reading import Replayed, TaskPage


class Looking(Base):
    """Reading."""

    def task(self, task_id: str, *, at: int | Position | datetime | None = None) -> Task:
        """Give a task as it is now, folded from its stream, or as it was.

        Args:
            task_id: The task.
            at: A version of its stream, a `Position` of the log, or an aware datetime (the last event at or before it).

        Raises:
            UnknownTask: There is no such task, or there was none at that point.
            InvalidRequest: `at` is none of these.
        """
        return self._engine.reading.task(task_id, at)

    def tasks(
        self,
        *,
        status: str | None = None,
        name: str | None = None,
        namespace: str | None = None,
        tag: str | None = None,
        annotation: tuple[str, str, object] | None = None,
        dependent_system: str | None = None,
        created_after: datetime | None = None,
        limit: int = 50,
        cursor: str | None = None,
        at_least: int | None = None,
    ) -> TaskPage:
        """Give a page of the read model, newest first.

        Args:
            status: The tasks' status.
            name: Name of the definition.
            namespace: Its namespace.
            tag: A tag they have.
            annotation: Type, key and value of an annotation they have.
            dependent_system: A system that one of their steps calls.
            created_after: Aware time.
            limit: Rows of a page, 1 to 200.
            cursor: What the page before gave.
            at_least: Position that the read model must have reached.

        Raises:
            InvalidRequest: A filter, the limit or the cursor is wrong.
            ProjectionBehind: `at_least` was not reached within 2 s.
        """
        wanted = TaskFilter(
            status=status,
            name=name,
            namespace=namespace,
            tag=tag,
            annotation=annotation,
            dependent_system=dependent_system,
            created_after=created_after,
        )
        return self._engine.reading.tasks(wanted, limit=limit, cursor=cursor, at_least=at_least)

    def events(
        self,
        task_id: str | None = None,
        *,
        after: int = 0,
        types: str | Iterable[str] | None = None,
        limit: int | None = None,
    ) -> Iterator[RecordedEvent]:
        """Give recorded events in order, read as they are asked for.

        Args:
            task_id: A task, or `$control`; None for the whole log.
            after: Only events behind this position.
            types: Globs over event names.
            limit: How many at most.
        """
        return self._engine.reading.events(task_id, after=after, types=types, limit=limit)

    def why(self, task_id: str, step: str | None = None) -> list[Reason]:
        """Say what every unfinished thing of a task waits for, and what became of the finished ones.

        Raises:
            UnknownTask: There is no such task.
            UnknownStep: It has no such step.
        """
        return self._engine.explanation.why(task_id, step)

    def replay(
        self,
        task_id: str | None = None,
        *,
        at: int | Position | datetime | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> Task | Replayed:
        """Fold a task anew from its stored events; without an id, fold the whole log and compare the read model.

        Args:
            task_id: The task; None for all.
            at: As in `task`.
            progress: Called with events done and events in all.

        Raises:
            UnknownTask: There is no such task, or there was none at that point.
        """
        if task_id is None:
            return self._engine.reading.replay_all(progress)
        return self._engine.reading.replay(task_id, at)

    def diff(self, old: Iterable[TaskDefinition] | None, new: Iterable[TaskDefinition]) -> Iterator[Compared]:
        """Say for every live task what would become of it under a changed definition; no task is touched.

        Args:
            old: The definitions as they were; a task pinned to another one is told and not decided. None: each task is
                compared with the definition that it is pinned to.
            new: The definitions as they are to be, those that did not change too; of each name the highest version
                counts, and one that is missing is taken for removed.

        Returns:
            The live tasks of these definitions, read as they are asked for.

        Raises:
            InvalidRequest: `old` and `new` share no definition.
            ProjectionBehind: The read models cannot be brought up to the log.
        """
        return self._engine.comparing.diff(old, new)
