"""Say in a word how a task stands: what it is doing, how healthy it is, how far it got, and what a person should do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasker.domain.status import LIVE, SATISFIED, StepStatus, TaskStatus
from tasker.domain.work import next_in_line

if TYPE_CHECKING:
    from tasker.domain.events import Instant
    from tasker.domain.task import Task

CANCELLED = "cancelled"
ALL_COMPLETE = "all_complete"
BLOCKED_BY_FAILURES = "blocked_by_failures"
PAUSED = "paused"
HAS_READY_STEPS = "has_ready_steps"
PROCESSING = "processing"
WAITING_FOR_RETRY = "waiting_for_retry"
WAITING = "waiting"
WAITING_FOR_DEPENDENCIES = "waiting_for_dependencies"

BLOCKED, RECOVERING, HEALTHY = "blocked", "recovering", "healthy"


def execution_status(task: Task, now: Instant | None = None) -> str:
    """Give the first of the words above, in their order, that is true of a task.

    Args:
        task: The task.
        now: The present time; the time of the task's last event if left out, so that equal states read alike.
    """
    if task.status is TaskStatus.CANCELLED:
        return CANCELLED
    if task.status is TaskStatus.COMPLETE or _satisfied(task) == len(task.steps):
        return ALL_COMPLETE
    if _blocked(task):
        return BLOCKED_BY_FAILURES
    if task.pause is not None:
        return PAUSED
    if _has_ready_steps(task, task.last_at if now is None else now):
        return HAS_READY_STEPS
    return _waiting(task)


def _waiting(task: Task) -> str:
    if task.count(StepStatus.IN_PROGRESS):
        return PROCESSING
    if task.count(StepStatus.WAITING_FOR_RETRY):
        return WAITING_FOR_RETRY
    return WAITING if task.count(StepStatus.WAITING) else WAITING_FOR_DEPENDENCIES


def _satisfied(task: Task) -> int:
    return sum(task.count(status) for status in SATISFIED)


def _blocked(task: Task) -> bool:
    """Say whether a step is in error; a task whose own time ran out may be in error without one."""
    return bool(task.count(StepStatus.ERROR)) or task.status is TaskStatus.ERROR


def _has_ready_steps(task: Task, now: Instant) -> bool:
    if task.status not in LIVE:
        return False
    if not task.definition.concurrent:
        return next_in_line(task, now) is not None
    if task.ready and (task.request.not_before or 0) <= now:
        return True
    retries = StepStatus.WAITING_FOR_RETRY
    return bool(task.count(retries)) and any(
        state.status is retries and (state.due or 0) <= now for state in task.steps
    )


def health_status(task: Task) -> str:
    """Say `blocked` (a step in error), `recovering` (one waits for a retry) or `healthy`."""
    if _blocked(task):
        return BLOCKED
    return RECOVERING if task.count(StepStatus.WAITING_FOR_RETRY) else HEALTHY


def completion_percentage(task: Task) -> float:
    """Give the share of the steps that are complete, skipped or resolved: 0 to 100, two decimals; 100 for no steps."""
    return round(_satisfied(task) / len(task.steps) * 100, 2) if len(task.steps) else 100.0


def recommended_action(task: Task) -> str | None:
    """Name the command that helps next: retry, reset_step, resume or complete_step; None if nobody need do anything."""
    if task.status is TaskStatus.ERROR:
        return "retry"
    if task.status not in LIVE:
        return None
    if task.count(StepStatus.ERROR):
        return "reset_step"
    if task.pause is not None:
        return "resume"
    return "complete_step" if task.count(StepStatus.WAITING) else None
