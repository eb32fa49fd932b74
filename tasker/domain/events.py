"""What can happen to a task, a step or a scope: one frozen value per event, in the past tense.

`at` and all other instants are integer microseconds since the epoch (UTC); `at` belongs to the envelope and takes no
part in comparison. Context, results, inputs, annotations, bodies and error texts are opaque to every rule: they are
stored as the payload. `retry_limit` and `status` are written into every event so that no reader has to fold for them.
"""

from __future__ import annotations

from dataclasses import field
from typing import ClassVar, NamedTuple

from tasker.domain.status import TaskStatus
from tasker.domain.value import value

Instant = int
"""Microseconds since the epoch, UTC."""
Json = object
"""A JSON value, opaque to the domain."""

UNKNOWN = "unknown"
WORKER_LOST = "worker_lost"
WORKER_STOPPED = "worker_stopped"
STEPS_FAILED = "steps_failed"
TIMEOUT = "timeout"
RETRYABLE = "retryable"
PERMANENT = "permanent"
ABANDONED = "abandoned"
TOO_LARGE = "too_large"


class StepError(NamedTuple):
    """Why an attempt failed.

    `type` is the qualified class name, `kind` one of retryable, permanent, timeout, abandoned, too_large. Message,
    backtrace and context are user bytes and None once the task is erased.
    """

    type: str
    message: str | None
    kind: str
    backtrace: str | None = None
    http_status: int | None = None
    code: str | None = None
    context: Json = None


class FailedStep(NamedTuple):
    """One line of `task.failed`: which step, and what its error said."""

    step: str
    type: str
    message: str | None


class Counts(NamedTuple):
    """How many steps of a task stand where; `pending` holds all that are in none of the others."""

    total: int
    complete: int
    error: int
    skipped: int
    cancelled: int
    resolved_manually: int
    pending: int


class Parent(NamedTuple):
    """The step of another task that asked for this one."""

    task_id: str
    step: str


@value
class Event:
    """What all events have."""

    type: ClassVar[str]
    at: Instant = field(compare=False)


@value
class TaskEvent(Event):
    """An event of the task as a whole; `status` is the task's after it."""

    status: TaskStatus


@value
class StepEvent(Event):
    """An event of one step; `attempt` is the number of its latest attempt, 0 before the first."""

    step: str
    attempt: int
    retry_limit: int


@value
class OperatorTaskEvent(TaskEvent):
    """A task event that a person asked for."""

    actor: str | None = None
    reason: str | None = None


@value
class OperatorStepEvent(StepEvent):
    """A step event that a person asked for."""

    actor: str | None = None
    reason: str | None = None


@value
class TaskCreated(TaskEvent):
    """A request was accepted."""

    type: ClassVar[str] = "task.created"
    name: str
    namespace: str
    version: str
    definition_digest: str
    context: Json
    initiator: str = UNKNOWN
    source_system: str = UNKNOWN
    reason: str = UNKNOWN
    tags: tuple[str, ...] = ()
    priority: int = 0
    identity: str | None = None
    bypass_steps: tuple[str, ...] = ()
    not_before: Instant | None = None
    correlation_id: str
    parent: Parent | None = None
    requested_at: Instant | None = None


@value
class TaskStarted(TaskEvent):
    """The first attempt of any step began; the task's timeout runs from here."""

    type: ClassVar[str] = "task.started"


@value
class TaskCompleted(TaskEvent):
    """No step can run any more and none is in error or cancelled. `duration` in seconds since creation."""

    type: ClassVar[str] = "task.completed"
    duration: float
    counts: Counts


@value
class TaskFailed(TaskEvent):
    """No step can run any more and one is in error, or the task's time ran out (`reason`)."""

    type: ClassVar[str] = "task.failed"
    reason: str
    duration: float
    counts: Counts
    failed_steps: tuple[FailedStep, ...] = ()
    error_type: str
    error_message: str | None


@value
class TaskCancelled(OperatorTaskEvent):
    """The task was cancelled, by command or because its last live steps were."""

    type: ClassVar[str] = "task.cancelled"


@value
class TaskPaused(OperatorTaskEvent):
    """Nothing starts from here on; what runs goes on."""

    type: ClassVar[str] = "task.paused"


@value
class TaskResumed(OperatorTaskEvent):
    """Steps may start again."""

    type: ClassVar[str] = "task.resumed"


