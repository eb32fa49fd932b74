"""Tasks, steps and events as mappings, for JSON lines and for tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tasker.codec.recorded import RecordedEvent
    from tasker.handlers.views import Step, Task

_SUMMARY = (
    "id",
    "namespace",
    "name",
    "version",
    "full_name",
    "status",
    "paused",
    "execution_status",
    "health_status",
    "recommended_action",
    "completion_percentage",
    "initiator",
    "source_system",
    "reason",
    "priority",
    "correlation_id",
    "parent",
    "created_at",
    "started_at",
    "completed_at",
    "stream_version",
    "position",
)
_STEP = (
    "name",
    "description",
    "dependent_system",
    "status",
    "attempts",
    "retry_limit",
    "retryable",
    "skippable",
    "inputs",
    "results",
    "started_at",
    "completed_at",
    "last_attempted_at",
    "next_retry_at",
    "backoff",
    "worker_id",
    "timeout_seconds",
)
_ERROR = ("type", "message", "kind", "http_status", "code", "context", "backtrace")
_ATTEMPT = ("number", "worker_id", "started_at", "ended_at", "outcome", "results")
_EVENT = (
    "position",
    "stream_id",
    "version",
    "event_id",
    "type",
    "time",
    "namespace",
    "task_name",
    "step",
    "attempt",
    "actor",
    "correlation_id",
    "causation_id",
    "hash",
)


def summary(task: Task) -> dict[str, object]:
    """Give what a list shows of a task; steps and payloads are not loaded."""
    return _fields(task, _SUMMARY) | {"tags": list(task.tags)}


def whole(task: Task) -> dict[str, object]:
    """Give everything about a task."""
    return summary(task) | {
        "context": task.context,
        "steps": [step(one) for one in task.steps.values()],
        "annotations": [_fields(one, ("type", "value", "actor", "time")) for one in task.annotations],
    }


def step(one: Step) -> dict[str, object]:
    """Give everything about a step, attempt by attempt."""
    return _fields(one, _STEP) | {
        "depends_on": list(one.depends_on),
        "error": _error(one.error),
        "history": [_fields(entry, _ATTEMPT) | {"error": _error(entry.error)} for entry in one.history],
    }


def event(one: RecordedEvent) -> dict[str, object]:
    """Give everything about a recorded event."""
    return _fields(one, _EVENT) | {"body": dict(one.body)}


def _error(value: object) -> dict[str, object] | None:
    return None if value is None else _fields(value, _ERROR)


def _fields(value: object, names: tuple[str, ...]) -> dict[str, object]:
    return {name: getattr(value, name) for name in names}
