"""Rows to domain events, so that a task can be folded from its stream."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from tasker.codec.jsonbytes import Json, loads, mapping
from tasker.codec.registry import STEP_FAILED_FINAL, supported, upcast
from tasker.domain import events as ev
from tasker.domain.status import TaskStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tasker.codec.rows import StoredEvent

    _Data = Mapping[str, Json]


def payload_of(stored: StoredEvent) -> Json:
    """Give the payload's value; None if there is none or it was erased."""
    return None if stored.payload is None else loads(stored.payload)


def _text(data: _Data, key: str, default: str = ev.UNKNOWN) -> str:
    value = data.get(key)
    return value if isinstance(value, str) else default


def _maybe_text(data: _Data, key: str) -> str | None:
    value = data.get(key)
    return value if isinstance(value, str) else None


def _number(data: _Data, key: str) -> float:
    value = data.get(key)
    return float(value) if isinstance(value, int | float) else 0.0


def _whole(data: _Data, key: str, default: int = 0) -> int:
    value = data.get(key)
    return value if isinstance(value, int) else default


def _maybe_whole(data: _Data, key: str) -> int | None:
    value = data.get(key)
    return value if isinstance(value, int) else None


def _texts(data: _Data, key: str) -> tuple[str, ...]:
    value = data.get(key)
    return tuple(str(one) for one in value) if isinstance(value, list) else ()


def _map(value: Json) -> _Data:
    return value if isinstance(value, dict) else {}


def _counts(data: _Data) -> ev.Counts:
    found = _map(data.get("counts"))
    return ev.Counts(*(_whole(found, name) for name in ev.Counts._fields))


def _step(stored: StoredEvent, data: _Data) -> tuple[str, int, int]:
    return _text(data, "step"), stored.attempt or 0, _whole(data, "retry_limit", 1)


def _created(stored: StoredEvent, data: _Data) -> ev.TaskCreated:
    parent = _map(data.get("parent"))
    header = stored.header
    task_id = text_id(stored.stream_id)
    return ev.TaskCreated(
        at=stored.time,
        status=TaskStatus.PENDING,
        name=header.task_name,
        namespace=header.namespace,
        version=header.task_version,
        definition_digest=header.definition_digest.hex(),
        context=payload_of(stored),
        initiator=_text(data, "initiator"),
        source_system=_text(data, "source_system"),
        reason=_text(data, "reason"),
        tags=_texts(data, "tags"),
        priority=_whole(data, "priority"),
        identity=None if header.identity is None else header.identity.hex(),
        bypass_steps=_texts(data, "bypass_steps"),
        not_before=stored.due,
        correlation_id=header.correlation_id or task_id,
        parent=ev.Parent(_text(parent, "task_id"), _text(parent, "step")) if parent else None,
        requested_at=_maybe_whole(data, "requested_at"),
    )


def _task_failed(stored: StoredEvent, data: _Data) -> ev.TaskFailed:
    payload = _map(payload_of(stored))
    messages = payload.get("messages")
    shown = data.get("failed_steps")
    failed = [_map(one) for one in shown] if isinstance(shown, list) else []
    texts = list(messages) if isinstance(messages, list) else [None] * len(failed)
    return ev.TaskFailed(
        at=stored.time,
        status=TaskStatus.ERROR,
        reason=_text(data, "reason"),
        duration=_number(data, "duration"),
        counts=_counts(data),
        failed_steps=tuple(
            ev.FailedStep(_text(one, "step"), _text(one, "type"), text if isinstance(text, str) else None)
            for one, text in zip(failed, texts, strict=True)
        ),
        error_type=_text(data, "error_type"),
        error_message=_maybe_text(payload, "error_message"),
    )


def _step_started(stored: StoredEvent, data: _Data) -> ev.StepStarted:
    step, attempt, limit = _step(stored, data)
    worker = _text(data, "worker_id")
    return ev.StepStarted(at=stored.time, step=step, attempt=attempt, retry_limit=limit, worker_id=worker)


