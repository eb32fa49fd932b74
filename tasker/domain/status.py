"""The statuses of tasks and steps, and the groups of them that rules speak of."""

from __future__ import annotations

from enum import StrEnum


class TaskStatus(StrEnum):
    """Where a task stands."""

    PENDING = "pending"
    IN_PROGRESS = "in_progress"
    COMPLETE = "complete"
    ERROR = "error"
    CANCELLED = "cancelled"
    RESOLVED_MANUALLY = "resolved_manually"


class StepStatus(StrEnum):
    """Where a step stands."""

    PENDING = "pending"
    IN_PROGRESS = "in_progress"
    WAITING_FOR_RETRY = "waiting_for_retry"
    WAITING = "waiting"
    COMPLETE = "complete"
    ERROR = "error"
    CANCELLED = "cancelled"
    SKIPPED = "skipped"
    RESOLVED_MANUALLY = "resolved_manually"


LIVE = frozenset({TaskStatus.PENDING, TaskStatus.IN_PROGRESS})
"""A task in one of these still has something to do."""

FINAL = frozenset({TaskStatus.COMPLETE, TaskStatus.CANCELLED, TaskStatus.RESOLVED_MANUALLY})
"""No command reopens a task in one of these."""

SATISFIED = frozenset({StepStatus.COMPLETE, StepStatus.SKIPPED, StepStatus.RESOLVED_MANUALLY})
"""A step in one of these lets its dependents run."""

FINISHED = SATISFIED | {StepStatus.CANCELLED}
"""A step in one of these never runs again; one in error may be reopened."""

ACTIVE = frozenset({StepStatus.IN_PROGRESS, StepStatus.WAITING, StepStatus.WAITING_FOR_RETRY})
"""A step in one of these has begun and can still go on."""
