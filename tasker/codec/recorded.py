"""`RecordedEvent`: an event with its envelope, as callers, subscribers and the bus see it; and its CloudEvents form."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from tasker.clock import from_micros, rfc3339
from tasker.codec.decode import payload_of, step_error, text_id
from tasker.codec.jsonbytes import Json, mapping
from tasker.codec.registry import FIRST_CUSTOM_CODE, STEP_FAILED_FINAL, SYSTEM_TYPES, upcast
from tasker.domain import events as ev
from tasker.domain.control import STREAM as CONTROL_STREAM
from tasker.domain.status import TaskStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from tasker.codec.rows import StoredEvent

CONTROL_NAMESPACE = CONTROL_STREAM


class RecordedEvent:
    """One immutable event of the log; `body` is read from the stored bytes when it is first asked for."""

    __slots__ = ("_body", "_data", "_log_id", "_stored")

    def __init__(self, stored: StoredEvent, log_id: bytes = b"") -> None:
        """Take the stored row and the id of its log, which the CloudEvents form names."""
        self._stored = stored
        self._log_id = log_id
        self._body: Mapping[str, Json] | None = None
        self._data: dict[str, Json] | None = None

    @property
    def position(self) -> int:
        """Give its place in the whole log."""
        return self._stored.position

    @property
    def stream_id(self) -> str:
        """Give the task id, or `$control`."""
        return CONTROL_STREAM if self._is_control else text_id(self._stored.stream_id)

    @property
    def _is_control(self) -> bool:
        return self._stored.header.namespace == CONTROL_NAMESPACE

    @property
    def version(self) -> int:
        """Give its place in its stream, from 1."""
        return self._stored.version

    @property
    def event_id(self) -> str:
        """Give its UUID."""
        return text_id(self._stored.event_id)

    @property
    def type(self) -> str:
        """Give the name of its type."""
        return self._stored.type

    @property
    def schema_version(self) -> int:
        """Give the version of its data's schema."""
        return self._stored.schema_version

    @property
    def time(self) -> datetime:
        """Give when it was recorded (aware, UTC)."""
        return from_micros(self._stored.time)

    @property
    def namespace(self) -> str | None:
        """Give the namespace of its task; None for a control event."""
        return None if self._is_control else self._stored.header.namespace

    @property
    def task_name(self) -> str | None:
        """Give the name of its task's definition; None for a control event."""
        return None if self._is_control else self._stored.header.task_name

    @property
    def step(self) -> str | None:
        """Give the name of its step, or None."""
        if self._stored.step is None:
            return None
        name = self._read().get("step")
        return name if isinstance(name, str) else None

    @property
    def attempt(self) -> int | None:
        """Give the number of its attempt, or None."""
        return self._stored.attempt

    @property
    def actor(self) -> str | None:
        """Give the person who asked for it, or None."""
        return self._stored.actor

    @property
    def correlation_id(self) -> str | None:
        """Give the correlation id of its task."""
        if self._is_control:
            return None
        return self._stored.header.correlation_id or text_id(self._stored.stream_id)

    @property
    def causation_id(self) -> str | None:
        """Give the id of the event that caused it, or None."""
        return None if self._stored.causation_id is None else text_id(self._stored.causation_id)

    @property
    def metadata(self) -> Mapping[str, Json]:
        """Give trace and request ids."""
        return MappingProxyType({} if self._stored.metadata is None else mapping(self._stored.metadata))

    @property
    def hash(self) -> str:
        """Give its link of the hash chain, in hex."""
        return self._stored.hash.hex()

    @property
    def body(self) -> Mapping[str, Json]:
        """Give what it carries; of a custom event exactly what was published."""
        if self._body is None:
            self._body = _body(self._stored, self._read)
        return self._body

    def _read(self) -> dict[str, Json]:
        """Read the stored data once, whoever asks."""
        if self._data is None:
            self._data = mapping(self._stored.data)
        return self._data

    def __eq__(self, other: object) -> bool:
        """Compare by place and hash."""
        return isinstance(other, RecordedEvent) and (self.position, self.hash) == (other.position, other.hash)

    def __hash__(self) -> int:
        """Hash by place."""
        return hash(self._stored.position)

    def __repr__(self) -> str:
        """Show type, place and stream."""
        place = f"position={self.position}, stream_id={self.stream_id!r}, version={self.version}"
        return f"RecordedEvent({self.type!r}, {place})"

    def cloudevent(self) -> dict[str, Json]:
        """Give the CloudEvents 1.0 form: `source` names log and namespace, extensions carry the envelope."""
        stored, header, subject = self._stored, self._stored.header, self.stream_id
        control = self._is_control
        event: dict[str, Json] = {
            "specversion": "1.0",
            "id": text_id(stored.event_id),
            "source": f"/tasker/{self._log_id.hex()}/{header.namespace}",
            "type": f"tasker.{stored.type}",
            "subject": subject,
            "time": rfc3339(stored.time),
            "datacontenttype": "application/json",
            "dataschema": f"/schemas/{stored.type}.v{stored.schema_version}.json",
            "data": _plain(self.body),
            "position": stored.position,
            "streamversion": stored.version,
        }
        extensions = (
            ("taskname", self.task_name),
            ("step", self.step),
            ("attempt", stored.attempt),
            ("correlationid", None if control else header.correlation_id or subject),
            ("causationid", self.causation_id),
            ("actor", stored.actor),
            ("traceparent", None if stored.metadata is None else self.metadata.get("traceparent")),
        )
        return event | {name: value for name, value in extensions if value is not None}