def _step_completed(stored: StoredEvent, data: _Data) -> ev.StepCompleted:
    step, attempt, limit = _step(stored, data)
    return ev.StepCompleted(
        at=stored.time,
        step=step,
        attempt=attempt,
        retry_limit=limit,
        results=payload_of(stored),
        duration=_number(data, "duration"),
        actor=stored.actor,
        reason=_maybe_text(data, "reason"),
    )


def step_error(stored: StoredEvent, data: Mapping[str, Json]) -> ev.StepError:
    """Put the error of a `step.failed` together from its readable and its opaque half."""
    shown, hidden = _map(data.get("error")), _map(payload_of(stored))
    return ev.StepError(
        type=_text(shown, "type"),
        message=_maybe_text(hidden, "message"),
        kind=_text(shown, "kind"),
        backtrace=_maybe_text(hidden, "backtrace"),
        http_status=_maybe_whole(shown, "http_status"),
        code=_maybe_text(shown, "code"),
        context=hidden.get("context"),
    )


def _step_failed(stored: StoredEvent, data: _Data) -> ev.StepFailed:
    step, attempt, limit = _step(stored, data)
    duration = _number(data, "duration") if "duration" in data else None
    return ev.StepFailed(
        at=stored.time,
        step=step,
        attempt=attempt,
        retry_limit=limit,
        error=step_error(stored, data),
        final=stored.code == STEP_FAILED_FINAL,
        duration=duration,
    )


def _step_retry(stored: StoredEvent, data: _Data) -> ev.StepRetryScheduled:
    step, attempt, limit = _step(stored, data)
    return ev.StepRetryScheduled(
        at=stored.time,
        step=step,
        attempt=attempt,
        retry_limit=limit,
        not_before=stored.due or stored.time,
        delay_seconds=_number(data, "delay_seconds"),
        backoff_type=_text(data, "backoff_type"),
    )


def _step_abandoned(stored: StoredEvent, data: _Data) -> ev.StepAbandoned:
    step, attempt, limit = _step(stored, data)
    worker, reason = _maybe_text(data, "worker_id"), _text(data, "reason")
    return ev.StepAbandoned(
        at=stored.time, step=step, attempt=attempt, retry_limit=limit, worker_id=worker, reason=reason
    )


def _step_waiting(stored: StoredEvent, data: _Data) -> ev.StepWaiting:
    step, attempt, limit = _step(stored, data)
    reason = _text(data, "reason")
    return ev.StepWaiting(
        at=stored.time, step=step, attempt=attempt, retry_limit=limit, until=stored.due, reason=reason
    )


def _step_updated(stored: StoredEvent, data: _Data) -> ev.StepUpdated:
    step, attempt, limit = _step(stored, data)
    sets = _texts(data, "sets")
    return ev.StepUpdated(
        at=stored.time,
        step=step,
        attempt=attempt,
        retry_limit=limit,
        inputs=payload_of(stored),
        sets_inputs="inputs" in sets,
        sets_limit="retry_limit" in sets,
        actor=stored.actor,
        reason=_maybe_text(data, "reason"),
    )


def _step_resolved(stored: StoredEvent, data: _Data) -> ev.StepResolvedManually:
    step, attempt, limit = _step(stored, data)
    reason = _maybe_text(data, "reason")
    return ev.StepResolvedManually(
        at=stored.time,
        step=step,
        attempt=attempt,
        retry_limit=limit,
        results=payload_of(stored),
        actor=stored.actor,
        reason=reason,
    )


def _step_reset(stored: StoredEvent, data: _Data) -> ev.StepReset:
    step, attempt, limit = _step(stored, data)
    return ev.StepReset(
        at=stored.time,
        step=step,
        attempt=attempt,
        retry_limit=limit,
        rerun=data.get("rerun") is True,
        actor=stored.actor,
        reason=_maybe_text(data, "reason"),
    )


def _step_skipped(stored: StoredEvent, data: _Data) -> ev.StepSkipped:
    step, attempt, limit = _step(stored, data)
    return ev.StepSkipped(at=stored.time, step=step, attempt=attempt, retry_limit=limit)


def _step_cancelled(stored: StoredEvent, data: _Data) -> ev.StepCancelled:
    step, attempt, limit = _step(stored, data)
    actor, reason = stored.actor, _maybe_text(data, "reason")
    return ev.StepCancelled(at=stored.time, step=step, attempt=attempt, retry_limit=limit, actor=actor, reason=reason)


