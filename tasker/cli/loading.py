"""Load what the settings name: the function that registers handlers, definitions, and subscribers."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from tasker.errors import InvalidDefinition, InvalidRequest, near

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
    """Attach the subscribers that the settings list, and give their names; none where one cannot be made.

    Raises:
        InvalidDefinition: A class does not exist or refuses its config, events or start are wrong, a name is missing or
            taken; names file:line.
    """
    places = [place for place, listed in enumerate(settings.subscribers) if listed.enabled]
    subscribers = {place: built(settings, place) for place in places}
    names = dict(zip(places, _names(settings, subscribers), strict=True))
    for place, subscriber in subscribers.items():
        listed = settings.subscribers[place]
        try:
            app.subscribe(subscriber, name=listed.name, durable=listed.durable, start=listed.start)
        except InvalidRequest as error:
            key = "start" if "start=" in str(error) else "name" if listed.name is not None else "class"
            raise InvalidDefinition(str(error), where=settings.where(f"subscribers.{place}.{key}")) from error
    return list(names.values())


def prepare(app: Tasker, settings: Settings, name: str) -> bool:
    """Attach the subscriber that the settings list under a name, enabled or not, for a redelivery alone.

    Returns:
        False if none is listed under it.

    Raises:
        InvalidDefinition: As `subscribe`.
    """
    for place, listed in enumerate(settings.subscribers):
        if name in _possible_names(settings, place):
            subscriber = built(settings, place)
            if (listed.name or subscriber.name) == name:
                subscriber.app = app
                app.subscriptions.prepare(subscriber, name=name)
                return True
    return False


def built(settings: Settings, place: int) -> BaseSubscriber:
    """Make a subscriber that the settings list.

    Raises:
        InvalidDefinition: Its class does not exist or refuses its config, or its events are no globs; names file:line.
    """
    from tasker.bus.subscriber import checked

    listed = settings.subscribers[place]
    reference, where = listed.class_, f"subscribers.{place}"
    build = _class(reference, settings.where(f"{where}.class"))
    try:
        subscriber = build(**dict(listed.config))
    except InvalidDefinition as error:
        if error.where is not None:
            raise
        keys = "".join(f".{key}" for key in error.path)
        at = settings.where(f"{where}.config{keys}" if keys else f"{where}.class")
        raise InvalidDefinition(error.message, where=at, path=error.path) from error
    except Exception as error:
        msg = f"config: {reference} does not take it ({_told(error, listed.config)}); found the keys "
        msg += ", ".join(sorted(listed.config)) or "none"
        raise InvalidDefinition(msg, where=settings.where(f"{where}.config")) from error
    if listed.events is not None:
        subscriber.subscribe_to = listed.events
    try:
        checked(subscriber)
    except InvalidRequest as error:
        key = "class" if listed.events is None else "events"
        raise InvalidDefinition(str(error), where=settings.where(f"{where}.{key}")) from error
    return subscriber


def _class(reference: str, where: str) -> Callable[..., BaseSubscriber]:
    """Import the class of a subscriber."""
    from tasker.bus.subscriber import BaseSubscriber

    kind = named(reference, where)
    if not isinstance(kind, type) or not issubclass(kind, BaseSubscriber):
        msg = f"class: expected a subclass of tasker.BaseSubscriber, found {reference}"
        raise InvalidDefinition(msg, where=where)
    return kind


def _told(error: Exception, config: Mapping[str, object]) -> str:
    """Tell what a constructor raised, without the secrets that it was given."""
    from tasker.redaction import Redactor

    text = str(error) if isinstance(error, TypeError) else f"{type(error).__qualname__}: {error}"
    masked = Redactor().mapping(dict(config))
    for key, value in config.items():
        if isinstance(masked, dict) and masked[key] != value and isinstance(value, str) and value:
            text = text.replace(value, str(masked[key]))
    return text


def _names(settings: Settings, subscribers: dict[int, BaseSubscriber]) -> Iterator[str]:
    """Give the names of subscribers, and refuse one that comes twice."""
    taken: dict[str, str] = {}
    for place, subscriber in subscribers.items():
        listed = settings.subscribers[place]
        name = listed.name or subscriber.name
        where = settings.where(f"subscribers.{place}.{'name' if listed.name else 'class'}")
        if listed.durable and name is not None:
            if name in taken:
                msg = f"name: expected a name of its own for each subscriber, found {name!r}, which is also that of "
                msg += f"{taken[name]}. A durable subscription belongs to one subscriber: give `name: …` to one of them"
                raise InvalidDefinition(msg, where=where)
            taken[name] = where
        yield name or listed.class_


def _possible_names(settings: Settings, place: int) -> set[object]:
    """Give the names that a listed subscriber may have, without making it."""
    listed = settings.subscribers[place]
    if listed.name is not None:
        return {listed.name}
    kind = _class(listed.class_, settings.where(f"subscribers.{place}.class"))
    return {listed.config.get("name"), getattr(kind, "name", None)}


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
    except Exception as error:  # whatever the module does while it is imported
        told = str(error) if isinstance(error, ImportError) else f"{type(error).__name__}: {error}"
        msg = (
            f"{reference}: cannot import {module_name!r} ({told}); expected package.module:name, in a module on the "
            f"Python path or in {Path.cwd()}"
        )
        raise InvalidDefinition(msg, where=where) from error
    for part in name.split("."):
        if not hasattr(value, part):
            msg = f"{reference}: {module_name} has no {name!r}.{near(part, dir(value))}"
            raise InvalidDefinition(msg, where=where)
        value = getattr(value, part)
    return value
