"""What can be asked of a task: one frozen value per command, in the imperative.

A command carries the present time `now` (microseconds) and, where a delay may be drawn, `jitter` from 0 to 1.
"""

from __future__ import annotations

from typing import NamedTuple

from tasker.domain.events import Instant, Json, Parent, StepError
from tasker.domain.value import value

DEFAULT_MAX_SERVER_DELAY = 3600.0


class Publication(NamedTuple):
    """A custom event that an attempt published; `always` records it with a failure, too."""

    name: str
    body: Json
    always: bool = False


class Annotation(NamedTuple):
    """An annotation that the task's hook made."""

    type: str
    value: Json


@value
class Command:
    """What all commands have."""

    now: Instant


@value
class OperatorCommand(Command):
    """A command of a person, who says why."""

    actor: str | None = None
    reason: str | None = None


@value
class CreateTask(Command):
    """Accept a checked request."""

    definition_digest: str
    context: Json
    initiator: str
    source_system: str
    reason: str
    tags: tuple[str, ...]
    priority: int
    identity: str | None
    bypass_steps: tuple[str, ...]
    not_before: Instant | None
    correlation_id: str
    parent: Parent | None
    requested_at: Instant | None


@value
class StartStep(Command):
    """Claim the next attempt of a ready step for a worker."""

    step: str
    worker_id: str


@value
class EndAttempt(Command):
    """End an attempt, which may end the task; `annotations` are those of the task's hook, None where it has not run."""

    step: str
    attempt: int
    annotations: tuple[Annotation, ...] | None = None


@value
class ReportStep(EndAttempt):
    """Report how an attempt ended, and what it published."""

    published: tuple[Publication, ...] = ()


@value
class ReportStepCompleted(ReportStep):
    """Report results; `duration` in seconds."""

    results: Json
    duration: float


@value
class ReportStepFailed(ReportStep):
    """Report an error; `retry_after` and `max_server_delay` in seconds."""

    error: StepError
    jitter: float
    duration: float | None = None
    retry_after: float | None = None
    max_server_delay: float = DEFAULT_MAX_SERVER_DELAY


@value
class ReportStepWaiting(ReportStep):
    """Report that the step waits for somebody outside, at most `timeout_seconds` (None: without end)."""

    reason: str
    timeout_seconds: float | None


@value
class AbandonStep(EndAttempt):
    """End an attempt whose worker was lost or stopped."""

    reason: str
    jitter: float


@value
class ExpireWait(EndAttempt):
    """End a wait whose time ran out; `attempt` is the one that began it."""

    jitter: float


@value
class ExpireTask(Command):
    """End a task whose time ran out."""


@value
class CancelTask(OperatorCommand):
    """Cancel the task and everything in it that has not finished."""


@value
class PauseTask(OperatorCommand):
    """Start nothing more of this task."""


@value
class ResumeTask(OperatorCommand):
    """Let steps start again."""


@value
class RetryTask(OperatorCommand):
    """Reopen a failed task and give every step in error a new budget."""


@value
class ResolveTask(OperatorCommand):
    """Settle a failed task by hand."""


@value
class EraseTask(OperatorCommand):
    """Drop the user's bytes of an ended task."""


@value
class UpdateTask(OperatorCommand):
    """Change the task's reason (it is also the recorded one) or tags; None keeps."""

    tags: tuple[str, ...] | None = None


@value
class AnnotateTask(OperatorCommand):
    """Note something about the task."""

    annotation_type: str
    annotation: Json


@value
class StepCommand(OperatorCommand):
    """A person's command on one step."""

    step: str


@value
class ResetStep(StepCommand):
    """Give a step a new budget; `rerun` also changes its idempotency key."""

    rerun: bool = False


@value
class ResolveStep(StepCommand):
    """Settle a step by hand."""

    results: Json


@value
class CompleteStep(StepCommand):
    """End a wait with results; `repeated` says that the recorded results are the same bytes."""

    results: Json
    repeated: bool = False


@value
class CancelStep(StepCommand):
    """Cancel a step and what can then no longer run."""


@value
class UpdateStep(StepCommand):
    """Change a step's inputs or attempt limit; `repeated` says that the inputs are the ones it has."""

    inputs: Json = None
    sets_inputs: bool = False
    repeated: bool = False
    retry_limit: int | None = None


@value
class PauseScope(OperatorCommand):
    """Start nothing more in a scope."""

    scope: str


@value
class ResumeScope(OperatorCommand):
    """End the pause of a scope."""

    scope: str


Report = ReportStepCompleted | ReportStepFailed | ReportStepWaiting
EngineCommand = CreateTask | StartStep | Report | AbandonStep | ExpireWait | ExpireTask
TaskOperation = CancelTask | PauseTask | ResumeTask | RetryTask | ResolveTask | EraseTask | UpdateTask | AnnotateTask
StepOperation = ResetStep | ResolveStep | CompleteStep | CancelStep | UpdateStep
TaskCommand = EngineCommand | TaskOperation | StepOperation
ControlCommand = PauseScope | ResumeScope
