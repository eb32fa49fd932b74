"""A watch over what the engine records in tests: every event fits the schemas that the project publishes.

It stands between the engine and its encoder, looks at each distinct shape of an event once, and keeps what is wrong
until somebody asks. Events that tests write by themselves, past the engine, are their own business.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache

from jsonschema import Draft202012Validator

from tasker.catalog.catalog import system_entries
from tasker.catalog.publish.envelope import ATTRIBUTES, envelope
from tasker.catalog.publish.files import event_schema
from tasker.codec.encode import encode
from tasker.codec.jsonbytes import loads
from tasker.codec.recorded import RecordedEvent
from tasker.codec.rows import NewEvent, StoredEvent, StreamHeader
from tasker.domain.control import STREAM

_LOG_ID = bytes(range(16))
_SPLIT = {4, 22, 23}
"""Codes of events whose shape depends on their payload, too: their errors stand in two halves."""
_CHOICES = {"status", "kind", "reason", "backoff_type", "sets"}
"""Fields of which the value counts, and not its type alone."""
_MOST = 100_000  # encoded forms that are remembered

_seen: set[object] = set()
_known: set[object] = set()
_problems: list[str] = []
types: set[str] = set()
"""The names of the events that this process has recorded so far."""


def watch() -> None:
    """Begin to look, if nobody does yet."""
    from tasker.runtime import staged, turn

    staged.encode = turn.encode = _encode


def check() -> None:
    """Complain of what was recorded since the last call and fits no schema."""
    if _problems:
        found = "\n".join(dict.fromkeys(_problems))
        _problems.clear()
        raise AssertionError(f"recorded what breaks the schemas that `tasker schemas` writes:\n{found}")


def complaints(rows: Iterable[StoredEvent]) -> list[str]:
    """Say what fits no schema of rows that another process has recorded."""
    for row in rows:
        look(NewEvent(*(getattr(row, name) for name in NewEvent._fields)))
    found = list(dict.fromkeys(_problems))
    _problems.clear()
    return found


def _encode(event: object, **keywords: object) -> NewEvent:
    new = encode(event, **keywords)
    look(new)
    return new


def look(new: NewEvent) -> None:
    """Look at an event, unless one of its shape was seen before."""
    name = new.code or new.type
    form = (name, new.data, new.payload is None, new.due is None)
    if form in _known:
        return
    if len(_known) < _MOST:
        _known.add(form)
    hidden = _shape(loads(new.payload)) if new.code in _SPLIT and new.payload is not None else new.payload is None
    shape = (name, new.attempt is None, new.due is None, new.actor is None, hidden, _shape(loads(new.data)))
    if shape not in _seen:
        _seen.add(shape)
        types.add(new.type)
        _problems.extend(problems(recorded(new)))


def recorded(new: NewEvent) -> RecordedEvent:
    """Show an event as its log would."""
    space = STREAM if new.type.startswith("control.") else "default"
    header = StreamHeader(space, "plan", "1.0.0", bytes(32), None, None)
    stored = StoredEvent(1, _LOG_ID, 1, *new._replace(code=new.code or 1000), None, None, bytes(32), header)
    return RecordedEvent(stored, _LOG_ID)


def problems(event: RecordedEvent) -> list[str]:
    """Say what of an event breaks the schema of the envelope or of its body, or stands in none of them."""
    found = [f"{event.type}: envelope: {one}" for one in _wrong(_envelope(), event.cloudevent(), ATTRIBUTES)]
    body = _bodies().get(event.type)
    if body is not None:
        known = body.schema["properties"]
        found += [f"{event.type}: body: {one}" for one in _wrong(body, dict(event.body), known)]
    return found


def _wrong(validator: Draft202012Validator, value: Mapping[str, object], known: Mapping[str, object]) -> list[str]:
    broken = [f"{error.json_path}: {error.message[:200]}" for error in validator.iter_errors(value)]
    return broken + [f"$.{name}: stands in no schema" for name in value.keys() - known.keys()]


@cache
def _envelope() -> Draft202012Validator:
    return Draft202012Validator(envelope())


@cache
def _bodies() -> Mapping[str, Draft202012Validator]:
    return {name: Draft202012Validator(event_schema(entry)) for name, entry in system_entries().items()}


def _shape(value: object, key: str = "") -> object:
    """Give what of a value a schema could see, short of the texts and numbers themselves."""
    if isinstance(value, dict):
        return tuple((name, _shape(one, name)) for name, one in value.items())
    if isinstance(value, list):
        return frozenset(_shape(one, key) for one in value)
    if isinstance(value, str) and key in _CHOICES:
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return type(value).__name__, value < 0
    return type(value).__name__
