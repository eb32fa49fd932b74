"""The shapes of which the schemas of system events are put together; every field says what it means."""

from __future__ import annotations

from typing import NamedTuple

from tasker.catalog.entry import Json, JsonObject
from tasker.domain.status import TaskStatus

DIALECT = "https://json-schema.org/draft/2020-12/schema"


class Field(NamedTuple):
    """One field of a body: its schema, and whether it is always there."""

    schema: JsonObject
    required: bool = True


def field(means: str, /, **keywords: Json) -> Field:
    """Give a field with any keywords of JSON Schema."""
    return Field({"description": means, **keywords})


def text(means: str, **more: Json) -> Field:
    """Give a text."""
    return field(means, type="string", **more)


def instant(means: str) -> Field:
    """Give a time (RFC 3339, UTC, microseconds) that may be null."""
    return field(means, type=["string", "null"], format="date-time")


def whole(means: str, lowest: int = 0, **more: Json) -> Field:
    """Give a whole number."""
    return field(means, type="integer", minimum=lowest, **more)


def boolean(means: str) -> Field:
    """Give yes or no."""
    return field(means, type="boolean")


def seconds(means: str) -> Field:
    """Give a number of seconds."""
    return field(means, type="number", minimum=0)


def texts(means: str) -> Field:
    """Give a list of texts."""
    return field(means, type="array", items={"type": "string"})


def one_of(means: str, *words: str) -> Field:
    """Give one of some words."""
    return field(means, enum=list(words))


def anything(means: str) -> Field:
    """Give any JSON value: the user's own bytes, null once the task is erased."""
    return field(f"{means} Null once the task is erased.")


def nullable(one: Field) -> Field:
    """Let a field with one type be null too."""
    return one._replace(schema={**one.schema, "type": [one.schema["type"], "null"]})


def optional(one: Field) -> Field:
    """Let a field be left out."""
    return one._replace(required=False)


def mapping(means: str, /, **fields: Field) -> Field:
    """Give an object of these fields."""
    return field(means, **_object(fields))


def items(means: str, one: Field) -> Field:
    """Give a list of such fields."""
    return field(means, type="array", items=one.schema)


def body(fields: dict[str, Field]) -> JsonObject:
    """Give the schema of a body; later releases may add fields."""
    return {"$schema": DIALECT, **_object(fields)}


def _object(fields: dict[str, Field]) -> JsonObject:
    return {
        "type": "object",
        "required": [name for name, one in fields.items() if one.required],
        "properties": {name: one.schema for name, one in fields.items()},
    }


OPERATED = {
    "actor": nullable(text("Who asked for it; null if nobody said so.")),
    "reason": nullable(text("Why; null if nobody said so.")),
}
"""Who asked for it and why."""

PROMISED = {
    "task_id": text("The task."),
    "name": text("Name of the task's definition."),
    "namespace": text("Namespace of the definition."),
    "version": text("Version of the definition."),
}
"""What every event of a task carries, besides its status."""


def status() -> Field:
    """Give the task's status after the event."""
    return one_of("Status of the task after this event.", *(one.value for one in TaskStatus))


COUNTS = mapping(
    "How many steps of the task stand where.",
    total=whole("All steps."),
    complete=whole("Steps that completed."),
    error=whole("Steps in final error."),
    skipped=whole("Steps that the request bypassed."),
    cancelled=whole("Steps that were cancelled."),
    resolved_manually=whole("Steps that a person settled."),
    pending=whole("All others: steps that have not ended."),
)
