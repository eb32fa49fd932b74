"""Load what the settings name: the function that registers handlers, definitions, and subscribers."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from tasker.errors import InvalidDefinition, near

if TYPE_CHECKING:
    from tasker.app.tasker import Tasker
    from tasker.bus.subscriber import BaseSubscriber
    from tasker.settings import Settings


def load(app: Tasker, settings: Settings, folders: Sequence[Path]) -> None:
    """Register what the settings and the command line name.

    Args:
        app: Where it is registered.
        settings: `app` and `definitions` are read from them.
        folders: Further files or folders of YAML definitions.

    Raises:
        InvalidDefinition: A module or function does not exist, or a definition breaks a rule; names file:line.
    """
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)  # an installed script does not look beside the settings, where the user's code lies
    if settings.app is not None:
        register = named(settings.app, settings.where("app"))
        if not callable(register):
            msg = f"app: expected a function of the Tasker, found {type(register).__name__} {settings.app}"
            raise InvalidDefinition(msg, where=settings.where("app"))
        register(app)
    for folder in settings.definitions:
        app.load_definitions(folder)
    for path in folders:
        app.load_definitions(path)


def subscribe(app: Tasker, settings: Settings) -> list[str]:
    """Attach the subscribers that the settings list, and give their names.

    Raises:
        InvalidDefinition: A class does not exist or refuses its config; names file:line.
    """
    names = []
    for place, listed in enumerate(settings.subscribers):
        if not listed.enabled:
            continue
        where = settings.where(f"subscribers.{place}.class")
        kind = named(listed.class_, where)
        subscriber = _built(kind, dict(listed.config), listed.class_, where)
        if listed.events is not None:
            subscriber.subscribe_to = listed.events
        app.subscribe(subscriber, name=listed.name, durable=listed.durable, start=listed.start)
        names.append(listed.name or getattr(subscriber, "name", None) or listed.class_)
    return names


def _built(kind: object, config: dict[str, object], reference: str, where: str) -> BaseSubscriber:
    from tasker.bus import subscriber

    if not isinstance(kind, type) or not issubclass(kind, subscriber.BaseSubscriber):
        msg = f"class: expected a subclass of tasker.BaseSubscriber, found {reference}"
        raise InvalidDefinition(msg, where=where)
    build: Callable[..., BaseSubscriber] = kind
    try:
        return build(**config)
    except TypeError as error:
        msg = f"config: {reference} does not take it ({error}); found the keys {', '.join(sorted(config)) or 'none'}"
        raise InvalidDefinition(msg, where=where) from error


def named(reference: str, where: str) -> object:
    """Import what `package.module:name` or `package.module.name` names.

    Raises:
        InvalidDefinition: The module or the name does not exist; says which, and where it was asked for.
    """
    module_name, found, name = reference.partition(":")
    if not found:
        module_name, _, name = reference.rpartition(".")
    try:
        value: object = import_module(module_name)
    except ImportError as error:
        msg = (
            f"{reference}: cannot import {module_name!r} ({error}); expected a module on the Python path or in "
            f"{Path.cwd()}"
        )
        raise InvalidDefinition(msg, where=where) from error
    for part in name.split("."):
        if not hasattr(value, part):
            msg = f"{reference}: {module_name} has no {name!r}.{near(part, dir(value))}"
            raise InvalidDefinition(msg, where=where)
        value = getattr(value, part)
    return value
