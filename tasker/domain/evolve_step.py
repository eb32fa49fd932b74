"""What one event does to the state of its step; `tasker.domain.task` does the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from tasker.domain import events as ev
from tasker.domain import steps as outcome
from tasker.domain.status import StepStatus
from tasker.domain.steps import StepState

if TYPE_CHECKING:
    from tasker.domain.events import Instant

StepStreamEvent = (
    ev.StepStarted | ev.StepCompleted | ev.StepFailed | ev.StepRetryScheduled | ev.StepAbandoned | ev.StepWaiting
    | ev.StepSkipped | ev.StepCancelled | ev.StepReset | ev.StepResolvedManually | ev.StepUpdated
)  # fmt: skip


def step_after(state: StepState, event: StepStreamEvent, version: int) -> StepState:
    """Give the state of a step after one of its events.

    Args:
        state: The state before it.
        event: The event.
        version: The event's version, under which its payload can be read.
    """
    at = event.at
    match event:
        case ev.StepStarted():
            return _started(state, event)
        case ev.StepCompleted():
            return _completed(state, at, version)
        case ev.StepFailed() | ev.StepRetryScheduled() | ev.StepAbandoned() | ev.StepWaiting():
            return _unfinished(state, event, version)
        case ev.StepSkipped():
            return _finished(state, StepStatus.SKIPPED, at)
        case _:
            return _operated(state, event, version)


# What every step pays is written out in full: by position a named tuple costs a third of what `_replace` does.


def _started(state: StepState, event: ev.StepStarted) -> StepState:
    return StepState(
        StepStatus.IN_PROGRESS,
        state.blockers,
        event.attempt,
        state.failures,
        state.reruns,
        state.limit,
        state.outcomes + outcome.RUNNING,
        state.ready_at,
        None,
        None,
        event.at,
        state.ended_at,
        event.worker_id,
        state.outcome,
        state.error,
        state.inputs,
        state.failure,
    )


def step_freed(state: StepState, at: Instant) -> StepState:
    """Give the state of a step after one more of its parents was satisfied."""
    return StepState(
        state.status,
        state.blockers - 1,
        state.attempt,
        state.failures,
        state.reruns,
        state.limit,
        state.outcomes,
        at,
        state.due,
        state.delay,
        state.started_at,
        state.ended_at,
        state.worker_id,
        state.outcome,
        state.error,
        state.inputs,
        state.failure,
    )


def _completed(state: StepState, at: Instant, version: int) -> StepState:
    return StepState(
        StepStatus.COMPLETE,
        state.blockers,
        state.attempt,
        state.failures,
        state.reruns,
        state.limit,
        _marked(state, outcome.COMPLETED),
        state.ready_at,
        None,
        None,
        state.started_at,
        at,
        state.worker_id,
        version,
        0,
        state.inputs,
        None,
    )


def _marked(state: StepState, letter: str, *, over: str = outcome.RUNNING) -> str:
    """Write the outcome of the latest attempt, if it still has the letter it may be written over."""
    return state.outcomes[:-1] + letter if state.outcomes.endswith(over) else state.outcomes


def _operated(
    state: StepState, event: ev.StepCancelled | ev.StepReset | ev.StepResolvedManually | ev.StepUpdated, version: int
) -> StepState:
    """Take in what a person did to a step; a cancelled one keeps what its last failure said."""
    at = event.at
    match event:
        case ev.StepCancelled():
            marked = _marked(state, outcome.CANCELLED)
            return _finished(state, StepStatus.CANCELLED, at)._replace(outcomes=marked, error=state.error)
        case ev.StepReset():
            reruns = state.reruns + event.rerun
            fresh = state._replace(status=StepStatus.PENDING, failures=0, reruns=reruns, failure=None, error=0)
            return fresh._replace(due=None, delay=None, ready_at=at, ended_at=None)
        case ev.StepResolvedManually():
            marked = _marked(state, outcome.FENCED)
            return _finished(state, StepStatus.RESOLVED_MANUALLY, at)._replace(outcome=version, outcomes=marked)
        case ev.StepUpdated():
            limit = event.retry_limit if event.sets_limit else state.limit
            return state._replace(limit=limit, inputs=version if event.sets_inputs else state.inputs)
        case _:
            assert_never(event)


def _finished(state: StepState, status: StepStatus, at: Instant) -> StepState:
    return state._replace(status=status, ended_at=at, due=None, delay=None, failure=None, error=0)


def _unfinished(
    state: StepState, event: ev.StepFailed | ev.StepRetryScheduled | ev.StepAbandoned | ev.StepWaiting, version: int
) -> StepState:
    match event:
        case ev.StepFailed():
            return _failed(state, event, version)
        case ev.StepRetryScheduled():
            status, due = StepStatus.WAITING_FOR_RETRY, event.not_before
            return state._replace(status=status, due=due, delay=event.delay_seconds, ready_at=due)
        case ev.StepAbandoned():
            lost = event.reason == ev.WORKER_LOST
            marked = _marked(state, outcome.ABANDONED)
            failures = state.failures + lost
            return state._replace(status=StepStatus.PENDING, failures=failures, outcomes=marked, ready_at=event.at)
        case ev.StepWaiting():
            marked = _marked(state, outcome.WAITING)
            return state._replace(status=StepStatus.WAITING, due=event.until, outcomes=marked)
        case _:
            assert_never(event)


def _failed(state: StepState, event: ev.StepFailed, version: int) -> StepState:
    """Count the attempt, unless its abandonment or its own failure has counted it already."""
    counted = state.status is StepStatus.IN_PROGRESS or state.status is StepStatus.WAITING
    after = state._replace(
        status=StepStatus.ERROR if event.final else StepStatus.WAITING_FOR_RETRY,
        failures=state.failures + counted,
        outcomes=_marked(state, outcome.FAILED),
        error=version,
        due=None if event.final else event.at,
        delay=None,
    )
    return after._replace(failure=(event.error.type, event.error.message)) if event.final else after
