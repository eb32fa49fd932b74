"""What spans and log lines tell of an event: few, short, and nothing of what users wrote but a redacted error text."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from tasker.codec.jsonbytes import mapping
from tasker.domain import events as ev

if TYPE_CHECKING:
    from tasker.codec.rows import StoredEvent
    from tasker.domain.events import TaskStreamEvent
    from tasker.domain.task import Task
    from tasker.redaction import Redactor


Fact = str | int | float | bool
TASK_ENDS = frozenset({ev.TaskCompleted, ev.TaskFailed, ev.TaskCancelled, ev.TaskResolvedManually})
"""The events with which a task has come to an end, for the time being or for good."""
ATTEMPT_ENDS = frozenset(
    {ev.StepCompleted, ev.StepFailed, ev.StepAbandoned, ev.StepWaiting, ev.StepCancelled, ev.StepResolvedManually}
)
"""The events with which a running attempt ends."""
OF_ATTEMPT = (ATTEMPT_ENDS - {ev.StepCancelled, ev.StepResolvedManually}) | {
    ev.StepStarted, ev.StepRetryScheduled, ev.CustomEvent,
}  # fmt: skip
"""The events that stand on the span of an attempt; all others stand on that of the task."""
_LONGEST = 1_000  # characters of an error text or a reason


def name_of(event: TaskStreamEvent) -> str:
    """Give the name of an event as the catalogue has it."""
    return event.name if isinstance(event, ev.CustomEvent) else event.type


def of_task(task: Task) -> dict[str, Fact]:
    """Give the attributes of every span of a task."""
    definition = task.definition
    return {
        "tasker.task.id": task.id,
        "tasker.task.name": definition.name,
        "tasker.task.namespace": definition.namespace,
        "tasker.task.version": definition.version,
        "tasker.correlation_id": task.request.correlation_id or task.id,
    }


def short(text: str | None, redactor: Redactor) -> str:
    """Give a text of the user's, with the secrets of its URLs masked, and cut."""
    return "" if text is None else redactor.url(text)[:_LONGEST]


def of_event(event: TaskStreamEvent, redactor: Redactor) -> Mapping[str, Fact]:
    """Give what a span event says beside its name."""
    kind = type(event)
    return _NOTHING if kind in _SILENT else _TELLERS.get(kind, _of_person)(event, redactor)


def of_row(row: StoredEvent, redactor: Redactor) -> Mapping[str, Fact]:
    """Give the same of an event that was read from the log, as far as it stands outside of the payload."""
    data = mapping(row.data)
    told = {"tasker.step.name": data.get("step"), "tasker.actor": row.actor, "error.type": data.get("error_type")}
    if row.type != "task.created":
        told["tasker.reason"] = data.get("reason")
    return {name: short(value, redactor) for name, value in told.items() if isinstance(value, str)}


def _of_failed_step(event: ev.StepFailed, redactor: Redactor) -> dict[str, Fact]:
    message = short(event.error.message, redactor)
    return {"error.type": event.error.type, "error.message": message, "tasker.step.final": event.final}


def _of_failed_task(event: ev.TaskFailed, redactor: Redactor) -> dict[str, Fact]:
    message = short(event.error_message, redactor)
    return {"error.type": event.error_type, "error.message": message, "tasker.reason": event.reason}


def _of_retry(event: ev.StepRetryScheduled, redactor: Redactor) -> dict[str, Fact]:  # noqa: ARG001 - the table's form
    return {"tasker.delay_seconds": event.delay_seconds, "tasker.backoff_type": event.backoff_type}


def _of_person(event: ev.Event, redactor: Redactor) -> dict[str, Fact]:
    """Tell who asked for it, why, and for which step."""
    found: dict[str, Fact] = {}
    for name, told in (("step", "tasker.step.name"), ("actor", "tasker.actor"), ("reason", "tasker.reason")):
        if value := getattr(event, name, None):
            found[told] = short(value, redactor)
    return found


_SILENT = frozenset(
    {ev.StepStarted, ev.StepCompleted, ev.TaskStarted, ev.TaskCreated, ev.TaskCompleted, ev.CustomEvent}
)
_NOTHING: Mapping[str, Fact] = MappingProxyType({})
_TELLERS: dict[type[ev.Event], Callable[..., dict[str, Fact]]] = {
    ev.StepFailed: _of_failed_step,
    ev.TaskFailed: _of_failed_task,
    ev.StepRetryScheduled: _of_retry,
}


def error_type(event: ev.Event) -> str | None:
    """Give the type of the error that an event tells of, or None."""
    kind = type(event)
    if kind not in _ERRORS:
        return None
    if isinstance(event, ev.StepFailed):
        return event.error.type
    return str(getattr(event, _ERRORS[kind]))


_ERRORS: dict[type[ev.Event], str] = {
    ev.StepFailed: "error",
    ev.StepAbandoned: "reason",
    ev.TaskFailed: "error_type",
}
