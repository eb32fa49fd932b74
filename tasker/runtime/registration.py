"""Registration: definitions, their handlers, hooks and custom events, in code or from files."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tasker.definitions.declare import definition_of, has_hook
from tasker.definitions.resolve import resolve
from tasker.definitions.yaml_file import find_files, load_file
from tasker.domain.definition import CustomEvent
from tasker.errors import InvalidDefinition

if TYPE_CHECKING:
    from tasker.domain.definition import TaskDefinition
    from tasker.runtime.context import Context


class Registration:
    """The use cases of whoever declares tasks."""

    def __init__(self, context: Context) -> None:
        """Take what use cases share."""
        self._context = context

    def register(self, thing: object, *, replace: bool = False) -> TaskDefinition:
        """Register a definition value or a decorated class.

        Raises:
            InvalidDefinition: A declaration breaks a rule, or the version has another content.
        """
        definition = resolve(definition_of(thing), environment=self._context.settings.environment)
        return self._add(definition, replace=replace, directory=_folder(thing))

    def load(self, path: str | Path) -> list[TaskDefinition]:
        """Register the definition of a file, or of every *.yaml and *.yml of a directory and below.

        Raises:
            InvalidDefinition: A file breaks a rule; names file:line. The files before it are registered.
        """
        environment = self._context.settings.environment
        environment = os.environ.get("TASKER_ENV") or environment
        loaded = []
        for file in find_files(path):
            folder = file.resolve().parent
            definition = load_file(file, environ=os.environ, environment=environment)
            try:
                loaded.append(self._add(definition, replace=False, directory=folder))
            except InvalidDefinition as error:
                if error.where is not None:
                    raise
                raise InvalidDefinition(error.message, where=str(file), path=error.path) from error
            if str(folder) not in self._context.folders:
                self._context.folders.append(str(folder))
        return loaded

    def _add(self, definition: TaskDefinition, *, replace: bool, directory: Path | None) -> TaskDefinition:
        context = self._context
        announced = [event for step in definition.step_templates for event in step.custom_events]
        context.catalog.declare([one for one in announced if isinstance(one, CustomEvent)], replace=replace)
        context.handlers.register_all(definition, replace=replace)
        registered = context.definitions.register(definition, replace=replace, directory=directory)
        hooks = definition.task_handler_class
        if isinstance(hooks, type) and has_hook(hooks):
            context.hooks[str(definition.task_handler)] = hooks
        if context.office.runs is not None:
            context.office.runs.lift()
        return registered


def _folder(thing: object) -> Path | None:
    """Give the folder of the file that holds a class."""
    file = getattr(sys.modules.get(thing.__module__), "__file__", None) if isinstance(thing, type) else None
    return None if file is None else Path(file).resolve().parent
