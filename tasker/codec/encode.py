"""Domain events to rows: what goes into columns, into readable `data`, and into the opaque payload."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasker.codec.jsonbytes import Json, dumps
from tasker.codec.registry import CODES, STEP_ABANDONED_LOST, STEP_FAILED_FINAL
from tasker.codec.rows import NewEvent
from tasker.domain import events as ev
from tasker.domain.status import TaskStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_Data = dict[str, Json]


def _created(event: ev.TaskCreated) -> tuple[_Data, Json]:
    data: _Data = {
        "initiator": event.initiator,
        "source_system": event.source_system,
        "reason": event.reason,
        "priority": event.priority,
    }
    if event.tags:
        data["tags"] = event.tags
    if event.bypass_steps:
        data["bypass_steps"] = event.bypass_steps
    if event.parent:
        data["parent"] = event.parent._asdict()
    if event.requested_at is not None:
        data["requested_at"] = event.requested_at
    return data, event.context


def _completed(event: ev.TaskCompleted) -> tuple[_Data, Json]:
    return {"duration": event.duration, "counts": event.counts._asdict()}, None


def _failed(event: ev.TaskFailed) -> tuple[_Data, Json]:
    data: _Data = {
        "reason": event.reason,
        "duration": event.duration,
        "counts": event.counts._asdict(),
        "failed_steps": [{"step": failed.step, "type": failed.type} for failed in event.failed_steps],
        "error_type": event.error_type,
    }
    return data, {"messages": [failed.message for failed in event.failed_steps], "error_message": event.error_message}


def _updated(event: ev.TaskUpdated) -> tuple[_Data, Json]:
    data: _Data = {} if event.reason is None else {"reason": event.reason}
    return (data if event.tags is None else {**data, "tags": event.tags}), None


def _annotated(event: ev.TaskAnnotated) -> tuple[_Data, Json]:
    return {"type": event.annotation_type, **_why(event)}, event.annotation


def _why(event: ev.OperatorTaskEvent | ev.OperatorStepEvent | ev.StepCompleted | ev.ControlEvent) -> _Data:
    return {} if event.reason is None else {"reason": event.reason}


def _step_failed(event: ev.StepFailed) -> tuple[_Data, Json]:
    error = event.error
    shown: _Data = {"type": error.type, "kind": error.kind}
    if error.http_status is not None:
        shown["http_status"] = error.http_status
    if error.code is not None:
        shown["code"] = error.code
    data: _Data = {"error": shown}
    if event.duration is not None:
        data["duration"] = event.duration
    return data, {"message": error.message, "backtrace": error.backtrace, "context": error.context}


def _step_updated(event: ev.StepUpdated) -> tuple[_Data, Json]:
    sets = [name for name, given in (("inputs", event.sets_inputs), ("retry_limit", event.sets_limit)) if given]
    return {"sets": sets, **_why(event)}, event.inputs


def _retry(event: ev.StepRetryScheduled) -> tuple[_Data, Json]:
    return {"delay_seconds": event.delay_seconds, "backoff_type": event.backoff_type}, None


_BODIES: Mapping[type[ev.Event], Callable[..., tuple[_Data, Json]]] = {
    ev.TaskCreated: _created,
    ev.TaskCompleted: _completed,
    ev.TaskFailed: _failed,
    ev.TaskUpdated: _updated,
    ev.TaskAnnotated: _annotated,
    ev.StepStarted: lambda event: ({"worker_id": event.worker_id}, None),
    ev.StepCompleted: lambda event: ({"duration": event.duration, **_why(event)}, event.results),
    ev.StepFailed: _step_failed,
    ev.StepRetryScheduled: _retry,
    ev.StepAbandoned: lambda event: ({"worker_id": event.worker_id, "reason": event.reason}, None),
    ev.StepWaiting: lambda event: ({"reason": event.reason}, None),
    ev.StepReset: lambda event: ({"rerun": event.rerun, **_why(event)}, None),
    ev.StepResolvedManually: lambda event: (_why(event), event.results),
    ev.StepUpdated: _step_updated,
    ev.ControlPaused: lambda event: ({"scope": event.scope, **_why(event)}, None),
    ev.ControlResumed: lambda event: ({"scope": event.scope, **_why(event)}, None),
}
_WITH_PAYLOAD = frozenset(
    {
        ev.TaskCreated,
        ev.TaskFailed,
        ev.TaskAnnotated,
        ev.StepCompleted,
        ev.StepFailed,
        ev.StepResolvedManually,
        ev.CustomEvent,
    }
)
IN_PROGRESS = TaskStatus.IN_PROGRESS


def _code(event: ev.Event) -> int:
    if isinstance(event, ev.StepFailed):
        return STEP_FAILED_FINAL if event.final else STEP_FAILED_FINAL - 1
    if isinstance(event, ev.StepAbandoned):
        return STEP_ABANDONED_LOST if event.reason == ev.WORKER_LOST else STEP_ABANDONED_LOST + 1
    return CODES[type(event)]


def _due(event: ev.Event) -> int | None:
    match event:
        case ev.StepRetryScheduled() | ev.TaskCreated():
            return event.not_before
        case ev.StepWaiting():
            return event.until
        case _:
            return None


def _body(event: ev.Event) -> tuple[_Data, Json]:
    kind = type(event)
    if kind in _BODIES:
        return _BODIES[kind](event)
    if isinstance(event, ev.OperatorTaskEvent | ev.OperatorStepEvent):
        return _why(event), None
    return {}, None


def _shown(event: ev.TaskStreamEvent | ev.ControlEvent, status: TaskStatus) -> tuple[_Data, Json, int | None]:
    """Give the readable data, the payload and the attempt of an event."""
    data, payload = _body(event)
    if isinstance(event, ev.StepEvent):
        data["step"] = event.step
        data["retry_limit"] = event.retry_limit
        if status is not IN_PROGRESS:
            data["status"] = status.value
        return data, payload, event.attempt
    if isinstance(event, ev.TaskEvent):
        data["status"] = event.status.value
    return data, payload, None


def encode(
    event: ev.TaskStreamEvent | ev.ControlEvent,
    *,
    event_id: bytes,
    number: int | None,
    status: TaskStatus,
    causation_id: bytes | None = None,
    metadata: bytes | None = None,
) -> NewEvent:
    """Write an event as a row that has no place in the log yet.

    Args:
        event: What happened.
        event_id: 16 bytes.
        number: Ordinal of its step in the pinned definition, or None.
        status: The task's status after the event; written where a reader could not guess it.
        causation_id: The event that caused it.
        metadata: JSON bytes of trace and request ids.
    """
    if isinstance(event, ev.CustomEvent):
        data: _Data = {"step": event.step, "n": event.number}
        return NewEvent(
            event_id, 0, event.name, 1, event.at, number, event.attempt, None, None, causation_id, metadata,
            dumps(data), dumps(event.body),
        )  # fmt: skip
    data, payload, attempt = _shown(event, status)
    has_payload = type(event) in _WITH_PAYLOAD or (isinstance(event, ev.StepUpdated) and event.sets_inputs)
    return NewEvent(
        event_id,
        _code(event),
        event.type,
        1,
        event.at,
        number,
        attempt,
        _due(event),
        getattr(event, "actor", None),
        causation_id,
        metadata,
        dumps(data),
        dumps(payload) if has_payload else None,
    )
