"""Complete what was folded from columns by what only the events' data say, to the very state that `evolve` gives."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tasker.codec.decode import decode
from tasker.domain import events as ev
from tasker.domain.definition import TaskDefinition
from tasker.domain.status import StepStatus, TaskStatus
from tasker.domain.steps import Steps, StepState
from tasker.domain.task import Task, blank, evolve
from tasker.fold.compiled import StepColumns, TaskColumns

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from tasker.codec.rows import StoredEvent
    from tasker.domain.task import Pause, Request

    Fetch = Callable[[Sequence[int]], Sequence[StoredEvent]]
    """Reads the events at some versions of the stream."""

_TASK = tuple(TaskStatus)
_STEP = tuple(StepStatus)


class _Said(NamedTuple):
    """What the data of events say; `erased` is the version of the last `task.erased`, 0 for none."""

    events: Mapping[int, ev.TaskStreamEvent]
    erased: int

    def started(self, version: int) -> str | None:
        """Give the worker of an attempt."""
        event = self.events.get(version)
        return event.worker_id if isinstance(event, ev.StepStarted) else None

    def delay(self, version: int) -> float | None:
        """Give the delay of a retry."""
        event = self.events.get(version)
        return event.delay_seconds if isinstance(event, ev.StepRetryScheduled) else None

    def failure(self, version: int) -> tuple[str, str | None] | None:
        """Give type and message of a final error, the latter unless it was erased."""
        event = self.events.get(version)
        if not isinstance(event, ev.StepFailed):
            return None
        return event.error.type, None if version < self.erased else event.error.message

    def reruns(self, versions: Sequence[int]) -> int:
        """Count the resets that asked for a new key."""
        resets = (self.events[version] for version in versions)
        return sum(event.rerun for event in resets if isinstance(event, ev.StepReset))


def complete(definition: TaskDefinition, task_id: str, state: TaskColumns, fetch: Fetch) -> Task:
    """Build the exact state of a task from what its columns say.

    Args:
        definition: The definition that the stream is pinned to.
        task_id: The id of the task, as text.
        state: What the columns say.
        fetch: Reads events of the stream by their versions.

    Raises:
        UnsupportedEvent: A newer release wrote one of the events.
    """
    steps = [StepColumns._make(step) for step in state.steps]
    rows = fetch(sorted(set(_needed(state, steps))))
    said = _Said({row.version: decode(row) for row in rows}, state.erased_version)
    request, pause = _task_data(definition, task_id, state, said)
    return Task(
        task_id,
        definition,
        state.version,
        _TASK[state.status],
        Steps.of(_step(step, said) for step in steps),
        tuple(state.counts),
        state.ready,
        request,
        pause,
        state.created_at,
        state.started_at,
        state.ended_at,
        state.last_at,
        state.timeout_at,
        tuple(state.annotations),
        state.erased_version,
    )


def _needed(state: TaskColumns, steps: Sequence[StepColumns]) -> Iterator[int]:
    """Name the versions whose data the state needs."""
    yield 1
    yield from state.updated
    if state.paused_version:
        yield state.paused_version
    for step in steps:
        for version in (step.started_version, step.retry_version, step.failure_version):
            if version:
                yield version
        yield from step.resets
        yield from step.updates


def _task_data(
    definition: TaskDefinition, task_id: str, state: TaskColumns, said: _Said
) -> tuple[Request, Pause | None]:
    """Fold the few events that say what was asked for, and who paused the task."""
    task = blank(task_id, TaskDefinition(name=definition.name))  # steps play no part in it, and may be thousands
    for version in (1, *state.updated):
        task = evolve(task, said.events[version])
    if not state.paused_version:
        return task.request, None
    return task.request, evolve(task, said.events[state.paused_version]).pause


def _step(step: StepColumns, said: _Said) -> StepState:
    """Build the state of one step."""
    updates = step.updates
    limit, inputs = limits(updates, [said.events[version] for version in updates]) if updates else (None, 0)
    return StepState(
        _STEP[step.status],
        step.blockers,
        step.attempt,
        step.failures,
        said.reruns(step.resets) if step.resets else 0,
        limit,
        step.outcomes,
        step.ready_at,
        step.due,
        said.delay(step.retry_version) if step.retry_version else None,
        step.started_at,
        step.ended_at,
        said.started(step.started_version),
        step.outcome,
        step.error,
        inputs,
        said.failure(step.failure_version) if step.failure_version else None,
    )


def limits(versions: Sequence[int], updates: Sequence[ev.TaskStreamEvent]) -> tuple[int | None, int]:
    """Give the limit that an operator set and the version of the inputs that one set, as `step.updated` events say."""
    limit, inputs = None, 0
    for version, event in zip(versions, updates, strict=True):
        if isinstance(event, ev.StepUpdated):
            limit = event.retry_limit if event.sets_limit else limit
            inputs = version if event.sets_inputs else inputs
    return limit, inputs
