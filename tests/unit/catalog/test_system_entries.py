"""The entries of system events: complete, true to what the log gives, with examples that were recorded."""

from __future__ import annotations

import dataclasses
import types
import typing
import uuid

import pytest

from tasker.catalog.catalog import system_entries
from tasker.catalog.schema import Schema
from tasker.codec.encode import encode
from tasker.codec.recorded import RecordedEvent
from tasker.codec.registry import SYSTEM_TYPES
from tasker.codec.rows import StoredEvent, StreamHeader
from tasker.domain import events as ev
from tasker.domain.control import STREAM
from tasker.domain.status import TaskStatus

NAMES = sorted({kind.name for kind in SYSTEM_TYPES.values()})
COUNTS = ev.Counts(1, 1, 0, 0, 0, 0, 0)
VALUES = {
    "counts": COUNTS, "error": ev.StepError("x.Error", "broken", ev.RETRYABLE), "status": TaskStatus.IN_PROGRESS,
    "failed_steps": (ev.FailedStep("a", "x.Error", "broken"),), "reason": ev.TIMEOUT, "context": {"a": 1},
    "annotation": {"a": 1}, "results": None, "inputs": {"a": 1}, "body": {}, "kind": "retryable",
    "backtrace": None, "backoff_type": "constant", "parent": ev.Parent("t", "s"), "tags": ("x",), "sets_inputs": True,
}  # fmt: skip
PLAIN = {"str": "a" * 64, "int": 1, "float": 1.5, "bool": True, "Instant": 1_795_269_600_000_000}


def made(kind: type[ev.Event], *, full: bool) -> ev.Event:
    """Build an event of a kind, with every field or with those that have no default."""
    hints = typing.get_type_hints(kind)
    given = {}
    for field in dataclasses.fields(kind):
        if full or field.default is dataclasses.MISSING:
            options = typing.get_args(hints[field.name]) if isinstance(hints[field.name], types.UnionType) else ()
            first = options[0] if options else hints[field.name]
            given[field.name] = VALUES.get(field.name, PLAIN.get(getattr(first, "__name__", "")))
    if kind is ev.StepAbandoned:
        given["reason"] = ev.WORKER_LOST
    return kind(**given)


def recorded(event: ev.Event) -> RecordedEvent:
    """Give an event as the log gives it."""
    new = encode(event, event_id=bytes(16), number=0, status=TaskStatus.IN_PROGRESS)
    namespace = STREAM if event.type.startswith("control.") else "default"
    header = StreamHeader(namespace, "order", "1.0.0", bytes(32), None, None)
    stream = uuid.UUID(int=7).bytes
    return RecordedEvent(StoredEvent(1, stream, 1, *new, bytes(16), bytes(32), bytes(32), header))


def test_complete():
    """Every system event has an entry, and every entry is a system event's."""
    assert sorted(system_entries()) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_entry(name):
    """An entry says what happened, when and who records it, and its example fits its schema."""
    entry = system_entries()[name]
    assert (entry.name, entry.category, entry.declared) == (name, name.partition(".")[0], True)
    assert len(entry.description) > 20
    assert entry.description.endswith(".")
    assert entry.when.endswith(".")
    assert entry.emitted_by in {"engine", "worker", "operator", "worker or operator"}
    assert entry.schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert Schema(entry.schema, name).problems(entry.example) == {}
    assert set(entry.schema["required"]) <= entry.example.keys() <= entry.schema["properties"].keys()


@pytest.mark.parametrize("full", [True, False], ids=["full", "bare"])
@pytest.mark.parametrize("kind", sorted({kind.event for kind in SYSTEM_TYPES.values()}, key=lambda kind: kind.type))
def test_schemas_are_true(kind, full):
    """What the log gives fits the schema, and the schema names every field of it."""
    entry = system_entries()[kind.type]
    body = dict(recorded(made(kind, full=full)).body)
    assert Schema(entry.schema, kind.type).problems(body) == {}
    assert body.keys() - entry.schema["properties"].keys() == set()
