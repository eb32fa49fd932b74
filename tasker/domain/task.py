"""The state of a task and `evolve`, which folds one event into it.

`evolve` is total: it never refuses an event that `decide` made, and what a released event means never changes.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple, assert_never

from tasker.domain import events as ev
from tasker.domain.evolve_step import StepStreamEvent, step_after, step_freed
from tasker.domain.status import SATISFIED, StepStatus, TaskStatus
from tasker.domain.steps import Steps, StepState, StepTable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tasker.domain.definition import StepTemplate, TaskDefinition
    from tasker.domain.events import Instant
    from tasker.domain.graph import Graph

SECOND = 1_000_000
"""Microseconds."""
END_OF_TIME = 253_402_300_799_999_999
"""The last microsecond of the year 9999; no instant lies behind it, so that every one can be stored and shown."""
_PLACE = {status: place for place, status in enumerate(StepStatus)}
_PENDING = StepStatus.PENDING


class Request(NamedTuple):
    """What the request said, apart from its context."""

    initiator: str = ev.UNKNOWN
    source_system: str = ev.UNKNOWN
    reason: str = ev.UNKNOWN
    tags: tuple[str, ...] = ()
    priority: int = 0
    identity: str | None = None
    bypass_steps: frozenset[str] = frozenset()
    not_before: ev.Instant | None = None
    correlation_id: str = ""
    parent: ev.Parent | None = None
    requested_at: ev.Instant | None = None


class Pause(NamedTuple):
    """Who stopped the starts, when and why."""

    actor: str | None
    reason: str | None
    at: ev.Instant


class Task(NamedTuple):
    """Where a task stands. A named tuple for the price of its copies; never index it.

    Attributes:
        id: The task id, as text.
        definition: The pinned definition.
        version: Version of the last event; 0 before `task.created`.
        status: The task's status.
        steps: The states of its steps.
        counts: How many steps have each status, in the order of `StepStatus`.
        ready: How many pending steps have no unsatisfied parent.
        request: What the request said.
        pause: Set while paused.
        last_at: Time of the last event.
        timeout_at: When the task as a whole expires.
        annotations: Versions of its annotations.
        erased: Version of the last `task.erased`; 0 for none.
    """

    id: str
    definition: TaskDefinition
    version: int
    status: TaskStatus
    steps: StepTable
    counts: tuple[int, ...]
    ready: int
    request: Request = Request()
    pause: Pause | None = None
    created_at: ev.Instant | None = None
    started_at: ev.Instant | None = None
    ended_at: ev.Instant | None = None
    last_at: ev.Instant = 0
    timeout_at: ev.Instant | None = None
    annotations: tuple[int, ...] = ()
    erased: int = 0

    def count(self, status: StepStatus) -> int:
        """Count the steps with a status."""
        return self.counts[_PLACE[status]]

    def number(self, step: str) -> int:
        """Give the ordinal of a step.

        Raises:
            UnknownStep: There is no step of this name.
        """
        return self.definition.graph.number(step)

    def step(self, step: str) -> StepState:
        """Give the state of a step by name."""
        return self.steps[self.number(step)]

    def template(self, number: int) -> StepTemplate:
        """Give the template of a step by ordinal."""
        return self.definition.step_templates[number]

    def retry_limit(self, number: int) -> int:
        """Give a step's `retry_limit` as people see it: the operator's, else the template's."""
        return self.steps[number].limit or self.definition.step_templates[number].default_retry_limit

    def limit(self, number: int) -> int:
        """Give the number of attempts of one budget: the `retry_limit`, but one for a step that is not retryable."""
        if not self.definition.step_templates[number].default_retryable:
            return 1
        return self.retry_limit(number)

    @property
    def stirring(self) -> bool:
        """Say whether any step runs, waits, or could start as things stand."""
        counts = self.counts
        return bool(self.ready or counts[_IN_PROGRESS] or counts[_WAITING_FOR_RETRY] or counts[_WAITING])


_IN_PROGRESS = _PLACE[StepStatus.IN_PROGRESS]
_WAITING_FOR_RETRY = _PLACE[StepStatus.WAITING_FOR_RETRY]
_WAITING = _PLACE[StepStatus.WAITING]
_NO_COUNTS = (0,) * len(_PLACE)
_GRAPHS_REMEMBERED = 256
_COUNTS_REMEMBERED = 4096


def blank(task_id: str, definition: TaskDefinition) -> Task:
    """Give the state before the first event: version 0, every step pending."""
    steps = _blank_steps(definition.graph)
    pending = (len(steps), *_NO_COUNTS[1:])
    return Task(task_id, definition, 0, TaskStatus.PENDING, steps, pending, len(definition.graph.roots))


@lru_cache(maxsize=_GRAPHS_REMEMBERED)
def _blank_steps(graph: Graph) -> StepTable:
    """Give the table in which every step is pending, made once for all tasks of a definition."""
    return Steps.of(StepState(blockers=len(parents)) for parents in graph.parent_ordinals)


def fold(task: Task, history: Iterable[ev.TaskStreamEvent]) -> Task:
    """Evolve over events in order."""
    for event in history:
        task = evolve(task, event)
    return task


