"""Tables in Markdown: rows, and the fields of a JSON Schema."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasker.catalog.entry import Json, JsonObject

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_WORDS = {"string": "text", "integer": "whole number", "boolean": "yes or no", "array": "list"}


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Write a table."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)


def fields(schema: JsonObject) -> str:
    """Write the fields of an object, those of objects inside it under dotted names."""
    rows = list(_rows(schema, ""))
    return table(("field", "type", "means"), rows) if rows else ""


def _rows(schema: JsonObject, prefix: str) -> Iterator[tuple[str, str, str]]:
    properties, required = schema.get("properties"), schema.get("required")
    always = required if isinstance(required, list) else []
    for name, inner in properties.items() if isinstance(properties, dict) else ():
        if not isinstance(inner, dict):
            continue
        missing = "" if name in always else ", may be missing"
        yield f"`{prefix}{name}`", kind(inner) + missing, str(inner.get("description", ""))
        yield from _rows(inner, f"{prefix}{name}.")
        items = inner.get("items")
        if isinstance(items, dict):
            yield from _rows(items, f"{prefix}{name}[].")


def kind(schema: JsonObject) -> str:
    """Say in words what type a value has."""
    words = schema.get("enum")
    if isinstance(words, list):
        return "one of " + ", ".join(f"`{word}`" for word in words)
    if "const" in schema:
        return f"`{schema['const']}`"
    if schema.get("format") == "date-time":
        return "time or null" if "null" in _types(schema) else "time"
    named = " or ".join(_WORDS.get(one, one) for one in _types(schema))
    items = schema.get("items")
    if named == "list" and isinstance(items, dict):
        return f"list of: {kind(items)}"
    return (named or "any JSON") + _bounds(schema)


def _types(schema: JsonObject) -> list[str]:
    given: Json = schema.get("type")
    return [str(one) for one in given] if isinstance(given, list) else [] if given is None else [str(given)]


def _bounds(schema: JsonObject) -> str:
    lowest, highest = schema.get("minimum"), schema.get("maximum")
    if lowest is None or (highest is None and lowest == 0 and "number" in _types(schema)):
        return ""
    return f" from {lowest}" + ("" if highest is None else f" to {highest}")
