"""The catalogue of an application: all events that its log may hold, with their meaning and the shape of their body."""

from __future__ import annotations

import re
from dataclasses import replace as changed
from functools import cache
from threading import RLock
from types import MappingProxyType
from typing import TYPE_CHECKING

from tasker.catalog import system_steps, system_tasks
from tasker.catalog.entry import CUSTOM, CatalogEntry, Json, JsonObject
from tasker.catalog.patterns import GLOB, Patterns
from tasker.catalog.schema import Schema
from tasker.catalog.story import examples
from tasker.codec.jsonbytes import dumps, loads
from tasker.codec.registry import SYSTEM_TYPES
from tasker.domain.declared import RESERVED_WORDS
from tasker.errors import InvalidDefinition, InvalidRequest, near
from tasker.instrument import count, logger

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tasker.domain.definition import CustomEvent

RESERVED = RESERVED_WORDS
"""First words of names that are the system's own, today or later."""

MOST_UNDECLARED = 10_000  # names; who builds names from data would fill the memory
LONGEST_NAME = 128  # characters
_NAME = re.compile(r"[a-z0-9_]+(?:\.[a-z0-9_]+)+")
_HANDLERS = "step handlers"


class Catalog:
    """All events of one application; thread-safe. What it gives away are copies."""

    def __init__(self) -> None:
        """Start with the system events alone."""
        self._custom: dict[str, CatalogEntry] = {}
        self._schemas: dict[str, Schema] = {}
        self._undeclared = 0
        self._changing = RLock()

    def register(
        self,
        name: str,
        *,
        description: str = "",
        schema: Mapping[str, Json] | None = None,
        example: Json = None,
        emitted_by: str = _HANDLERS,
        replace: bool = False,
    ) -> None:
        """Declare a custom event; the same declaration again is no error.

        Args:
            name: Two or more words of a-z, 0-9 and _ with dots between: `order.fulfilled`.
            description: What happened, for people.
            schema: JSON Schema of the body; what breaks it cannot be published.
            example: A body that fits the schema.
            emitted_by: Who publishes it.
            replace: True to put this schema in place of another one.

        Raises:
            InvalidDefinition: The name or the schema is wrong, the example does not fit, or another schema is there.
        """
        prepared = _prepared(CatalogEntry(name, CUSTOM, description, None, example, emitted_by), schema)
        with self._changing:
            self._put([prepared], replace=replace)

    def declare(self, events: Iterable[CustomEvent], *, replace: bool = False) -> None:
        """Declare what a definition announces: all of its custom events, or none if one of them is wrong.

        Args:
            events: The events, from any of its steps.
            replace: True to put these schemas in place of others.

        Raises:
            InvalidDefinition: A name or a schema is wrong, or another schema is there.
        """
        prepared = [
            _prepared(CatalogEntry(one.name, CUSTOM, one.description, None, None, _HANDLERS), one.schema)
            for one in events
        ]
        with self._changing:
            self._put(prepared, replace=replace)

    def observe(self, name: str) -> bool:
        """List a name that was published without being declared; True if it was not known before."""
        with self._changing:
            known = name in self._custom or name in system_entries()
            if known or self._undeclared >= MOST_UNDECLARED:
                return False
            text = "Published, but never declared: register it in the catalogue or under custom_events."
            self._custom[name] = CatalogEntry(name, CUSTOM, text, None, None, _HANDLERS, declared=False)
            self._undeclared += 1
            return True

    def check(self, name: str, body: Json) -> None:
        """Check a custom event before it is published; an undeclared name is listed as such, with one warning.

        Raises:
            InvalidRequest: The name is no custom event's, or the body breaks the schema; names the JSON paths.
        """
        if name not in self._custom:
            self._check_new(name)
        schema = self._schemas.get(name)
        problems = schema.problems(body) if schema is not None else {}
        if problems:
            told = "; ".join(f"{path}: {problem}" for path, problem in problems.items())
            msg = f"event {name!r}: the body breaks the schema that is registered for it: {told}"
            raise InvalidRequest(msg, problems=problems)

    def all(self) -> list[CatalogEntry]:
        """Give every entry, by name."""
        with self._changing:
            entries = {**system_entries(), **self._custom}
        return [entry.copy() for _, entry in sorted(entries.items())]

    def search(self, text: str) -> list[CatalogEntry]:
        """Give the entries whose name or description contains a text; case does not count."""
        wanted = text.lower()
        return [entry for entry in self.all() if wanted in entry.name.lower() or wanted in entry.description.lower()]

    def by_namespace(self, namespace: str) -> list[CatalogEntry]:
        """Give the entries whose name begins with this word, or these words."""
        return [entry for entry in self.all() if entry.name.startswith(namespace + ".")]

    def info(self, name: str) -> CatalogEntry:
        """Give one entry.

        Raises:
            InvalidRequest: There is none of this name; offers near names.
        """
        with self._changing:
            known = {**system_entries(), **self._custom}
        entry = known.get(name)
        if entry is None:
            msg = f"the catalogue has no event {name!r}.{near(str(name), known)} `catalog.all()` lists them"
            raise InvalidRequest(msg)
        return entry.copy()

    def _put(self, prepared: list[tuple[CatalogEntry, Schema | None]], *, replace: bool) -> None:
        """Store checked entries, unless another declaration stands against one of them."""
        new: dict[str, tuple[CatalogEntry, Schema | None]] = {}
        for entry, compiled in prepared:
            again = entry.name in new
            known = new[entry.name][0] if again else self._custom.get(entry.name)
            differs = known is not None and known.declared and known.schema != entry.schema
            if differs and (again or not replace):
                raise InvalidDefinition(_another_schema(entry.name))
            new[entry.name] = (entry, compiled)
        for name, (entry, compiled) in new.items():
            known = self._custom.get(name)
            self._undeclared -= known is not None and not known.declared
            self._custom[name] = entry
            if compiled is None:
                self._schemas.pop(name, None)
            else:
                self._schemas[name] = compiled

    def _check_new(self, name: str) -> None:
        """Check a name that is not registered, and list it."""
        wrong = _wrong_name(name)
        if wrong:
            raise InvalidRequest(wrong)
        if self.observe(name):
            count("tasker.undeclared_event", event=name)
            text = "event %s was published, but never declared; it is recorded without a check of its body"
            logger("catalog").warning(text, name, extra={"event": name})