def _plain(value: Json) -> Json:
    return dict(value) if isinstance(value, MappingProxyType) else value


def _body(stored: StoredEvent, read: Callable[[], dict[str, Json]]) -> Mapping[str, Json]:
    if stored.code >= FIRST_CUSTOM_CODE:
        published = payload_of(stored)
        return MappingProxyType(
            published if isinstance(published, dict) else {"value": published} if published is not None else {}
        )
    data = dict(upcast(stored.type, stored.schema_version, read()))
    if stored.header.namespace == CONTROL_NAMESPACE:
        return MappingProxyType({"scope": data.get("scope"), "actor": stored.actor, "reason": data.get("reason")})
    body = data | _PAYLOADS.get(stored.code, _nothing)(stored, data) | _promised(stored, data)
    return MappingProxyType(body)


def _promised(stored: StoredEvent, data: Mapping[str, Json]) -> dict[str, Json]:
    """Give what subscribers may rely on in every task and step event."""
    header = stored.header
    promised: dict[str, Json] = {
        "task_id": text_id(stored.stream_id),
        "name": header.task_name,
        "namespace": header.namespace,
        "version": header.task_version,
        "status": data.get("status", TaskStatus.IN_PROGRESS.value),
    }
    if stored.type.startswith("step."):
        promised |= {"step_name": data.get("step"), "attempt": stored.attempt, "retry_limit": data.get("retry_limit")}
    if stored.code in _ASKED_FOR:
        promised |= {"actor": stored.actor, "reason": data.get("reason")}
    return promised


_ASKED_FOR = {
    code
    for code, kind in SYSTEM_TYPES.items()
    if issubclass(kind.event, ev.OperatorTaskEvent | ev.OperatorStepEvent | ev.TaskUpdated)
}
"""The events that a person or a program asked for from outside."""


def _nothing(_: StoredEvent, __: Mapping[str, Json]) -> dict[str, Json]:
    return {}


def _created(stored: StoredEvent, data: Mapping[str, Json]) -> dict[str, Json]:
    header = stored.header
    requested = data.get("requested_at")
    return {
        "context": payload_of(stored),
        "definition_digest": header.definition_digest.hex(),
        "identity": None if header.identity is None else header.identity.hex(),
        "correlation_id": header.correlation_id or text_id(stored.stream_id),
        "not_before": None if stored.due is None else rfc3339(stored.due),
        "requested_at": rfc3339(requested) if isinstance(requested, int) else None,
        "tags": data.get("tags", []),
        "bypass_steps": data.get("bypass_steps", []),
        "parent": data.get("parent"),
    }


def _failed(stored: StoredEvent, data: Mapping[str, Json]) -> dict[str, Json]:
    hidden = payload_of(stored)
    payload = hidden if isinstance(hidden, dict) else {}
    shown = data.get("failed_steps")
    failed = shown if isinstance(shown, list) else []
    messages = payload.get("messages") or [None] * len(failed)
    return {
        "failed_steps": [dict(one) | {"message": text} for one, text in zip(failed, messages, strict=True)],
        "error_message": payload.get("error_message"),
    }


def _step_failed(stored: StoredEvent, data: Mapping[str, Json]) -> dict[str, Json]:
    error = step_error(stored, data)
    final = stored.code == STEP_FAILED_FINAL
    return {"error": error._asdict(), "error_message": error.message, "error_type": error.type, "final": final}


def _due(name: str) -> Callable[[StoredEvent, Mapping[str, Json]], dict[str, Json]]:
    def read(stored: StoredEvent, _: Mapping[str, Json]) -> dict[str, Json]:
        return {name: None if stored.due is None else rfc3339(stored.due)}

    return read


def _payload(name: str) -> Callable[[StoredEvent, Mapping[str, Json]], dict[str, Json]]:
    def read(stored: StoredEvent, _: Mapping[str, Json]) -> dict[str, Json]:
        return {name: payload_of(stored)}

    return read


_PAYLOADS: Mapping[int, Callable[[StoredEvent, Mapping[str, Json]], dict[str, Json]]] = {
    1: _created,
    4: _failed,
    11: _payload("annotation"),
    21: _payload("results"),
    22: _step_failed,
    23: _step_failed,
    24: _due("not_before"),
    27: _due("until"),
    31: _payload("results"),
    32: lambda stored, data: {"inputs": payload_of(stored)} if "inputs" in str(data.get("sets")) else {},
}
