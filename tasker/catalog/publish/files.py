"""The files of `schemas/`: task request, task definition, the envelope of events, and one for each event type."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tasker.catalog.entry import CUSTOM, CatalogEntry, Json, JsonObject
from tasker.catalog.publish.definition import task_definition
from tasker.catalog.publish.envelope import envelope
from tasker.catalog.shapes import DIALECT
from tasker.codec.registry import SYSTEM_TYPES

if TYPE_CHECKING:
    from collections.abc import Iterable

NOTE = "Written from the code by `tasker schemas`; changes belong there."
"""Stands in every file, by which a file that nothing gives any more is known."""

ENVELOPE, REQUEST, DEFINITION = "event.json", "task-request.json", "task-definition.json"
_VERSIONS = {kind.name: kind.schema_version for kind in SYSTEM_TYPES.values()}


def file_name(event: str) -> str:
    """Give the name of the file with the schema of an event's body: the end of `dataschema` of its CloudEvents."""
    return f"{event}.v{_VERSIONS.get(event, 1)}.json"


def event_schema(entry: CatalogEntry) -> JsonObject:
    """Give the schema of the body of an event, with what it means and an example."""
    schema = entry.schema or {}
    told = " ".join(part for part in (entry.description, entry.when) if part)
    head: JsonObject = {"$schema": DIALECT, "title": entry.name, "description": told}
    examples: JsonObject = {} if entry.example is None else {"examples": [entry.example]}
    return {**head, **schema, **examples}


def schema_files(entries: Iterable[CatalogEntry], request: JsonObject) -> dict[str, str]:
    """Give the text of every schema file by its name.

    Args:
        entries: The catalogue; of custom events those that are declared.
        request: The schema of requests.
    """
    schemas = {REQUEST: request, DEFINITION: task_definition(), ENVELOPE: envelope()}
    schemas |= {
        file_name(entry.name): event_schema(entry) for entry in entries if entry.category != CUSTOM or entry.declared
    }
    return {name: _text(schema) for name, schema in sorted(schemas.items())}


def _text(schema: JsonObject) -> str:
    kept: dict[str, Json] = {"$schema": schema["$schema"], "$comment": NOTE}
    kept |= {key: value for key, value in schema.items() if key not in kept}
    return json.dumps(kept, ensure_ascii=False, indent=2) + "\n"