def check_selecting(patterns: Patterns) -> None:
    """Refuse a glob that can select no event: nobody would ever notice that it is misspelt.

    Raises:
        InvalidRequest: A name is none of the system's, though its first word is, or no event can have it; near names
            are offered.
    """
    names = {kind.name for kind in SYSTEM_TYPES.values()}
    for glob in patterns.globs:
        first, dot, _ = glob.partition(".")
        if any(map(Patterns(glob).matches, names)):
            continue
        if dot and first in RESERVED:
            msg = f"expected an event that there is, found {glob!r}: names in {first!r} are the system's own"
            raise InvalidRequest(f"event patterns: {msg}.{near(glob, names)} `tasker catalog` lists them")
        if GLOB.isdisjoint(glob) and _wrong_name(glob):
            name = f"two or more words of a-z, 0-9 and _ in lower case with dots between, of at most {LONGEST_NAME}"
            msg = f"expected a name such as 'order.fulfilled' ({name} characters) or a glob such as 'order.*'"
            raise InvalidRequest(f"event patterns: {msg}, found {glob!r}")


@cache
def system_entries() -> Mapping[str, CatalogEntry]:
    """Give the entries of the system events by name, each with an example that was recorded."""
    found = (*system_tasks.entries(), *system_steps.entries())
    return MappingProxyType({entry.name: changed(entry, example=_example(entry)) for entry in found})


def _example(entry: CatalogEntry) -> JsonObject:
    """Give the body of a recorded event, its fields in the order of the schema."""
    body = examples()[entry.name].body
    known = entry.schema["properties"] if entry.schema else {}
    order = [name for name in known if name in body] if isinstance(known, dict) else []
    return {name: body[name] for name in order}


def _prepared(entry: CatalogEntry, schema: Mapping[str, Json] | None) -> tuple[CatalogEntry, Schema | None]:
    """Check a custom entry, and give it a schema of its own."""
    wrong = _wrong_name(entry.name)
    if wrong:
        raise InvalidDefinition(wrong)
    copied = _copied(entry.name, schema)
    compiled = None if copied is None else Schema(copied, f"event {entry.name!r}")
    _check_example(entry.name, compiled, entry.example)
    return changed(entry, schema=copied).copy(), compiled


def _another_schema(name: str) -> str:
    return (
        f"event {name!r} is registered with another schema already. Give both the same schema, choose another name, "
        f"or say replace=True"
    )


def _wrong_name(name: object) -> str | None:
    """Say what is wrong with the name of a custom event."""
    if not isinstance(name, str) or not _NAME.fullmatch(name) or len(name) > LONGEST_NAME:
        return (
            f"event name {name!r}: expected two or more words of a-z, 0-9 and _ with dots between, in the past tense, "
            f"such as 'order.fulfilled', of at most {LONGEST_NAME} characters"
        )
    first = name.partition(".")[0]
    if first in RESERVED:
        return (
            f"event name {name!r}: names that begin with {first!r} are the system's own. Choose another first word; "
            f"reserved are {', '.join(sorted(RESERVED))}"
        )
    return None


def _copied(name: str, schema: Mapping[str, Json] | None) -> JsonObject | None:
    """Copy a schema through JSON, which also proves that it is JSON."""
    if schema is None:
        return None
    try:
        copied = loads(dumps(dict(schema)))
    except (TypeError, ValueError) as error:
        msg = f"event {name!r}: expected a JSON Schema, found what is no JSON object: {error}"
        raise InvalidDefinition(msg) from None
    return copied if isinstance(copied, dict) else None


def _check_example(name: str, schema: Schema | None, example: Json) -> None:
    problems = schema.problems(example) if schema is not None and example is not None else {}
    if problems:
        told = "; ".join(f"{path}: {problem}" for path, problem in problems.items())
        msg = f"event {name!r}: the example does not fit the schema: {told}"
        raise InvalidDefinition(msg)
