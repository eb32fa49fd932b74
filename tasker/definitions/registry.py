"""The definitions of one `Tasker`, by namespace, name and version."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tasker.codec.definition import digest, encode
from tasker.definitions.schemas import check, compiled
from tasker.domain.declared import shown
from tasker.domain.definition import SEMANTIC_VERSION, TaskDefinition, refused
from tasker.errors import InvalidRequest, UnknownDefinition, near

if TYPE_CHECKING:
    from jsonschema.protocols import Validator

_Key = tuple[str, str, str]  # namespace, name, version


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """A registered definition and what is made of it once.

    Attributes:
        definition: Resolved: its handlers are objects.
        digest: SHA-256 of `encoded`, 32 bytes.
        encoded: The canonical bytes to which tasks are pinned.
        validator: The schema of contexts, or None for any context.
        task_handler_class: The class with the hooks, or None.
        directory: The folder of the definition's file, or of its class's; None for a value.
    """

    definition: TaskDefinition
    digest: bytes
    encoded: bytes
    validator: Validator | None
    task_handler_class: type | None
    directory: Path | None = None

    @classmethod
    def of(cls, definition: TaskDefinition, *, directory: Path | None = None) -> Entry:
        """Make everything that a definition needs once.

        Raises:
            InvalidDefinition: Its schema is none, or something in it is no JSON.
        """
        encoded = encode(definition)
        validator = None if definition.schema is None else compiled(definition.schema, "schema")
        handler = definition.task_handler_class
        hooks = handler if isinstance(handler, type) else None
        return cls(definition, digest(encoded), encoded, validator, hooks, directory)

    def validate(self, context: Mapping[str, object]) -> None:
        """Refuse a context that breaks the schema.

        Raises:
            InvalidRequest: `problems` has the JSON paths, such as `$.order_id`.
        """
        if self.validator is not None:
            check(self.validator, context, f"the context of {self.definition.full_name}")


class Definitions:
    """A thread-safe register; reading takes no lock."""

    def __init__(self) -> None:
        """Start empty."""
        self._writing = threading.Lock()
        self._entries: dict[_Key, Entry] = {}
        self._highest: dict[tuple[str, str], Entry] = {}
        self._by_digest: dict[bytes, Entry] = {}

    def register(
        self, definition: TaskDefinition, *, replace: bool = False, directory: Path | None = None
    ) -> TaskDefinition:
        """Add a resolved definition; the same content again changes nothing.

        Args:
            definition: From `resolve` or `load_file`.
            replace: Take it in place of another content under the same namespace, name and version.
            directory: The folder of its file.

        Raises:
            InvalidDefinition: Another content stands under this version, or its schema is none.
        """
        entry = Entry.of(definition, directory=directory)
        key = (definition.namespace, definition.name, definition.version)
        with self._writing:
            known = self._entries.get(key)
            if known is not None and known.digest != entry.digest and not replace:
                message = f"{definition.full_name} is registered with another content; raise its version, or replace it"
                raise refused(f"{message} with replace=True", "version")
            if known is None or replace:
                self._put(key, entry)
                return definition
        return known.definition

    def _put(self, key: _Key, entry: Entry) -> None:
        entries = {**self._entries, key: entry}
        versions = [found for (namespace, name, _), found in entries.items() if (namespace, name) == key[:2]]
        self._entries = entries
        self._by_digest = {**self._by_digest, entry.digest: entry}
        self._highest = {**self._highest, key[:2]: max(versions, key=_rank)}

    def all(self) -> list[TaskDefinition]:
        """List the definitions by namespace, name and precedence of their versions."""
        ordered = sorted(self._entries.values(), key=lambda e: (e.definition.namespace, e.definition.name, _rank(e)))
        return [entry.definition for entry in ordered]

    def find(self, name: str, namespace: str = "default", version: str | None = None) -> Entry:
        """Give a definition, by default in its highest semantic version.

        Raises:
            UnknownDefinition: There is none; near names or the known versions are told.
            InvalidRequest: A name or the version is no text, or the version is no semantic version.
        """
        for what, value in (("name", name), ("namespace", namespace), ("version", version)):
            if not isinstance(value, str) and not (what == "version" and value is None):
                text = f"expected as {what} text, found {shown(value)}"
                raise InvalidRequest(text, problems={f"$.{what}": text})
        if version is None:
            found = self._highest.get((namespace, name))
        else:
            found = self._entries.get((namespace, name, version))
        if found is None:
            raise self._unknown(name, namespace, version)
        return found

    def directory(self, definition: TaskDefinition) -> Path | None:
        """Give the folder of the file of a definition; None where there is no file, or no such definition."""
        entry = self._entries.get((definition.namespace, definition.name, definition.version))
        return None if entry is None else entry.directory

    def pinned(self, digest: bytes) -> Entry | None:
        """Give the definition with this content, also one that was replaced; None if this process never had it."""
        return self._by_digest.get(digest)

    def _unknown(self, name: str, namespace: str, version: str | None) -> UnknownDefinition | InvalidRequest:
        versions = [d.version for d in self.all() if (d.namespace, d.name) == (namespace, name)]
        if version is not None and not SEMANTIC_VERSION.fullmatch(version):
            text = f"expected as version a semantic version such as 1.2.0, found {shown(version)}"
            return InvalidRequest(text, problems={"$.version": text})
        if versions:
            message = f"{namespace}.{name} has no version {version}; registered are {', '.join(versions)}"
            return UnknownDefinition(message)
        message = f"no definition {name!r} is registered in the namespace {namespace!r}."
        known = sorted(self._highest)
        here = near(name, [other for space, other in known if space == namespace])
        elsewhere = [space for space, other in known if other == name]
        if elsewhere:
            return UnknownDefinition(f"{message} It is in {', '.join(map(repr, elsewhere))}: give the namespace.")
        return UnknownDefinition(message + (here or " Register it, or load the directory of its file."))


def _rank(entry: Entry) -> tuple[object, str]:
    return entry.definition.precedence, entry.definition.version
