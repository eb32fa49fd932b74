"""What a task waits for, as rows that a runner can find: a pure function of the task."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, NamedTuple

from tasker.domain.events import StepEvent
from tasker.domain.status import LIVE, SATISFIED, StepStatus

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tasker.domain.events import Instant, TaskStreamEvent
    from tasker.domain.steps import StepState
    from tasker.domain.task import Task

TASK = -1
"""The `step` of an item that belongs to the task as a whole."""


class WorkKind(IntEnum):
    """What an item asks of a runner."""

    READY = 1
    """The step may start when `due` has come."""
    RUNNING = 2
    """An attempt is under way on `worker_id`; whoever finds that worker dead abandons it."""
    WAITING = 3
    """Something outside must end it; at `due`, if there is one, it fails with kind timeout."""
    TASK_TIMEOUT = 4
    """The task as a whole expires at `due`."""


class WorkItem(NamedTuple):
    """One thing that waits or runs.

    Attributes:
        step: Ordinal of the step in the pinned definition, or `TASK`.
        kind: What it asks for.
        due: When it may be taken (microseconds); None: no time is set.
        rank: Order among ready items, smaller first: the task's creation less 30 s for each point of priority.
        attempt: The running attempt, else the number of attempts so far.
        worker_id: The worker that runs it.
    """

    step: int
    kind: WorkKind
    due: int | None
    rank: int
    attempt: int
    worker_id: str | None


WorkChange = tuple[int, WorkItem | None]
"""Ordinal of a step (or `TASK`) and its item from now on; None removes it."""


# Looking a member up in its enum costs more than the comparison that needs it.
_PENDING, _WAITING_FOR_RETRY = StepStatus.PENDING, StepStatus.WAITING_FOR_RETRY
_IN_PROGRESS, _WAITING = StepStatus.IN_PROGRESS, StepStatus.WAITING
_READY, _RUNNING = WorkKind.READY, WorkKind.RUNNING

RANK_PER_PRIORITY = 30_000_000
"""Microseconds of waiting that weigh as much as one point of priority, so that nothing starves."""


def obstacle(task: Task, number: int, now: Instant) -> str | None:
    """Say in a sentence why a step may not start now, or None if it may."""
    state = task.steps[number]
    if task.status not in LIVE:
        return "the task has ended"
    if task.pause is not None:
        return f"the task is paused by {task.pause.actor or 'unknown'}"
    if state.status is StepStatus.PENDING:
        if state.blockers:
            return f"{state.blockers} of its parents are not satisfied"
    elif state.status is not StepStatus.WAITING_FOR_RETRY:
        return "only a pending step or one that waits for a retry starts"
    due = _due(task, state)
    if due is not None and due > now:
        return "its time has not come"
    if not task.definition.concurrent and number != next_in_line(task, now):
        return "the definition is not concurrent and another step runs or comes first"
    return None


def next_in_line(task: Task, now: Instant) -> int | None:
    """Give the step that a task which is not concurrent may start now: the first ready one in topological order.

    It looks at every step: only definitions with `concurrent: false` pay for it.
    """
    if task.count(StepStatus.IN_PROGRESS):
        return None
    for number in task.definition.graph.order:
        state = task.steps[number]
        if state.ready or state.status is StepStatus.WAITING_FOR_RETRY:
            due = _due(task, state)
            if due is None or due <= now:
                return number
    return None


def _due(task: Task, state: StepState) -> Instant | None:
    """Give the earliest time at which a step may start: its retry's, or the task's `not_before`."""
    return state.due if state.due is not None else task.request.not_before


def item_of(task: Task, number: int) -> WorkItem | None:
    """Give the item of one step, or None if nothing is to be done for it."""
    state = task.steps[number]
    status = state.status
    if status is _PENDING or status is _WAITING_FOR_RETRY:
        if state.blockers or task.pause is not None or task.status not in LIVE:
            return None
        rank = (task.created_at or 0) - task.request.priority * RANK_PER_PRIORITY
        return WorkItem(number, _READY, _due(task, state), rank, state.attempt, None)
    if status is _IN_PROGRESS:
        return WorkItem(number, _RUNNING, None, 0, state.attempt, state.worker_id)
    if status is _WAITING:
        return WorkItem(number, WorkKind.WAITING, state.due, 0, state.attempt, None)
    return None


def task_item(task: Task) -> WorkItem | None:
    """Give the item of the task as a whole: its timeout, or None."""
    if task.timeout_at is None or task.status not in LIVE:
        return None
    return WorkItem(TASK, WorkKind.TASK_TIMEOUT, task.timeout_at, 0, 0, None)


def work(task: Task) -> dict[int, WorkItem]:
    """Give everything that waits or runs in a task, by ordinal (`TASK` for the task as a whole)."""
    items = {number: item_of(task, number) for number in range(len(task.steps))}
    items[TASK] = task_item(task)
    return {number: item for number, item in items.items() if item is not None}


def changes(before: Task, after: Task, events: Iterable[TaskStreamEvent]) -> list[WorkChange]:
    """Give what changes in the work of a task by some events; it costs what they touch, not the size of the graph.

    Equal to the difference of `work(before)` and `work(after)`: a law, tested as one.

    Args:
        before: The task before the events; blank for a new one.
        after: The task after them.
        events: The events between the two.
    """
    blank = before.version == 0
    whole = blank or before.pause is not after.pause or (before.status in LIVE) is not (after.status in LIVE)
    found: list[WorkChange] = []
    for number in range(len(after.steps)) if whole else _touched(after, events):
        if not whole and before.steps[number] is after.steps[number]:
            continue
        new = item_of(after, number)
        if (None if blank else item_of(before, number)) != new:
            found.append((number, new))
    if whole or before.timeout_at != after.timeout_at:
        due = task_item(after)
        if (None if blank else task_item(before)) != due:
            found.append((TASK, due))
    return found


def _touched(after: Task, events: Iterable[TaskStreamEvent]) -> Iterable[int]:
    """Give the steps that events name, and the children of those that are satisfied now, each once."""
    graph, steps = after.definition.graph, after.steps
    found: dict[int, None] = {}
    for event in events:
        if isinstance(event, StepEvent):
            number = graph.ordinal[event.step]
            found[number] = None
            if steps[number].status in SATISFIED:
                for child in graph.child_ordinals[number]:
                    found[child] = None
    return found
