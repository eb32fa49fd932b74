"""The sides of the face that are documents already: HTTP, events, definitions, requests, settings; and the metrics."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from prometheus_client import Metric

from tasker.catalog.catalog import system_entries
from tasker.catalog.publish.definition import task_definition
from tasker.catalog.publish.envelope import envelope
from tasker.codec.registry import SYSTEM_TYPES
from tasker.http.openapi import sends_request
from tasker.settings import Settings
from tasker.telemetry.counts import Counts
from tasker.telemetry.exposition import _Collected
from tasker.telemetry.gauges import Gauges
from tasker.testing import app as new_app

_TOLD = {"title", "description", "examples", "example", "default", "properties", "required", "items", "$defs", "$ref"}
_TOLD |= {"anyOf", "oneOf", "type", "enum", "const"}


def http() -> Iterator[str]:
    """Describe every operation of the API, and every component of its documents."""
    with new_app() as app:
        found = app.asgi.openapi()
    for path, operations in sorted(found["paths"].items()):
        for method, operation in sorted(operations.items()):
            guard = operation.get("x-permission")
            yield f"{method.upper()} {path}" + (f"  needs {guard}" if guard else "")
            for one in operation.get("parameters", ()):
                yield f"    {one['in']} {one['name']}: {shape(one['schema'])}{_default(one['schema'], one)}"
            if "requestBody" in operation:
                yield f"    body: {_content(operation['requestBody'])}"
            for status, answer in sorted(operation["responses"].items()):
                yield f"    {status}: {_content(answer)}"
    yield ""
    for name, schema in sorted(found["components"]["schemas"].items()):
        yield f"{name}: {shape(schema)}"
        yield from fields(schema)


def _content(body: Mapping[str, Mapping[str, Mapping[str, object]]]) -> str:
    return ", ".join(f"{kind} {shape(one.get('schema', {}))}" for kind, one in body.get("content", {}).items()) or "-"


def events() -> Iterator[str]:
    """Describe the envelope, and every event of the system with its codes and its body."""
    yield "envelope"
    yield from fields(envelope())
    entries = system_entries()
    for name in sorted(entries):
        codes = {kind.code: kind.schema_version for kind in SYSTEM_TYPES.values() if kind.name == name}
        version = max(codes.values())
        yield f"{name} v{version}, stored as {', '.join(map(str, codes))}"
        yield from fields(entries[name].schema)


def definition() -> Iterator[str]:
    """Describe every key of a definition in YAML, and what else its schema defines."""
    schema = task_definition()
    yield "definition"
    yield from fields(schema)
    for name, part in sorted(schema["$defs"].items()):
        yield f"{name}: {shape(part)}"
        yield from fields(part)


def request() -> Iterator[str]:
    """Describe every field of a task request, the same in Python, HTTP, Kafka and the command."""
    yield from fields(sends_request()["requestBody"]["content"]["application/json"]["schema"])


def settings() -> Iterator[str]:
    """Describe every key of `tasker.yaml`, with its default."""
    schema = Settings.model_json_schema()
    yield from fields(schema, defined=schema["$defs"])


def metrics() -> Iterator[str]:
    """Describe every metric, as a scraper sees it."""
    collected = _Collected(Counts())
    collected.gauges = Gauges(live_tasks=0, ready_steps=0, lags={"s": 0}, stuck_slots=0)
    yield from sorted(map(_metric, collected.collect()))


def _metric(family: Metric) -> str:
    ending = "_total" if family.type == "counter" else ""
    labels = ", ".join(getattr(family, "_labelnames", ()))
    return f"{family.name}{ending} {{{labels}}} {family.type}"


def fields(schema: Mapping, prefix: str = "    ", defined: Mapping | None = None) -> Iterator[str]:
    """Describe the fields of an object; those of objects inside it under dotted names.

    Args:
        schema: A JSON Schema.
        prefix: What stands before each name.
        defined: Schemas by name, put in the place of references; None to leave those as they are.
    """
    for name, told in sorted(schema.get("properties", {}).items()):
        inner = (defined or {}).get(str(told.get("$ref", "")).rpartition("/")[2], told)
        needed = {"required": name in schema.get("required", ())}
        yield f"{prefix}{name}: {shape(inner)}{_default(told, needed)}"
        yield from fields(inner, f"{prefix}{name}.", defined)
        if isinstance(items := inner.get("items"), Mapping):
            items = (defined or {}).get(str(items.get("$ref", "")).rpartition("/")[2], items)
            yield from fields(items, f"{prefix}{name}[].", defined)


def _default(schema: Mapping, place: Mapping) -> str:
    needed = " required" if place.get("required") else ""
    return needed + (f" = {json.dumps(schema['default'])}" if "default" in schema else "")


def shape(schema: Mapping) -> str:
    """Say in one line what a value may be."""
    if "$ref" in schema:
        return schema["$ref"].rpartition("/")[2]
    for several in ("anyOf", "oneOf"):
        if several in schema:
            return " | ".join(map(shape, schema[several]))
    if "enum" in schema or "const" in schema:
        return " | ".join(json.dumps(one) for one in schema.get("enum", [schema.get("const")]))
    kind = schema.get("type", "any")
    named = kind if isinstance(kind, str) else "|".join(kind)
    bounds = {key: value for key, value in sorted(schema.items()) if key not in _TOLD}
    listed = f"[{shape(schema['items'])}]" if isinstance(schema.get("items"), Mapping) else ""
    return named + listed + (f" {json.dumps(bounds, sort_keys=True)}" if bounds else "")
