"""`decide`: every rule about what may happen to a task. Pure: the same state and command give the same events."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from tasker.domain import commands as cmd
from tasker.domain import events as ev
from tasker.domain import operate
from tasker.domain import steps as outcome
from tasker.domain.draft import Draft
from tasker.domain.retry import backoff
from tasker.domain.status import ACTIVE, LIVE, StepStatus, TaskStatus
from tasker.domain.task import later
from tasker.domain.work import obstacle
from tasker.errors import InvalidRequest, StaleAttempt, UnknownTask, near

if TYPE_CHECKING:
    from tasker.domain.definition import TaskDefinition
    from tasker.domain.events import StepError, TaskStreamEvent
    from tasker.domain.task import Task

_FINAL_KINDS = frozenset({ev.PERMANENT, ev.TOO_LARGE})


def decide(task: Task, command: cmd.TaskCommand) -> tuple[TaskStreamEvent, ...]:
    """Say what happens when a task gets a command.

    Args:
        task: The state; `blank` for a task that is to be created.
        command: What is asked, with the time and, where a delay may be drawn, the jitter.

    Returns:
        The events, none if the command's effect is already there.

    Raises:
        NotAllowed: The command is not legal in this state.
        StaleAttempt: A report of an attempt that is not the running one.
        UnknownStep: The command names a step that the task does not have.
        InvalidRequest: A request bypasses a step that is unknown or not skippable, or a value is out of its range.
        UnknownTask: The task has not been created.
    """
    return react(task, command)[0]


def react(task: Task, command: cmd.TaskCommand) -> tuple[tuple[TaskStreamEvent, ...], Task]:
    """Decide, and give the state after the events as well; the arguments and errors are those of `decide`."""
    if not task.version and not isinstance(command, cmd.CreateTask):
        raise UnknownTask(f"expected the id of a task that has been created, found {task.id!r}; submit it first")
    draft = Draft(task, command.now)
    match command:
        case cmd.StartStep():
            _start(draft, command)
        case cmd.ReportStepCompleted() | cmd.ReportStepFailed() | cmd.ReportStepWaiting():
            _report(draft, command)
        case cmd.CreateTask():
            _create(draft, command)
        case cmd.AbandonStep():
            _abandon(draft, command)
        case cmd.ExpireWait():
            _expire_wait(draft, command)
        case cmd.ExpireTask():
            _expire_task(draft)
        case _:
            operate.operate(draft, command)
    return tuple(draft.events), draft.task


def _create(draft: Draft, command: cmd.CreateTask) -> None:
    task = draft.task
    if task.version:
        return
    definition = task.definition
    _check_bypass(definition, command.bypass_steps)
    draft.emit(
        ev.TaskCreated(
            at=draft.now,
            status=TaskStatus.PENDING,
            name=definition.name,
            namespace=definition.namespace,
            version=definition.version,
            definition_digest=command.definition_digest,
            context=command.context,
            initiator=command.initiator,
            source_system=command.source_system,
            reason=command.reason,
            tags=command.tags,
            priority=command.priority,
            identity=command.identity,
            bypass_steps=command.bypass_steps,
            not_before=command.not_before,
            correlation_id=command.correlation_id,
            parent=command.parent,
            requested_at=command.requested_at,
        )
    )
    for root in definition.graph.roots:
        number = definition.graph.ordinal[root]
        if root in draft.task.request.bypass_steps:
            draft.skip(number)
            draft.satisfied(number)
    draft.close()


def _check_bypass(definition: TaskDefinition, names: tuple[str, ...]) -> None:
    """Refuse to bypass a step that does not exist or must not be skipped."""
    ordinal = definition.graph.ordinal
    for place, name in enumerate(names):
        if name not in ordinal:
            problem = f"expected the name of a step, found {name!r}.{near(name, ordinal)}"
        elif not definition.step_templates[ordinal[name]].skippable:
            problem = f"the step {name!r} is not skippable; write skippable: true in its template or run it"
        else:
            continue
        raise InvalidRequest(f"bypass_steps: {problem}", problems={f"$.bypass_steps[{place}]": problem})


def _start(draft: Draft, command: cmd.StartStep) -> None:
    task = draft.task
    number = task.number(command.step)
    why = obstacle(task, number, draft.now)
    if why is not None:
        draft.refuse_step("start", number, why)
    if task.status is TaskStatus.PENDING:
        draft.emit(ev.TaskStarted(at=draft.now, status=TaskStatus.IN_PROGRESS))
    draft.emit(
        ev.StepStarted(
            at=draft.now,
            step=command.step,
            attempt=task.steps[number].attempt + 1,
            retry_limit=task.retry_limit(number),
            worker_id=command.worker_id,
        )
    )


_REPORTED = {
    cmd.ReportStepCompleted: outcome.COMPLETED,
    cmd.ReportStepFailed: outcome.FAILED,
    cmd.ReportStepWaiting: outcome.WAITING,
}


def _report(draft: Draft, command: cmd.Report) -> None:
    """Accept the first report of the running attempt, pass over a repeat of the same kind, refuse all others."""
    number = draft.task.number(command.step)
    state = draft.state(number)
    if state.status is not StepStatus.IN_PROGRESS or state.attempt != command.attempt:
        if command.attempt > 0 and state.outcomes[command.attempt - 1 : command.attempt] == _REPORTED[type(command)]:
            return
        which = f"step {command.step!r} of task {draft.task.id}"
        found = f"it is {state.status} at attempt {state.attempt}"
        raise StaleAttempt(f"{which} does not wait for a report of attempt {command.attempt}: {found}; drop the report")
    failed = isinstance(command, cmd.ReportStepFailed)
    if command.published:
        _publish_all(draft, command, failed=failed)
    match command:
        case cmd.ReportStepCompleted():
            draft.emit(
                ev.StepCompleted(
                    at=draft.now,
                    step=command.step,
                    attempt=command.attempt,
                    retry_limit=draft.task.retry_limit(number),
                    results=command.results,
                    duration=command.duration,
                )
            )
            draft.satisfied(number)
        case cmd.ReportStepFailed():
            _fail(draft, number, command, command.error, duration=command.duration, retry_after=command.retry_after)
        case cmd.ReportStepWaiting():
            _wait(draft, number, command)
        case _:
            assert_never(command)
    draft.close(command.annotations or ())


def _publish_all(draft: Draft, command: cmd.Report, *, failed: bool) -> None:
    for place, published in enumerate(command.published):
        if published.always or not failed:
            _publish(draft, command, place, published)


def _publish(draft: Draft, command: cmd.Report, place: int, published: cmd.Publication) -> None:
    draft.emit(
        ev.CustomEvent(
            at=draft.now,
            name=published.name,
            step=command.step,
            attempt=command.attempt,
            number=place,
            body=published.body,
        )
    )


def _wait(draft: Draft, number: int, command: cmd.ReportStepWaiting) -> None:
    seconds = command.timeout_seconds
    draft.emit(
        ev.StepWaiting(
            at=draft.now,
            step=command.step,
            attempt=command.attempt,
            retry_limit=draft.task.retry_limit(number),
            until=None if seconds is None else later(draft.now, seconds),
            reason=command.reason,
        )
    )


def _fail(
    draft: Draft,
    number: int,
    command: cmd.ReportStepFailed | cmd.ExpireWait,
    error: StepError,
    *,
    duration: float | None = None,
    retry_after: float | None = None,
) -> None:
    """Record a failure of the latest attempt, with a retry where kind and budget allow one."""
    state, limit = draft.state(number), draft.task.limit(number)
    final = error.kind in _FINAL_KINDS or state.failures + 1 >= limit
    draft.emit(
        ev.StepFailed(
            at=draft.now,
            step=command.step,
            attempt=state.attempt,
            retry_limit=draft.task.retry_limit(number),
            error=error,
            final=final,
            duration=duration,
        )
    )
    if not final:
        longest = command.max_server_delay if isinstance(command, cmd.ReportStepFailed) else 0.0
        _schedule(draft, number, jitter=command.jitter, retry_after=retry_after, max_server_delay=longest)


def _schedule(
    draft: Draft, number: int, *, jitter: float, retry_after: float | None = None, max_server_delay: float = 0.0
) -> None:
    state = draft.state(number)
    delay = backoff(
        draft.task.template(number),
        failures=max(state.failures, 1),
        jitter=jitter,
        retry_after=retry_after,
        max_server_delay=max_server_delay,
    )
    draft.emit(
        ev.StepRetryScheduled(
            at=draft.now,
            step=draft.name(number),
            attempt=state.attempt,
            retry_limit=draft.task.retry_limit(number),
            not_before=later(draft.now, delay.seconds),
            delay_seconds=delay.seconds,
            backoff_type=delay.type,
        )
    )


def _abandon(draft: Draft, command: cmd.AbandonStep) -> None:
    """End an attempt without a report: a lost one counts and is retried within the budget, a stopped one starts again.

    One of a step that is not retryable fails for good either way: it runs at most once, and a person decides.
    """
    number = draft.task.number(command.step)
    state, limit = draft.state(number), draft.task.retry_limit(number)
    if state.status is not StepStatus.IN_PROGRESS or state.attempt != command.attempt:
        return
    draft.emit(
        ev.StepAbandoned(
            at=draft.now,
            step=command.step,
            attempt=command.attempt,
            retry_limit=limit,
            worker_id=state.worker_id,
            reason=command.reason,
        )
    )
    retryable, stopped = draft.task.template(number).default_retryable, command.reason == ev.WORKER_STOPPED
    if retryable and stopped:
        return
    if retryable and state.failures + 1 < limit:
        _schedule(draft, number, jitter=command.jitter)
        return
    fate = f"its worker {state.worker_id} was {'stopped' if stopped else 'lost'}"
    message = f"attempt {command.attempt} ended without a report ({fate}); it may have had its effect"
    error = ev.StepError(type=ev.ABANDONED, message=message, kind=ev.ABANDONED)
    draft.emit(
        ev.StepFailed(
            at=draft.now, step=command.step, attempt=command.attempt, retry_limit=limit, error=error, final=True
        )
    )
    draft.close(command.annotations or ())


def _expire_wait(draft: Draft, command: cmd.ExpireWait) -> None:
    number = draft.task.number(command.step)
    state = draft.state(number)
    if state.status is not StepStatus.WAITING or state.attempt != command.attempt:
        return
    if state.due is None or state.due > draft.now:
        draft.refuse_step("expire the wait of", number, "its time has not run out")
    error = ev.StepError(type=ev.TIMEOUT, message="nobody ended the wait in time", kind=ev.TIMEOUT)
    _fail(draft, number, command, error)
    draft.close(command.annotations or ())


def _expire_task(draft: Draft) -> None:
    """Fail for good every step that has begun, then the task; pending steps stay."""
    task = draft.task
    if task.status not in LIVE or task.timeout_at is None:
        return
    if task.timeout_at > draft.now:
        draft.refuse("expire", "its timeout has not run out")
    message = f"the task did not end within its timeout of {task.definition.timeout_seconds:g} seconds"
    for number, state in enumerate(task.steps):
        if state.status in ACTIVE:
            draft.emit(
                ev.StepFailed(
                    at=draft.now,
                    step=draft.name(number),
                    attempt=state.attempt,
                    retry_limit=task.retry_limit(number),
                    error=ev.StepError(type=ev.TIMEOUT, message=message, kind=ev.TIMEOUT),
                    final=True,
                )
            )
    draft.fail(ev.TIMEOUT)