@value
class TaskRetried(OperatorTaskEvent):
    """A failed task was reopened; its timeout starts anew."""

    type: ClassVar[str] = "task.retried"


@value
class TaskResolvedManually(OperatorTaskEvent):
    """A person settled a failed task outside."""

    type: ClassVar[str] = "task.resolved_manually"


@value
class TaskUpdated(TaskEvent):
    """The task's reason or tags were changed; None keeps what was there."""

    type: ClassVar[str] = "task.updated"
    actor: str | None = None
    reason: str | None = None
    tags: tuple[str, ...] | None = None


@value
class TaskAnnotated(OperatorTaskEvent):
    """Something was noted about the task: a JSON object under a type."""

    type: ClassVar[str] = "task.annotated"
    annotation_type: str
    annotation: Json


@value
class TaskErased(OperatorTaskEvent):
    """The user's bytes of all earlier events of the task are gone; headers and hashes stay."""

    type: ClassVar[str] = "task.erased"


@value
class StepStarted(StepEvent):
    """A worker claimed an attempt; durable before the handler runs."""

    type: ClassVar[str] = "step.started"
    worker_id: str


@value
class StepCompleted(StepEvent):
    """An attempt, or somebody outside, gave results. `duration` in seconds of the attempt."""

    type: ClassVar[str] = "step.completed"
    results: Json
    duration: float
    actor: str | None = None
    reason: str | None = None


@value
class StepFailed(StepEvent):
    """An attempt failed; after a final failure no further attempt follows."""

    type: ClassVar[str] = "step.failed"
    error: StepError
    final: bool
    duration: float | None = None


@value
class StepRetryScheduled(StepEvent):
    """The next attempt may start at `not_before`, `delay_seconds` from here."""

    type: ClassVar[str] = "step.retry_scheduled"
    not_before: Instant
    delay_seconds: float
    backoff_type: str


@value
class StepAbandoned(StepEvent):
    """An attempt ended without a report: its worker was lost (counts) or stopped (does not count)."""

    type: ClassVar[str] = "step.abandoned"
    worker_id: str | None
    reason: str


@value
class StepWaiting(StepEvent):
    """The step waits for somebody outside, at most until `until` (None: without end)."""

    type: ClassVar[str] = "step.waiting"
    until: Instant | None
    reason: str


@value
class StepSkipped(StepEvent):
    """The request asked to bypass this step and its parents are satisfied; its results are {}."""

    type: ClassVar[str] = "step.skipped"


@value
class StepCancelled(OperatorStepEvent):
    """The step will not run, or its running attempt no longer counts."""

    type: ClassVar[str] = "step.cancelled"


@value
class StepReset(OperatorStepEvent):
    """The step gets a new budget of attempts; `rerun` also changes its idempotency key."""

    type: ClassVar[str] = "step.reset"
    rerun: bool = False


@value
class StepResolvedManually(OperatorStepEvent):
    """A person settled the step and gave its results; dependents run."""

    type: ClassVar[str] = "step.resolved_manually"
    results: Json


@value
class StepUpdated(OperatorStepEvent):
    """The step's inputs or attempt limit were changed; `sets_inputs` tells an inputs of null from none given."""

    type: ClassVar[str] = "step.updated"
    inputs: Json = None
    sets_inputs: bool = False
    sets_limit: bool = False


@value
class CustomEvent(Event):
    """Something of the user's own, published by an attempt under a name that is no system event's."""

    type: ClassVar[str] = "custom"
    name: str
    step: str
    attempt: int
    number: int
    body: Json


@value
class ControlPaused(Event):
    """Nothing in `scope` starts after this position."""

    type: ClassVar[str] = "control.paused"
    scope: str
    actor: str | None = None
    reason: str | None = None


@value
class ControlResumed(Event):
    """The pause of `scope` is over."""

    type: ClassVar[str] = "control.resumed"
    scope: str
    actor: str | None = None
    reason: str | None = None


TaskStreamEvent = (
    TaskCreated | TaskStarted | TaskCompleted | TaskFailed | TaskCancelled | TaskPaused | TaskResumed | TaskRetried
    | TaskResolvedManually | TaskUpdated | TaskAnnotated | TaskErased | StepStarted | StepCompleted | StepFailed
    | StepRetryScheduled | StepAbandoned | StepWaiting | StepSkipped | StepCancelled | StepReset | StepResolvedManually
    | StepUpdated | CustomEvent
)  # fmt: skip
ControlEvent = ControlPaused | ControlResumed
