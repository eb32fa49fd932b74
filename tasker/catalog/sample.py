"""`sample`: a recorded event as a test of a subscriber wants it, checked like those that the engine records."""

from __future__ import annotations

import uuid
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from itertools import count
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from tasker.catalog.catalog import RESERVED, Catalog, system_entries
from tasker.catalog.schema import Schema
from tasker.catalog.story import CUSTOM_EXAMPLE, examples
from tasker.clock import micros
from tasker.codec.jsonbytes import dumps, loads
from tasker.codec.recorded import RecordedEvent
from tasker.codec.registry import FIRST_CUSTOM_CODE, SYSTEM_TYPES
from tasker.codec.rows import StoredEvent, StreamHeader
from tasker.domain.control import STREAM
from tasker.errors import InvalidDefinition, InvalidRequest, near

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tasker.catalog.entry import Json, JsonObject

ENVELOPE = (
    "position", "stream_id", "version", "event_id", "time", "namespace", "task_name", "step", "attempt", "actor",
    "correlation_id", "causation_id", "metadata",
)  # fmt: skip
"""What of the envelope can be given."""

_LOG_ID = bytes.fromhex("01928c5e0000700080000000000000aa")
_TASK_ID = uuid.UUID("01928c5e-7d0a-7000-8000-000000000007")
_MORNING = datetime(2026, 1, 1, tzinfo=UTC)
_OF_TASKS = ("stream_id", "namespace", "task_name", "correlation_id")
_OF_STEPS = ("step", "attempt")
_IN_BOTH = {
    "task_id": "stream_id", "name": "task_name", "namespace": "namespace", "step": "step", "step_name": "step",
    "attempt": "attempt", "actor": "actor", "correlation_id": "correlation_id",
}  # fmt: skip
"""Fields of system events that say the same as the envelope, and what they are called there."""
_numbers = count(1)


class _Kind(NamedTuple):
    """What is known of a type.

    Attributes:
        name: The type.
        like: An event of this type, or another custom one.
        body: What it carries unless something else is given.
        schema: The schema of its body, if there is one.
        system: True for one that the engine decides on.
    """

    name: str
    like: RecordedEvent
    body: JsonObject
    schema: JsonObject | None
    system: bool

    def wrong(self, what: str) -> InvalidRequest:
        """Give the error about an event of this type."""
        return InvalidRequest(f"event {self.name!r}: {what}")


class _Sample(RecordedEvent):
    """An event that stands in no log; it carries what it was made with."""

    __slots__ = ()

    def __init__(self, stored: StoredEvent, body: JsonObject) -> None:
        """Take the envelope and the body."""
        super().__init__(stored, _LOG_ID)
        self._body = MappingProxyType(body)


def sample(
    name: str, body: Mapping[str, Json] | None, given: Mapping[str, Json], catalog: Catalog | None = None
) -> RecordedEvent:
    """Make an event.

    Args:
        name: Its type.
        body: Of a system event the fields that matter, the others are those of the catalogue's example; of a custom one
            all of it.
        given: Fields of the envelope (see `ENVELOPE`); those that are left out have values that make sense.
        catalog: Where custom events are declared; without one the body of a custom event is not checked.

    Raises:
        InvalidRequest: There is no such event, a field is not known or has a wrong value, the body breaks the schema,
            or envelope and body say different things.
    """
    kind = _system(name) if str(name) in system_entries() else _custom(str(name), catalog)
    _check_names(kind, "the envelope", given, ENVELOPE)
    carried = kind.body if body is None else _plain(kind, body)
    if kind.system:
        given = {**given, **_said(kind, {} if body is None else carried, given)}
    _check_place(kind, given)
    stored = _stored(kind, _Given(kind, given))
    told = {**kind.body, **carried, **_same(kind, RecordedEvent(stored))} if kind.system else carried
    if kind.schema is not None:
        problems = Schema(kind.schema, f"event {name!r}").problems(told)
        if problems:
            wrong = "; ".join(f"{path}: {problem}" for path, problem in problems.items())
            raise InvalidRequest(f"event {name!r}: the body breaks the schema of its type: {wrong}", problems=problems)
    return _Sample(stored, told)


def _system(name: str) -> _Kind:
    like = examples()[name]
    return _Kind(name, like, deepcopy(dict(like.body)), system_entries()[name].schema, system=True)


def _custom(name: str, catalog: Catalog | None) -> _Kind:
    """Find out about a custom event; one that nobody has declared is known by its name alone."""
    known = Catalog() if catalog is None else catalog
    if catalog is None and name.partition(".")[0] not in RESERVED:
        try:
            known.register(name)
        except InvalidDefinition as error:
            raise InvalidRequest(error.message) from None
    entry = known.info(name)
    example = entry.example if isinstance(entry.example, dict) else {}
    return _Kind(name, examples()[CUSTOM_EXAMPLE], example, entry.schema, system=False)


def _check_names(kind: _Kind, where: str, given: Iterable[str], known: Iterable[str]) -> None:
    listed = list(known)
    for name in given:
        if name not in listed:
            raise kind.wrong(f"{where} has no {name!r}.{near(name, listed)} Expected some of {', '.join(listed)}")


