"""The shapes of which the schemas of system events are put together, with an example of each."""

from __future__ import annotations

from typing import NamedTuple

from tasker.catalog.entry import Json, JsonObject
from tasker.domain.status import TaskStatus

DIALECT = "https://json-schema.org/draft/2020-12/schema"


class Field(NamedTuple):
    """One field of a body: its schema, its value in the example, and whether it is always there."""

    schema: JsonObject
    example: Json
    required: bool = True


def text(example: str, **more: Json) -> Field:
    """Give a text that is always there."""
    return Field({"type": "string", **more}, example)


def instant(example: str) -> Field:
    """Give a time (RFC 3339, UTC, microseconds) that may be null."""
    return Field({"type": ["string", "null"], "format": "date-time"}, example)


def whole(example: int) -> Field:
    """Give a whole number from 0 on."""
    return Field({"type": "integer", "minimum": 0}, example)


def boolean(*, example: bool) -> Field:
    """Give yes or no."""
    return Field({"type": "boolean"}, example)


def seconds(example: float) -> Field:
    """Give a number of seconds."""
    return Field({"type": "number", "minimum": 0}, example)


def texts(example: list[str]) -> Field:
    """Give a list of texts."""
    return Field({"type": "array", "items": {"type": "string"}}, example)


def one_of(*words: str) -> Field:
    """Give one of some words; the first is the example."""
    return Field({"enum": list(words)}, words[0])


def anything(example: Json) -> Field:
    """Give any JSON value: the user's own bytes, null once the task is erased."""
    return Field({}, example)


def nullable(field: Field) -> Field:
    """Let a field with one type be null too."""
    return field._replace(schema={**field.schema, "type": [field.schema["type"], "null"]})


def optional(field: Field) -> Field:
    """Let a field be left out."""
    return field._replace(required=False)


def mapping(**fields: Field) -> Field:
    """Give an object of these fields."""
    return Field(_object(fields), {name: field.example for name, field in fields.items()})


def items(field: Field) -> Field:
    """Give a list of such fields."""
    return Field({"type": "array", "items": field.schema}, [field.example])


def body(fields: dict[str, Field]) -> tuple[JsonObject, JsonObject]:
    """Give the schema of a body and the example that fits it; later releases may add fields."""
    return {"$schema": DIALECT, **_object(fields)}, {name: field.example for name, field in fields.items()}


def _object(fields: dict[str, Field]) -> JsonObject:
    return {
        "type": "object",
        "required": [name for name, field in fields.items() if field.required],
        "properties": {name: field.schema for name, field in fields.items()},
    }


OPERATED = {
    "actor": Field({"type": ["string", "null"]}, "ada@example.org"),
    "reason": Field({"type": ["string", "null"]}, "agreed with the customer"),
}
"""Who asked for it and why."""

PROMISED = {
    "task_id": text("01928c5e-7d0a-7c3e-9f00-5b1e6a7d4c21"),
    "name": text("order_process"),
    "namespace": text("default"),
    "version": text("1.0.0"),
}
"""What every event of a task carries; `version` is the definition's."""

COUNTS = mapping(
    total=whole(4), complete=whole(4), error=whole(0), skipped=whole(0), cancelled=whole(0),
    resolved_manually=whole(0), pending=whole(0),
)  # fmt: skip
"""How many steps stand where."""


def status(example: str) -> Field:
    """Give the task's status after the event."""
    return Field({"enum": [one.value for one in TaskStatus]}, example)