def evolve(task: Task, event: ev.TaskStreamEvent) -> Task:
    """Give the task after one event.

    Args:
        task: The state before it.
        event: The next event of its stream.

    Returns:
        The state after it, with `version` one higher.
    """
    if isinstance(event, ev.StepEvent):
        return _evolve_step(task, event, task.definition.graph.ordinal[event.step])
    if isinstance(event, ev.TaskCreated):
        return _created(task, event)
    if isinstance(event, ev.CustomEvent):
        return task._replace(version=task.version + 1, last_at=event.at)
    changed = _task_after(task, event)
    return changed._replace(version=task.version + 1, last_at=event.at, status=event.status)


def later(at: Instant, seconds: float) -> Instant:
    """Give the instant so many seconds after another, at most the end of time."""
    return min(at + round(min(seconds, END_OF_TIME / SECOND) * SECOND), END_OF_TIME)


def _expiry(task: Task, at: Instant) -> Instant | None:
    seconds = task.definition.timeout_seconds
    return None if seconds is None else later(at, seconds)


_Note = ev.TaskPaused | ev.TaskResumed | ev.TaskUpdated | ev.TaskAnnotated | ev.TaskErased
_TaskStreamEvent = (
    ev.TaskStarted | ev.TaskCompleted | ev.TaskFailed | ev.TaskCancelled | ev.TaskRetried | ev.TaskResolvedManually
    | _Note
)  # fmt: skip


def _task_after(task: Task, event: _TaskStreamEvent) -> Task:
    match event:
        case ev.TaskStarted():
            return task._replace(started_at=event.at, timeout_at=_expiry(task, event.at))
        case ev.TaskCompleted() | ev.TaskFailed() | ev.TaskCancelled() | ev.TaskResolvedManually():
            return task._replace(ended_at=event.at, timeout_at=None)
        case ev.TaskRetried():
            return task._replace(ended_at=None, timeout_at=_expiry(task, event.at))
        case _:
            return _noted(task, event)


def _noted(task: Task, event: _Note) -> Task:
    """Take in an event that moves neither the task nor a step."""
    match event:
        case ev.TaskPaused():
            return task._replace(pause=Pause(event.actor, event.reason, event.at))
        case ev.TaskResumed():
            return task._replace(pause=None)
        case ev.TaskUpdated():
            return _updated(task, event)
        case ev.TaskAnnotated():
            return task._replace(annotations=(*task.annotations, task.version + 1))
        case ev.TaskErased():
            return _erased(task)
        case _:
            assert_never(event)


def _erased(task: Task) -> Task:
    """Forget the user's bytes, so that the state equals a fold of what the log still has."""
    told = {
        number: state._replace(failure=(state.failure[0], None))
        for number, state in enumerate(task.steps)
        if state.failure is not None
    }
    return task._replace(erased=task.version + 1, steps=task.steps.put(told))


def _created(task: Task, event: ev.TaskCreated) -> Task:
    request = Request(
        event.initiator,
        event.source_system,
        event.reason,
        event.tags,
        event.priority,
        event.identity,
        frozenset(event.bypass_steps),
        event.not_before,
        task.id if event.correlation_id == task.id else event.correlation_id,
        event.parent,
        event.requested_at,
    )
    ready_at = max(event.at, event.not_before or 0)
    graph = task.definition.graph
    roots = {graph.ordinal[root]: task.steps[graph.ordinal[root]]._replace(ready_at=ready_at) for root in graph.roots}
    steps = task.steps.put(roots)
    at, version = event.at, task.version + 1
    return task._replace(version=version, status=event.status, request=request, created_at=at, last_at=at, steps=steps)


def _updated(task: Task, event: ev.TaskUpdated) -> Task:
    request = task.request
    reason = request.reason if event.reason is None else event.reason
    tags = request.tags if event.tags is None else event.tags
    return task._replace(request=request._replace(reason=reason, tags=tags))


def _evolve_step(task: Task, event: StepStreamEvent, number: int) -> Task:
    """Change one step, the counters, and what the step's children wait for."""
    steps = task.steps
    before = steps[number]
    after = step_after(before, event, task.version + 1)
    old, new = before.status, after.status
    changes = {number: after}
    ready = task.ready
    if old is _PENDING and not before.blockers:
        ready -= 1
    if new is _PENDING and not after.blockers:
        ready += 1
    counts = task.counts
    if new is not old:
        counts = _moved(counts, old, new)
        if new in SATISFIED and old not in SATISFIED:
            for child in task.definition.graph.child_ordinals[number]:
                freed = changes[child] = step_freed(steps[child], event.at)
                ready += freed.ready
    return Task(
        task.id,
        task.definition,
        task.version + 1,
        task.status,
        steps.put(changes),
        counts,
        ready,
        task.request,
        task.pause,
        task.created_at,
        task.started_at,
        task.ended_at,
        event.at,
        task.timeout_at,
        task.annotations,
        task.erased,
    )


@lru_cache(maxsize=_COUNTS_REMEMBERED)
def _moved(counts: tuple[int, ...], old: StepStatus, new: StepStatus) -> tuple[int, ...]:
    """Count one step less in a status and one more in another; tasks that stand alike share the result."""
    moved = list(counts)
    moved[_PLACE[old]] -= 1
    moved[_PLACE[new]] += 1
    return tuple(moved)
