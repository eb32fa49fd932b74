"""The catalogue of an application: all events that its log may hold, with their meaning and the shape of their body."""

from __future__ import annotations

import re
from functools import cache
from threading import RLock
from types import MappingProxyType
from typing import TYPE_CHECKING

from tasker.catalog import system_steps, system_tasks
from tasker.catalog.entry import CUSTOM, CatalogEntry, Json, JsonObject
from tasker.catalog.schema import Schema
from tasker.codec.jsonbytes import dumps, loads
from tasker.errors import InvalidDefinition, InvalidRequest, near
from tasker.instrument import count, logger

if TYPE_CHECKING:
    from collections.abc import Mapping

RESERVED = frozenset(
    {
        "task", "step", "workflow", "observability", "tasker", "test", "system", "control", "definition", "schedule",
        "signal", "worker", "subscription", "custom", "log",
    }
)  # fmt: skip
"""First words of names that are the system's own, today or later."""

MOST_UNDECLARED = 10_000  # names; who builds names from data would fill the memory
_NAME = re.compile(r"[a-z0-9_]+(?:\.[a-z0-9_]+)+")
_HANDLERS = "step handlers"


class Catalog:
    """All events of one application; thread-safe. What it gives away are copies."""

    def __init__(self) -> None:
        """Start with the system events."""
        self._entries: dict[str, CatalogEntry] = dict(system_entries())
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
        wrong = _wrong_name(name)
        if wrong:
            raise InvalidDefinition(wrong)
        copied = _copied(name, schema)
        compiled = None if copied is None else Schema(copied, f"event {name!r}")
        _check_example(name, compiled, example)
        entry = CatalogEntry(name, CUSTOM, description, copied, example, emitted_by).copy()
        with self._changing:
            self._put(entry, compiled, replace=replace)

    def observe(self, name: str) -> bool:
        """List a name that was published without being declared; True if it was not known before."""
        with self._changing:
            if name in self._entries or self._undeclared >= MOST_UNDECLARED:
                return False
            text = "Published, but never declared: register it in the catalogue or under custom_events."
            self._entries[name] = CatalogEntry(name, CUSTOM, text, None, None, _HANDLERS, declared=False)
            self._undeclared += 1
            return True

    def check(self, name: str, body: Json) -> None:
        """Check a custom event before it is published; an undeclared name is listed as such, with one warning.

        Raises:
            InvalidRequest: The name is no custom event's, or the body breaks the schema; names the JSON paths.
        """
        if name not in self._entries or name.partition(".")[0] in RESERVED:
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
            return [entry.copy() for _, entry in sorted(self._entries.items())]

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
            entry = self._entries.get(name)
            if entry is not None:
                return entry.copy()
            msg = f"the catalogue has no event {name!r}.{near(str(name), self._entries)} `catalog.all()` lists them"
        raise InvalidRequest(msg)

    def _put(self, entry: CatalogEntry, compiled: Schema | None, *, replace: bool) -> None:
        """Store a checked entry, unless another declaration stands against it."""
        known = self._entries.get(entry.name)
        if known is not None and known.declared and not replace and known.schema != entry.schema:
            msg = (
                f"event {entry.name!r} is registered with another schema already. Give both the same schema, choose "
                f"another name, or say replace=True"
            )
            raise InvalidDefinition(msg)
        if known is not None and not known.declared:
            self._undeclared -= 1
        self._entries[entry.name] = entry
        if compiled is None:
            self._schemas.pop(entry.name, None)
        else:
            self._schemas[entry.name] = compiled

    def _check_new(self, name: str) -> None:
        """Check a name that is not registered, and list it."""
        wrong = _wrong_name(name)
        if wrong:
            raise InvalidRequest(wrong)
        if self.observe(name):
            count("tasker.undeclared_event", event=name)
            text = "event %s was published, but never declared; it is recorded without a check of its body"
            logger("catalog").warning(text, name, extra={"event": name})


@cache
def system_entries() -> Mapping[str, CatalogEntry]:
    """Give the entries of the system events by name."""
    found = (*system_tasks.entries(), *system_steps.entries())
    return MappingProxyType({entry.name: entry for entry in found})


def _wrong_name(name: object) -> str | None:
    """Say what is wrong with the name of a custom event."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        return (
            f"event name {name!r}: expected two or more words of a-z, 0-9 and _ with dots between, in the past tense, "
            f"such as 'order.fulfilled'"
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
