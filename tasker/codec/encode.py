"""Domain events to rows: what goes into columns, into readable `data`, and into the opaque payload."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from functools import lru_cache
from typing import NamedTuple

from tasker.codec.jsonbytes import Json, dumps
from tasker.codec.registry import CODES, STEP_ABANDONED_LOST, STEP_FAILED_FINAL
from tasker.codec.rows import NewEvent
from tasker.domain import events as ev
from tasker.domain.status import TaskStatus

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


@lru_cache(maxsize=4096)
def _started_data(step: str, retry_limit: int, worker_id: str) -> bytes:
    """Write the data of `step.started`: equal for all attempts that a worker starts of one step of a definition."""
    return dumps({"step": step, "retry_limit": retry_limit, "worker_id": worker_id})


def _step_completed(event: ev.StepCompleted) -> tuple[_Data, Json]:
    data: _Data = {"duration": event.duration}
    if event.reason is not None:
        data["reason"] = event.reason
    return data, event.results


class _Form(NamedTuple):
    """How the events of one class are written.

    Attributes:
        code: The code of its type; 0 where it depends on the event (`_variant`).
        body: Gives the readable data and the payload.
        has_payload: Whether it always has a payload, even a null.
        due: The field that becomes the column `due`.
        actor: The field that becomes the column `actor`.
    """

    code: int
    body: Callable[..., tuple[_Data, Json]]
    has_payload: bool
    due: str | None
    actor: str | None


_BODIES: Mapping[type[ev.Event], Callable[..., tuple[_Data, Json]]] = {
    ev.TaskCreated: _created,
    ev.TaskCompleted: _completed,
    ev.TaskFailed: _failed,
    ev.TaskUpdated: _updated,
    ev.TaskAnnotated: _annotated,
    ev.StepCompleted: _step_completed,
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
    {ev.TaskCreated, ev.TaskFailed, ev.TaskAnnotated, ev.StepCompleted, ev.StepFailed, ev.StepResolvedManually}
)
_DUE = {ev.StepRetryScheduled: "not_before", ev.TaskCreated: "not_before", ev.StepWaiting: "until"}
_STARTED = CODES[ev.StepStarted]
_VARIANTS = frozenset({ev.StepFailed, ev.StepAbandoned})
_IN_PROGRESS = TaskStatus.IN_PROGRESS


def _form(kind: type[ev.Event]) -> _Form:
    by_person = issubclass(kind, ev.OperatorTaskEvent | ev.OperatorStepEvent)
    return _Form(
        code=0 if kind in _VARIANTS else CODES[kind],
        body=_BODIES.get(kind, (lambda event: (_why(event), None)) if by_person else (lambda _: ({}, None))),
        has_payload=kind in _WITH_PAYLOAD,
        due=_DUE.get(kind),
        actor="actor" if "actor" in {one.name for one in fields(kind)} else None,
    )


_FORMS: Mapping[type[ev.Event], _Form] = {kind: _form(kind) for kind in CODES}


def _variant(event: ev.Event) -> int:
    """Give the code of an event whose class has several."""
    if isinstance(event, ev.StepFailed):
        return STEP_FAILED_FINAL if event.final else STEP_FAILED_FINAL - 1
    lost = isinstance(event, ev.StepAbandoned) and event.reason == ev.WORKER_LOST
    return STEP_ABANDONED_LOST if lost else STEP_ABANDONED_LOST + 1


def _custom(
    event: ev.CustomEvent, event_id: bytes, number: int | None, causation_id: bytes | None, metadata: bytes | None
) -> NewEvent:
    data: _Data = {"step": event.step, "n": event.number}
    return NewEvent(
        event_id, 0, event.name, 1, event.at, number, event.attempt, None, None, causation_id, metadata,
        dumps(data), dumps(event.body),
    )  # fmt: skip


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
        return _custom(event, event_id, number, causation_id, metadata)
    if isinstance(event, ev.StepStarted):
        return NewEvent(
            event_id, _STARTED, event.type, 1, event.at, number, event.attempt, None, None, causation_id, metadata,
            _started_data(event.step, event.retry_limit, event.worker_id), None,
        )  # fmt: skip
    form = _FORMS[type(event)]
    data, payload = form.body(event)
    attempt = None
    if isinstance(event, ev.StepEvent):
        attempt = event.attempt
        data["step"] = event.step
        data["retry_limit"] = event.retry_limit
        if status is not _IN_PROGRESS:
            data["status"] = status.value
    elif isinstance(event, ev.TaskEvent):
        data["status"] = event.status.value
    has_payload = form.has_payload or (isinstance(event, ev.StepUpdated) and event.sets_inputs)
    due = getattr(event, form.due) if form.due else None
    actor = getattr(event, form.actor) if form.actor else None
    return NewEvent(
        event_id, form.code or _variant(event), event.type, 1, event.at, number, attempt, due, actor, causation_id,
        metadata, dumps(data), dumps(payload) if has_payload else None,
    )  # fmt: skip
