"""`Tasker`: register definitions and look them up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasker.app.base import Base

if TYPE_CHECKING:
    from pathlib import Path

    from tasker.catalog.catalog import Catalog
    from tasker.domain.definition import TaskDefinition


class Declaring(Base):
    """Definitions and the event catalogue."""

    def register(self, definition: TaskDefinition | type, *, replace: bool = False) -> TaskDefinition:
        """Register a `TaskDefinition` or a class decorated with `task_handler`, with its handlers.

        Args:
            definition: What to register; the same content again changes nothing.
            replace: Take it in place of another content under the same namespace, name and version.

        Raises:
            InvalidDefinition: A declaration breaks a rule, or the version has another content.
        """
        return self._engine.registration.register(definition, replace=replace)

    def load_definitions(self, path: str | Path) -> list[TaskDefinition]:
        """Register the definition of a YAML file, or of every one in a directory and below.

        Raises:
            InvalidDefinition: A file breaks a rule; names file:line.
        """
        return self._engine.registration.load(path)

    def definitions(self) -> list[TaskDefinition]:
        """List the registered definitions."""
        return self._engine.context.definitions.all()

    def definition(self, name: str, namespace: str = "default", version: str | None = None) -> TaskDefinition:
        """Give a registered definition, by default its highest semantic version.

        Raises:
            UnknownDefinition: There is none; near names are offered.
        """
        return self._engine.context.definitions.find(name, namespace, version).definition

    @property
    def catalog(self) -> Catalog:
        """Give the event catalogue."""
        return self._engine.context.catalog
