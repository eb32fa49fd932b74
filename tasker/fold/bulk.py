"""Fold pages of whole streams to the columns of read models, and say which streams have to be folded one by one."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tasker.codec.recorded import CONTROL_NAMESPACE
from tasker.fold import native as loader
from tasker.fold.columns import flaw
from tasker.fold.compiled import RETURNED, malformed, plan_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tasker.domain.definition import TaskDefinition
    from tasker.fold import _native
    from tasker.fold.columns import HeadPage
    from tasker.fold.compiled import Versions
    from tasker.fold.native import Native

WORKER, ERROR, LIMIT = 1, 2, 3
"""Kinds of needs: who runs the step, why it failed for good, which limit an operator has set."""


class TaskSums(NamedTuple):
    """What columns say of a task, as the read models show it.

    Attributes:
        created: Position of its first event.
        status: Its status.
        paused: Whether it is paused.
        started_at: When its first attempt began.
        completed_at: When it ended.
        execution_status: What it is doing.
        health_status: Whether something is wrong.
        completion_percentage: From 0 to 100.
        recommended_action: The next command for a person, or None.
        steps: How many steps have each status, as JSON.
        version: Version of its last event.
        position: Position of its last event.
        created_at: When it was created.
        updated: Versions of its `task.updated`.
    """

    created: int
    status: str
    paused: bool
    started_at: int | None
    completed_at: int | None
    execution_status: str
    health_status: str
    completion_percentage: float
    recommended_action: str | None
    steps: str
    version: int
    position: int
    created_at: int
    updated: Versions


class Need(NamedTuple):
    """What a row of a step lacks.

    Attributes:
        row: Place of the row among those of the steps.
        kind: `WORKER`, `ERROR` or `LIMIT`.
        versions: Of the events that say it.
        stream: Place of the stream in the page.
    """

    row: int
    kind: int
    versions: Versions
    stream: int


class Sums(NamedTuple):
    """What a page came to.

    Attributes:
        tasks: For each stream of the page its task, or None.
        steps: Rows of all steps of those tasks, in the columns of the read models, as far as columns of events say.
        needs: What those rows lack.
        returned: Places of the streams that only `fold_stream` can fold; without a compiled fold all of them.
    """

    tasks: Sequence[TaskSums | None]
    steps: Sequence[tuple[object, ...]]
    needs: Sequence[Need]
    returned: Sequence[int]


class Bulk:
    """Folds pages; makes the plan of each definition once."""

    def __init__(self, definition_of: Callable[[bytes], TaskDefinition]) -> None:
        """Take what gives a definition by its digest."""
        self._module = loader.native()
        self._definition_of = definition_of
        self._plans: list[_native.Plan] = []
        self._places: dict[bytes, int] = {}

    def sums(self, page: HeadPage) -> Sums:
        """Fold a page.

        Raises:
            ChainBroken: Its heads are those of no history.
        """
        module = self._module
        if module is None:
            found = flaw(page)
            if found is not None:
                raise malformed(ValueError(*found))
            return Sums([None] * len(page.streams), [], (), range(len(page.streams)))
        streams = [
            (stream_id, RETURNED if header.namespace == CONTROL_NAMESPACE else self._place(module, header[3]))
            for stream_id, header in page.streams
        ]
        try:
            tasks, steps, needs, returned = module.rows(self._plans, streams, page.heads)
        except module.FoldError as error:
            raise malformed(error) from error
        sums = [None if task is None else TaskSums._make(task) for task in tasks]
        return Sums(sums, steps, [Need._make(need) for need in needs], returned)

    def _place(self, module: Native, digest: bytes) -> int:
        """Give the place of the plan of a definition."""
        place = self._places.get(digest)
        if place is None:
            self._plans.append(plan_of(module, self._definition_of(digest)))
            place = self._places[digest] = len(self._plans) - 1
        return place
