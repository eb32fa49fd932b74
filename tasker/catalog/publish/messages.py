"""The messages on the topics of Kafka: what their keys, headers and values hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasker.catalog.publish.files import ENVELOPE, REQUEST, file_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tasker.catalog.entry import CatalogEntry, Json, JsonObject

JSON = "application/json"
CLOUD_EVENT = "application/cloudevents+json; charset=UTF-8"
REASONS = (
    "tombstone", "too_large", "not_utf8", "not_json", "invalid_request", "unknown_definition", "conflict", "refused",
)  # fmt: skip
"""Why a request can become a dead letter."""
MOST_STEPS = 100
"""Steps that one message names at most."""

_TEXT: JsonObject = {"type": "string"}
_DIGITS: JsonObject = {"type": "string", "pattern": "^[0-9]+$"}
_OF_A_REQUEST: dict[str, JsonObject] = {
    "X-Correlation-ID": {
        "description": "The correlation id, where the request itself names none.", "type": "string",
        "pattern": "^[A-Za-z0-9_-]{1,100}$",
    },
    "traceparent": {"description": "W3C trace context of who publishes.", **_TEXT},
    "tracestate": {"description": "The same, of the systems before.", **_TEXT},
    "tasker-source": {
        "description": "Written by Tasker: the identity of a request without a key that was published again.", **_TEXT,
    },
    "tasker-unknown-since": {
        "description": "Written by Tasker: since when no worker knew the definition; milliseconds since 1970.",
        **_DIGITS,
    },
}  # fmt: skip
_OF_A_LETTER: dict[str, JsonObject] = {
    "tasker-reason": {"description": "Why, in a word.", "type": "string", "enum": list(REASONS)},
    "tasker-error": {"description": "Why, in a sentence.", **_TEXT},
    "tasker-topic": {"description": "Where the request was: its topic.", **_TEXT},
    "tasker-partition": {"description": "Its partition.", **_DIGITS},
    "tasker-offset": {"description": "Its offset.", **_DIGITS},
    "tasker-timestamp": {
        "description": "Its time in milliseconds since 1970, -1 for none.", "type": "string", "pattern": "^-?[0-9]+$",
    },
    "tasker-source": {"description": "The identity that it has if it is published again.", **_TEXT},
    "tasker-died-at": {"description": "When it was given up; milliseconds since 1970.", **_DIGITS},
}  # fmt: skip
_CUT: dict[str, JsonObject] = {
    "tasker-cut": {
        "description": "Only where the broker took no more than the beginning of the value: how many bytes it had.",
        **_DIGITS,
    }
}


def request() -> JsonObject:
    """Give the message of a request."""
    sample: JsonObject = {
        "name": "a request with a key of its own",
        "headers": {"X-Correlation-ID": "checkout-4711"},
        "payload": {"name": "order_process", "context": {"order_id": 7}, "idempotency_key": "order-7"},
    }
    return {
        "name": "TaskRequest",
        "title": "A request for a task",
        "contentType": JSON,
        "headers": _headers(_OF_A_REQUEST, ()),
        "payload": {"$ref": f"./{REQUEST}"},
        "bindings": _key("Any, or none: the idempotency key keeps the requests of one identity in one partition."),
        "examples": [sample],
    }


def dead_letter() -> JsonObject:
    """Give the message of a dead letter."""
    return {
        "name": "DeadLetter",
        "title": "A request that could not be accepted",
        "description": "The value is that of the request, byte by byte: it may be no JSON, no text, or missing.",
        "contentType": "application/octet-stream",
        "headers": _headers(_OF_A_LETTER | _CUT, tuple(_OF_A_LETTER)),
        "payload": {},
        "bindings": _key("That of the request."),
    }


def steps() -> JsonObject:
    """Give the message that hands steps to other workers."""
    place: JsonObject = {
        "type": "object",
        "required": ["number", "attempt"],
        "properties": {
            "number": {"description": "Its place in the definition, from 0.", "type": "integer", "minimum": 0},
            "attempt": {"description": "How many attempts it has had.", "type": "integer", "minimum": 0},
        },
    }
    value: JsonObject = {
        "type": "object",
        "required": ["task_id", "steps"],
        "properties": {
            "task_id": {"description": "The task.", **_TEXT},
            "steps": {"description": "Its steps.", "type": "array", "maxItems": MOST_STEPS, "items": place},
        },
    }
    return {
        "name": "ReadySteps",
        "title": "Steps that are ready",
        "contentType": JSON,
        "payload": value,
        "bindings": _key("The id of the task."),
    }


def events(entries: Sequence[CatalogEntry]) -> dict[str, JsonObject]:
    """Give a message for each type of event, and one for those that nothing declares, by their names."""
    types: list[Json] = [f"tasker.{entry.name}" for entry in entries]
    other: JsonObject = {"type": "object", "properties": {"type": {"not": {"enum": types}}}}
    means = "A custom event that nothing declares, or an event of a later release."
    return {entry.name: _event(entry) for entry in entries} | {"other": _cloud("Other", means, other)}


def _event(entry: CatalogEntry) -> JsonObject:
    file = file_name(entry.name)
    own: JsonObject = {
        "type": "object",
        "properties": {
            "type": {"const": f"tasker.{entry.name}"},
            "dataschema": {"const": f"/schemas/{file}"},
            "data": {"$ref": f"./{file}"},
        },
    }
    return _cloud(entry.name, entry.description, own)


def _cloud(name: str, means: str, own: JsonObject) -> JsonObject:
    return {
        "name": name,
        "summary": means,
        "contentType": CLOUD_EVENT,
        "headers": _headers({"content-type": {"const": CLOUD_EVENT}}, ("content-type",)),
        "correlationId": {"location": "$message.payload#/correlationid"},
        "payload": {"allOf": [{"$ref": f"./{ENVELOPE}"}, own]},
        "bindings": _key("The subject: the id of the task, or `$control`."),
    }


def _headers(fields: dict[str, JsonObject], required: Sequence[str]) -> JsonObject:
    known: JsonObject = {"type": "object", "properties": dict(fields)}
    return known | ({"required": list(required)} if required else {})


def _key(means: str) -> JsonObject:
    return {"kafka": {"key": {"type": "string", "description": means}, "bindingVersion": "0.5.0"}}
