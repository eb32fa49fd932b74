"""The rules of the operators' commands: when each is legal, and what it does (DESIGN section 6, table of operators)."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from tasker.domain import commands as cmd
from tasker.domain import events as ev
from tasker.domain.status import ACTIVE, FINAL, FINISHED, LIVE, StepStatus, TaskStatus
from tasker.domain.task import SECOND
from tasker.errors import InvalidRequest

if TYPE_CHECKING:
    from tasker.domain.draft import Draft

_ANY_TIME = (cmd.UpdateTask, cmd.AnnotateTask, cmd.EraseTask)
_CANCELLABLE = ACTIVE | {StepStatus.PENDING}


def operate(draft: Draft, command: cmd.TaskOperation | cmd.StepOperation) -> None:
    """Carry out one command of a person; an effect that is already there yields no event.

    Raises:
        NotAllowed: The command is not legal in this state.
        UnknownStep: The command names a step that the task does not have.
    """
    if draft.task.erased and not isinstance(command, _ANY_TIME):
        draft.refuse("change", "it is erased; only annotate, update and erase are taken")
    if isinstance(command, cmd.StepCommand):
        _operate_step(draft, command)
    else:
        _operate_task(draft, command)


def _operate_task(draft: Draft, command: cmd.TaskOperation) -> None:
    match command:
        case cmd.CancelTask():
            _cancel(draft, command)
        case cmd.PauseTask() | cmd.ResumeTask():
            _pause(draft, command)
        case cmd.RetryTask():
            _retry(draft, command)
        case cmd.ResolveTask():
            _resolve(draft, command)
        case cmd.EraseTask():
            _erase(draft, command)
        case cmd.UpdateTask() | cmd.AnnotateTask():
            _note(draft, command)
        case _:
            assert_never(command)


def _operate_step(draft: Draft, command: cmd.StepOperation) -> None:
    match command:
        case cmd.ResetStep():
            _reset_step(draft, command)
        case cmd.ResolveStep():
            _resolve_step(draft, command)
        case cmd.CompleteStep():
            _complete_step(draft, command)
        case cmd.CancelStep():
            _cancel_step(draft, command)
        case cmd.UpdateStep():
            _update_step(draft, command)
        case _:
            assert_never(command)


def _cancel(draft: Draft, command: cmd.CancelTask) -> None:
    task = draft.task
    if task.status is TaskStatus.CANCELLED:
        return
    if task.status in FINAL:
        draft.refuse("cancel", "it has ended; only pending, in_progress and error can be cancelled")
    for number, state in enumerate(task.steps):
        if state.status in _CANCELLABLE:
            _emit_cancelled(draft, number, command)
    draft.emit(ev.TaskCancelled(at=draft.now, status=TaskStatus.CANCELLED, actor=command.actor, reason=command.reason))


def _emit_cancelled(draft: Draft, number: int, command: cmd.CancelTask | cmd.CancelStep) -> None:
    draft.emit(
        ev.StepCancelled(
            at=draft.now,
            step=draft.name(number),
            attempt=draft.state(number).attempt,
            retry_limit=draft.task.retry_limit(number),
            actor=command.actor,
            reason=command.reason,
        )
    )


def _pause(draft: Draft, command: cmd.PauseTask | cmd.ResumeTask) -> None:
    task = draft.task
    pausing = isinstance(command, cmd.PauseTask)
    if pausing == (task.pause is not None):
        return
    if task.status not in LIVE:
        draft.refuse("pause" if pausing else "resume", "only a pending task or one in progress starts steps")
    kind = ev.TaskPaused if pausing else ev.TaskResumed
    draft.emit(kind(at=draft.now, status=task.status, actor=command.actor, reason=command.reason))


def _retry(draft: Draft, command: cmd.RetryTask) -> None:
    task = draft.task
    if task.status is not TaskStatus.ERROR:
        draft.refuse("retry", "only a task in error can be retried")
    _reopen(draft, command)
    for number, state in enumerate(task.steps):
        if state.status is StepStatus.ERROR:
            _emit_reset(draft, number, command, rerun=False)
    draft.close()


def _reopen(draft: Draft, command: cmd.RetryTask | cmd.ResetStep | cmd.ResolveStep) -> None:
    """Wake a task in error: its status comes back, nothing else."""
    if draft.task.status is TaskStatus.ERROR:
        draft.emit(
            ev.TaskRetried(at=draft.now, status=TaskStatus.IN_PROGRESS, actor=command.actor, reason=command.reason)
        )


def _emit_reset(draft: Draft, number: int, command: cmd.RetryTask | cmd.ResetStep, *, rerun: bool) -> None:
    draft.emit(
        ev.StepReset(
            at=draft.now,
            step=draft.name(number),
            attempt=draft.state(number).attempt,
            retry_limit=draft.task.retry_limit(number),
            rerun=rerun,
            actor=command.actor,
            reason=command.reason,
        )
    )


def _resolve(draft: Draft, command: cmd.ResolveTask) -> None:
    status = TaskStatus.RESOLVED_MANUALLY
    if draft.task.status is status:
        return
    if draft.task.status is not TaskStatus.ERROR:
        draft.refuse("resolve", "only a task in error can be resolved by hand")
    draft.emit(ev.TaskResolvedManually(at=draft.now, status=status, actor=command.actor, reason=command.reason))


def _erase(draft: Draft, command: cmd.EraseTask) -> None:
    task = draft.task
    if task.erased and (not task.annotations or task.annotations[-1] < task.erased):
        return  # nothing was noted since
    if task.status in LIVE:
        draft.refuse("erase", "only a task that has ended (or is in error) can be erased; cancel it first")
    draft.emit(ev.TaskErased(at=draft.now, status=task.status, actor=command.actor, reason=command.reason))


def _note(draft: Draft, command: cmd.UpdateTask | cmd.AnnotateTask) -> None:
    task = draft.task
    if isinstance(command, cmd.AnnotateTask):
        draft.emit(
            ev.TaskAnnotated(
                at=draft.now,
                status=task.status,
                annotation_type=command.annotation_type,
                annotation=command.annotation,
                actor=command.actor,
                reason=command.reason,
            )
        )
        return
    new_reason = command.reason is not None and command.reason != task.request.reason
    new_tags = command.tags is not None and command.tags != task.request.tags
    if new_reason or new_tags:
        draft.emit(
            ev.TaskUpdated(
                at=draft.now, status=task.status, actor=command.actor, reason=command.reason, tags=command.tags
            )
        )


def _reset_step(draft: Draft, command: cmd.ResetStep) -> None:
    number = draft.task.number(command.step)
    status = draft.state(number).status
    if status is StepStatus.PENDING:
        return
    if draft.task.status in FINAL or status not in {StepStatus.ERROR, StepStatus.WAITING_FOR_RETRY}:
        why = "only a step in error or waiting_for_retry, of a task that is not final, can be reset"
        draft.refuse_step("reset", number, why)
    _reopen(draft, command)
    _emit_reset(draft, number, command, rerun=command.rerun)


def _resolve_step(draft: Draft, command: cmd.ResolveStep) -> None:
    number = draft.task.number(command.step)
    state = draft.state(number)
    if state.status is StepStatus.RESOLVED_MANUALLY:
        return
    legal = state.status in ACTIVE or state.status is StepStatus.ERROR or state.ready
    if draft.task.status in FINAL or not legal:
        draft.refuse_step("resolve", number, "it has finished, its parents are not satisfied, or its task is final")
    _reopen(draft, command)
    draft.emit(
        ev.StepResolvedManually(
            at=draft.now,
            step=command.step,
            attempt=state.attempt,
            retry_limit=draft.task.retry_limit(number),
            results=command.results,
            actor=command.actor,
            reason=command.reason,
        )
    )
    draft.satisfied(number)
    draft.close()


def _complete_step(draft: Draft, command: cmd.CompleteStep) -> None:
    number = draft.task.number(command.step)
    state = draft.state(number)
    if state.status is StepStatus.COMPLETE and command.repeated:
        return
    if state.status is not StepStatus.WAITING:
        draft.refuse_step("complete", number, "only a waiting step can be completed from outside, and only once")
    draft.emit(
        ev.StepCompleted(
            at=draft.now,
            step=command.step,
            attempt=state.attempt,
            retry_limit=draft.task.retry_limit(number),
            results=command.results,
            duration=(draft.now - (state.started_at or draft.now)) / SECOND,
            actor=command.actor,
            reason=command.reason,
        )
    )
    draft.satisfied(number)
    draft.close()


def _cancel_step(draft: Draft, command: cmd.CancelStep) -> None:
    number = draft.task.number(command.step)
    status = draft.state(number).status
    if status is StepStatus.CANCELLED:
        return
    if draft.task.status in FINAL or status not in _CANCELLABLE:
        draft.refuse_step("cancel", number, "it has finished or is in error, or its task is final")
    _emit_cancelled(draft, number, command)
    for descendant in draft.task.definition.graph.descendants(number):
        if draft.state(descendant).status in _CANCELLABLE:
            _emit_cancelled(draft, descendant, command)
    draft.close()


def _update_step(draft: Draft, command: cmd.UpdateStep) -> None:
    number = draft.task.number(command.step)
    state = draft.state(number)
    limit = draft.task.retry_limit(number) if command.retry_limit is None else command.retry_limit
    if limit < 1:
        problem = f"expected a whole number of at least 1 (it counts all attempts), found {limit}"
        raise InvalidRequest(f"retry_limit: {problem}", problems={"$.retry_limit": problem})
    new_inputs = command.sets_inputs and not command.repeated
    new_limit = limit != draft.task.retry_limit(number)
    if not new_inputs and not new_limit:
        return
    if draft.task.status in FINAL or state.status in FINISHED:
        draft.refuse_step("update", number, "a finished step, or one of a final task, runs no more")
    draft.emit(
        ev.StepUpdated(
            at=draft.now,
            step=command.step,
            attempt=state.attempt,
            retry_limit=limit,
            inputs=command.inputs if new_inputs else None,
            sets_inputs=new_inputs,
            sets_limit=new_limit,
            actor=command.actor,
            reason=command.reason,
        )
    )
