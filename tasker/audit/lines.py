"""Events as lines of CloudEvents: the same as `RecordedEvent.cloudevent`, but payloads pass as the bytes they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import orjson

from tasker.clock import rfc3339
from tasker.codec.decode import text_id
from tasker.codec.recorded import CONTROL_NAMESPACE, RecordedEvent
from tasker.codec.registry import SYSTEM_TYPES

if TYPE_CHECKING:
    from tasker.codec.rows import StoredEvent

_STREAMS_REMEMBERED = 10_000
_CREATED, _RETRY = 1, 24
_PAYLOADS: dict[int, str | None] = {
    1: "context", 2: None, 3: None, 20: None, 21: "results", 24: None, 25: None, 26: None, 28: None,
}  # fmt: skip
"""Codes of frequent types, whose body is data, payload as one field, and what every event promises."""


class _Stream(NamedTuple):
    """What the lines of one stream have in common: the map's beginning, what follows the data, what bodies promise."""

    source: str
    subject: str
    task_name: str
    correlation_id: str
    promised: dict[str, object]


class Lines:
    """Writes events of one log."""

    def __init__(self, log_id: bytes) -> None:
        """Take the id of the log."""
        self._log_id = log_id
        self._streams: dict[bytes, _Stream] = {}

    def line(self, event: StoredEvent) -> bytes:
        """Give the line of an event, with its end."""
        kind = SYSTEM_TYPES.get(event.code)
        known = event.code in _PAYLOADS and kind is not None and event.schema_version == kind.schema_version
        if not known or event.metadata is not None or event.header.namespace == CONTROL_NAMESPACE:
            return orjson.dumps(RecordedEvent(event, self._log_id).cloudevent()) + b"\n"
        stream = self._streams.get(event.stream_id) or self._remember(event)
        data: dict[str, object] = orjson.loads(event.data)
        line: dict[str, object] = {
            "specversion": "1.0",
            "id": text_id(event.event_id),
            "source": stream.source,
            "type": "tasker." + event.type,
            "subject": stream.subject,
            "time": rfc3339(event.time),
            "datacontenttype": "application/json",
            "dataschema": f"/schemas/{event.type}.v{event.schema_version}.json",
            "data": _body(event, data, stream.promised),
            "position": event.position,
            "streamversion": event.version,
            "taskname": stream.task_name,
        }
        if event.step is not None and isinstance(data.get("step"), str):
            line["step"] = data["step"]
        if event.attempt is not None:
            line["attempt"] = event.attempt
        line["correlationid"] = stream.correlation_id
        if event.causation_id is not None:
            line["causationid"] = text_id(event.causation_id)
        if event.actor is not None:
            line["actor"] = event.actor
        return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)

    def _remember(self, event: StoredEvent) -> _Stream:
        """Put together what the lines of a stream have in common."""
        header, task_id = event.header, text_id(event.stream_id)
        promised: dict[str, object] = {
            "task_id": task_id,
            "name": header.task_name,
            "namespace": header.namespace,
            "version": header.task_version,
        }
        source = f"/tasker/{self._log_id.hex()}/{header.namespace}"
        found = _Stream(source, task_id, header.task_name, header.correlation_id or task_id, promised)
        if len(self._streams) >= _STREAMS_REMEMBERED:
            self._streams = {}
        self._streams[event.stream_id] = found
        return found


def _body(event: StoredEvent, data: dict[str, object], promised: dict[str, object]) -> dict[str, object]:
    """Give the body of an event; its payload stays as it is stored."""
    body = {**data, **promised}
    body["status"] = data.get("status", "in_progress")
    field = _PAYLOADS[event.code]
    if field is not None:
        body[field] = None if event.payload is None else orjson.Fragment(event.payload)
    if event.code == _CREATED:
        body |= _created(event, data)
    elif event.type.startswith("step."):
        body |= {"step_name": data.get("step"), "attempt": event.attempt, "retry_limit": data.get("retry_limit")}
        if event.code == _RETRY:
            body["not_before"] = None if event.due is None else rfc3339(event.due)
    return body


def _created(event: StoredEvent, data: dict[str, object]) -> dict[str, object]:
    """Give what the body of a task.created has beyond its data and context."""
    header, requested = event.header, data.get("requested_at")
    return {
        "definition_digest": header.definition_digest.hex(),
        "identity": None if header.identity is None else header.identity.hex(),
        "correlation_id": header.correlation_id or text_id(event.stream_id),
        "not_before": None if event.due is None else rfc3339(event.due),
        "requested_at": rfc3339(requested) if isinstance(requested, int) else None,
        "tags": data.get("tags", []),
        "bypass_steps": data.get("bypass_steps", []),
        "parent": data.get("parent"),
    }