def _plain(kind: _Kind, body: Mapping[str, Json]) -> JsonObject:
    """Copy a body through JSON, as a log does."""
    try:
        plain = loads(dumps(dict(body)))
    except (TypeError, ValueError) as error:
        raise kind.wrong(f"expected as body a mapping of JSON values, found what is none: {error}") from None
    return plain if isinstance(plain, dict) else {}


def _said(kind: _Kind, body: JsonObject, given: Mapping[str, Json]) -> JsonObject:
    """Give what the body of a system event says of the envelope; both must say the same."""
    fields = kind.schema["properties"] if kind.schema is not None else {}
    _check_names(kind, "the body", body, fields if isinstance(fields, dict) else ())
    found: JsonObject = {}
    for field, key in _IN_BOTH.items():
        if field in body:
            said = found.setdefault(key, given.get(key, body[field]))
            if said != body[field]:
                both = f"found {said!r}, and {body[field]!r} as {field!r} of the body"
                raise kind.wrong(f"expected one {key} in envelope and body, {both}. Give it once")
    return found


def _check_place(kind: _Kind, given: Mapping[str, Json]) -> None:
    """Refuse a step for an event that has none, and for one of no task whatever belongs to tasks."""
    scope = kind.like.task_name is None
    absent = (*_OF_TASKS, *_OF_STEPS) if scope else _OF_STEPS if kind.like.step is None else ()
    for key in absent:
        if given.get(key) is not None:
            raise kind.wrong(f"expected no {key}, for events of this type have none, found {given[key]!r}")


def _same(kind: _Kind, event: RecordedEvent) -> JsonObject:
    """Give the fields of a body that say the same as the envelope."""
    return {field: getattr(event, key) for field, key in _IN_BOTH.items() if field in kind.body}


class _Given:
    """Reads what was given of an envelope, each with its type."""

    def __init__(self, kind: _Kind, given: Mapping[str, Json]) -> None:
        """Take it."""
        self._kind = kind
        self._given = given

    def whole(self, key: str, default: int | None, least: int = 1) -> int | None:
        """Give a number."""
        value = self._given.get(key, default)
        if value is None or (isinstance(value, int) and not isinstance(value, bool) and value >= least):
            return value
        raise self._wrong(key, f"a whole number of at least {least}")

    def text(self, key: str, default: str | None) -> str | None:
        """Give a text."""
        value = self._given.get(key, default)
        if value is None or (isinstance(value, str) and value):
            return value
        raise self._wrong(key, "a text that is not empty")

    def id(self, key: str) -> bytes | None:
        """Give the bytes of a UUID; None if it was not given."""
        text = self.text(key, None)
        try:
            return None if text is None else uuid.UUID(text).bytes
        except ValueError:
            raise self._wrong(key, "a UUID") from None

    def time(self, default: datetime) -> int:
        """Give when it was recorded, in microseconds."""
        value = self._given.get("time", default)
        if not isinstance(value, datetime):
            raise self._wrong("time", "an aware datetime")
        return micros(value)

    def metadata(self) -> bytes | None:
        """Give trace and request ids, encoded."""
        value = self._given.get("metadata")
        if value is None:
            return None
        if not isinstance(value, dict):
            raise self._wrong("metadata", "a mapping, such as {'traceparent': …}")
        return dumps(_plain(self._kind, value))

    def _wrong(self, key: str, expected: str) -> InvalidRequest:
        return self._kind.wrong(f"expected for {key} {expected}, found {self._given[key]!r}")


def _stored(kind: _Kind, given: _Given) -> StoredEvent:
    """Make the row of an event that stands in no log."""
    like, number = kind.like, next(_numbers)
    at = _MORNING + timedelta(seconds=number)
    step = given.text("step", like.step)
    codes = (one.code for one in SYSTEM_TYPES.values() if one.name == kind.name)
    return StoredEvent(
        position=given.whole("position", number) or number,
        stream_id=given.id("stream_id") or _TASK_ID.bytes,
        version=given.whole("version", 1 if kind.name == "task.created" else number + 1) or 1,
        event_id=given.id("event_id") or _id(at, number).bytes,
        code=next(codes, FIRST_CUSTOM_CODE),
        type=kind.name,
        schema_version=1,
        time=given.time(at),
        step=None if step is None else 0,
        attempt=given.whole("attempt", like.attempt, 0),
        due=None,
        actor=given.text("actor", like.actor),
        causation_id=given.id("causation_id"),
        metadata=given.metadata(),
        data=dumps({"step": step}),
        payload=None,
        salt=None,
        payload_hash=None,
        hash=bytes(32),
        header=_header(kind, given),
    )


def _header(kind: _Kind, given: _Given) -> StreamHeader:
    if kind.like.task_name is None:
        return StreamHeader(STREAM, STREAM, "0.0.0", bytes(32), None, None)
    namespace, name = given.text("namespace", kind.like.namespace), given.text("task_name", kind.like.task_name)
    version = str(kind.body.get("version", "0.1.0"))
    return StreamHeader(namespace or "", name or "", version, bytes(32), given.text("correlation_id", None), None)


def _id(at: datetime, number: int) -> uuid.UUID:
    """Make a UUIDv7 of a time and a number."""
    return uuid.UUID(int=(micros(at) // 1000) << 80 | 7 << 76 | 2 << 62 | number)