def _updated(stored: StoredEvent, data: _Data) -> ev.TaskUpdated:
    return ev.TaskUpdated(
        at=stored.time,
        status=TaskStatus(_text(data, "status")),
        actor=stored.actor,
        reason=_maybe_text(data, "reason"),
        tags=_texts(data, "tags") if "tags" in data else None,
    )


def _annotated(stored: StoredEvent, data: _Data) -> ev.TaskAnnotated:
    return ev.TaskAnnotated(
        at=stored.time,
        status=TaskStatus(_text(data, "status")),
        annotation_type=_text(data, "type"),
        annotation=payload_of(stored),
        actor=stored.actor,
        reason=_maybe_text(data, "reason"),
    )


def _completed(stored: StoredEvent, data: _Data) -> ev.TaskCompleted:
    duration = _number(data, "duration")
    return ev.TaskCompleted(at=stored.time, status=TaskStatus.COMPLETE, duration=duration, counts=_counts(data))


def _started(stored: StoredEvent, _: _Data) -> ev.TaskStarted:
    return ev.TaskStarted(at=stored.time, status=TaskStatus.IN_PROGRESS)


_Operated = TypeVar(
    "_Operated",
    ev.TaskCancelled,
    ev.TaskPaused,
    ev.TaskResumed,
    ev.TaskRetried,
    ev.TaskResolvedManually,
    ev.TaskErased,
)


def _operator(kind: type[_Operated]) -> Callable[[StoredEvent, _Data], _Operated]:
    def build(stored: StoredEvent, data: _Data) -> _Operated:
        status = TaskStatus(_text(data, "status"))
        return kind(at=stored.time, status=status, actor=stored.actor, reason=_maybe_text(data, "reason"))

    return build


_READERS: Mapping[int, Callable[[StoredEvent, _Data], ev.TaskStreamEvent]] = {
    1: _created,
    2: _started,
    3: _completed,
    4: _task_failed,
    5: _operator(ev.TaskCancelled),
    6: _operator(ev.TaskPaused),
    7: _operator(ev.TaskResumed),
    8: _operator(ev.TaskRetried),
    9: _operator(ev.TaskResolvedManually),
    10: _updated,
    11: _annotated,
    12: _operator(ev.TaskErased),
    20: _step_started,
    21: _step_completed,
    22: _step_failed,
    23: _step_failed,
    24: _step_retry,
    25: _step_abandoned,
    26: _step_abandoned,
    27: _step_waiting,
    28: _step_skipped,
    29: _step_cancelled,
    30: _step_reset,
    31: _step_resolved,
    32: _step_updated,
}


def decode(stored: StoredEvent) -> ev.TaskStreamEvent:
    """Read one event of a task's stream.

    Raises:
        UnsupportedEvent: A newer release wrote it.
    """
    kind = supported(stored.code, stored.type, stored.schema_version, stored.position)
    data = mapping(stored.data)
    if kind is None:
        return ev.CustomEvent(
            at=stored.time,
            name=stored.type,
            step=_text(data, "step"),
            attempt=stored.attempt or 0,
            number=_whole(data, "n"),
            body=payload_of(stored),
        )
    return _READERS[stored.code](stored, upcast(kind.name, stored.schema_version, data))


def decode_control(stored: StoredEvent) -> ev.ControlEvent:
    """Read one event of the stream `$control`.

    Raises:
        UnsupportedEvent: A newer release wrote it.
    """
    kind = supported(stored.code, stored.type, stored.schema_version, stored.position)
    data = mapping(stored.data)
    event = ev.ControlPaused if kind is not None and kind.event is ev.ControlPaused else ev.ControlResumed
    return event(at=stored.time, scope=_text(data, "scope"), actor=stored.actor, reason=_maybe_text(data, "reason"))


def text_id(stream_id: bytes) -> str:
    """Write the 16 bytes of an id as a UUID."""
    digits = stream_id.hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def id_bytes(text: str) -> bytes:
    """Give the 16 bytes of an id that `text_id` wrote."""
    return bytes.fromhex(text.replace("-", ""))
