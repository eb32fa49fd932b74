"""The schema of task requests: one for every way they come in."""

from __future__ import annotations

from typing import NamedTuple

from tasker.catalog.entry import Json, JsonObject
from tasker.catalog.shapes import DIALECT, Field, field
from tasker.domain.definition import NAME, SEMANTIC_VERSION
from tasker.domain.events import UNKNOWN

STORABLE = "^[^\\u0000]*$"
"""Any text but one with U+0000, which no database keeps."""
MOMENT = (
    r"^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])[Tt ]([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]+)?"
    r"([Zz]|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$"
)
"""RFC 3339 with an offset."""


class Bounds(NamedTuple):
    """The bounds of a request.

    Attributes:
        word: Characters of a short text at most.
        key: Characters of an idempotency key at most.
        priority: The highest priority, and, negative, the lowest.
    """

    word: int
    key: int
    priority: int


def anchored(pattern: str) -> str:
    """Give a pattern of Python that matches a whole text as JSON Schema writes it."""
    return f"^(?:{pattern})$".replace(r"\d", "[0-9]")


def task_request(bounds: Bounds) -> JsonObject:
    """Give the schema.

    What only the definition or the log can tell is checked when the request comes: whether there is such a definition,
    whether its context fits, and whether the identity is taken.
    """
    fields = {**_named(bounds), **_about(bounds), **_when(bounds)}
    return {
        "$schema": DIALECT,
        "title": "TaskRequest",
        "description": (
            "A request for one task, the same for Python, HTTP, the command and Kafka. Numbers that are whole must be "
            "written so (5, not 5.0) and fit into 64 bits."
        ),
        "type": "object",
        "required": [name for name, one in fields.items() if one.required],
        "properties": {name: one.schema for name, one in fields.items()},
        "additionalProperties": False,
    }


def _default(means: str, default: Json, /, **keywords: Json) -> Field:
    return Field({"description": means, **keywords, "default": default}, required=False)


def _named(bounds: Bounds) -> dict[str, Field]:
    name = anchored(NAME.pattern)
    version = anchored(SEMANTIC_VERSION.pattern)
    return {
        "name": field("Name of a definition.", type="string", pattern=name),
        "namespace": _default("Namespace of the definition.", "default", type="string", pattern=name),
        "version": _default(
            "Its semantic version; null for the highest that is registered.", None,
            type=["string", "null"], pattern=version,
        ),
        "context": _default("What the steps read; it must fit the schema of the definition.", {}, type="object"),
        "idempotency_key": _default(
            "The same key asks for the same task.", None,
            type=["string", "null"], minLength=1, maxLength=bounds.key, pattern=STORABLE,
        ),
    }  # fmt: skip


def _about(bounds: Bounds) -> dict[str, Field]:
    word: JsonObject = {"type": "string", "maxLength": bounds.word, "pattern": STORABLE}
    return {
        "initiator": _default("Who asks.", UNKNOWN, **word),
        "source_system": _default("Where the request comes from.", UNKNOWN, **word),
        "reason": _default("Why.", UNKNOWN, **word),
        "tags": _default("Names by which the task is found.", [], type="array", items=word),
        "bypass_steps": _default("Skippable steps that shall not run.", [], type="array", items=word),
        "correlation_id": _default(
            "Joins logs, traces and events: 1 to 100 letters, digits, - and _; anything else is replaced by the task "
            "id, and so is null.",
            None,
        ),
        "parent": _default(
            "The step of another task that asks for this one.", None,
            type=["object", "null"], required=["task_id", "step"], properties={"task_id": word, "step": word},
            additionalProperties=False,
        ),
    }  # fmt: skip


def _when(bounds: Bounds) -> dict[str, Field]:
    moment: JsonObject = {"type": ["string", "null"], "format": "date-time", "pattern": MOMENT}
    return {
        "priority": _default(
            "Higher runs first.", 0, type="integer", minimum=-bounds.priority, maximum=bounds.priority
        ),
        "not_before": _default("Nothing starts before this time; null for at once.", None, **moment),
        "requested_at": _default("When the request was made; null for now.", None, **moment),
    }
