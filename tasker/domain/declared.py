"""What all declarations share: keys that are refused politely, and checks that name the wrong key."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

from tasker.errors import InvalidDefinition, near

HandlerClass = str | type | Callable[..., object]
Json = object
"""A JSON value: null, bool, number, string, list or map with string keys."""

MANUAL = "tasker.Manual"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")
MAX_SECONDS = 100 * 366 * 86_400
"""The longest delay or timeout: a hundred years, so that no due time leaves the calendar."""
MAX_ATTEMPTS = 2**31 - 1
EVENT_NAME = re.compile(r"[a-z0-9_]+(?:\.[a-z0-9_]+)+")
RESERVED_WORDS = frozenset({
    "task", "step", "workflow", "observability", "tasker", "test", "system", "control", "definition", "schedule",
    "signal", "worker", "subscription", "custom", "log",
})  # fmt: skip
"""First words of event names that belong to the engine."""
OTHER_NAMES = {"jitter_factor": "jitter", "namespace_name": "namespace"}
"""Keys of the original format and what they are called here."""
_MAX_DEPTH = 200
_MAX_EVENT_NAME = 128  # characters
_SHOWN = 200  # characters of a wrong value in an error's text
_T = TypeVar("_T")


def registry_name(handler: HandlerClass) -> str:
    """Give the name under which a handler is pinned in definitions: its `name`, else `module:qualname`.

    Args:
        handler: A class, a function, an object with the method `process`, or the name itself.
    """
    if isinstance(handler, str):
        return handler
    # Only its own: a subclass must not inherit the name of its parent. An instance may take that of its class.
    own = getattr(handler, "__dict__", {}).get("name")
    if isinstance(own, str) and own:
        return own
    named = handler if hasattr(handler, "__qualname__") else type(handler)
    return f"{named.__module__}:{named.__qualname__}"


def refused(message: str, *path: str | int) -> InvalidDefinition:
    """Build the error for a wrong declaration; `path` leads to the wrong value."""
    return InvalidDefinition(message, path=path)


def shown(value: object) -> str:
    """Show a wrong value in an error's text, cut where it is long."""
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def listed(names: Iterable[str], most: int = 20) -> str:
    """List names in an error's text, at most so many."""
    all_ = list(names)
    return ", ".join(all_[:most]) + (f" and {len(all_) - most} more" if len(all_) > most else "")


class Declared(type):
    """Make a dataclass refuse unknown, missing and positional keys with `InvalidDefinition` instead of a TypeError."""

    def __call__(cls: type[_T], *places: object, **keys: object) -> _T:
        """Check the keys, let the class add defaults that depend on what was written, and build."""
        known = keys_of(cls)
        if places:
            raise refused(f"expected keys such as {cls.__name__}(name=...), found positional values {shown(places)}")
        keys = _renamed(keys, known)
        for key in keys:
            if key not in known:
                raise refused(f"unknown key {key!r} in a {cls.__name__}.{near(key, known)}", key)
        for key in ("name", "handler_class"):
            if key in known and key not in keys:
                raise refused(f"a {cls.__name__} needs the key {key!r}; found {', '.join(sorted(keys)) or 'no key'}")
        if "handler_class" in keys and _is_manual(keys["handler_class"]):
            keys.setdefault("timeout_seconds", None)
        built: _T = type.__call__(cls, **keys)
        return built


def declared(cls: type[_T], keys: Mapping[str, object]) -> _T:
    """Build a declaration from keys that come from outside and may be wrong in name and type.

    Raises:
        InvalidDefinition: A key or a value is wrong.
    """
    build: Callable[..., _T] = cls
    return build(**keys)


def changed(declaration: _T, changes: Mapping[str, object]) -> _T:
    """Build a declaration anew with some keys changed; keys and values may be wrong.

    Raises:
        InvalidDefinition: A key or a value is wrong.
    """
    cls = type(declaration)
    return declared(cls, {**{key: getattr(declaration, key) for key in keys_of(cls)}, **changes})


def keys_of(cls: type) -> frozenset[str]:
    """Give the keys that a declared class takes."""
    return frozenset(key for key in cls.__annotations__ if not key.startswith("_"))


def _renamed(keys: dict[str, object], known: frozenset[str]) -> dict[str, object]:
    for other, key in OTHER_NAMES.items():
        if other in keys and key in known:
            if key in keys:
                raise refused(f"{other} and {key} are the same key; write one of them", other)
            keys = {key if one == other else one: value for one, value in keys.items()}
    return keys


def _is_manual(handler: object) -> bool:
    return handler in (MANUAL, "tasker:Manual") or (callable(handler) and getattr(handler, "name", None) == MANUAL)


def check_name(value: object, what: str, *path: str | int) -> None:
    """Refuse a value that is no legal name."""
    if not isinstance(value, str) or not NAME.fullmatch(value):
        expected = "a letter or digit, then at most 127 letters, digits, '_', '.' or '-'"
        raise refused(f"expected as {what} {expected}; found {shown(value)}", *path)


def check_event_name(name: str, *path: str | int) -> None:
    """Refuse a name that no custom event may have."""
    if not EVENT_NAME.fullmatch(name) or len(name) > _MAX_EVENT_NAME:
        expected = "a name such as order.fulfilled: words of a-z, 0-9 and '_' with dots between them"
        raise refused(f"expected as a custom event {expected}; found {shown(name)}", *path)
    first = name.split(".", 1)[0]
    if first in RESERVED_WORDS:
        message = f"the custom event {name!r} begins with the reserved word {first!r}; begin it with a word of your own"
        raise refused(message, *path)


def check_flag(owner: object, *keys: str) -> None:
    """Refuse a value that is neither true nor false."""
    for key in keys:
        if not isinstance(getattr(owner, key), bool):
            raise refused(f"expected true or false for {key}, found {shown(getattr(owner, key))}", key)


def check_text(owner: object, *keys: str, none: bool = False) -> None:
    """Refuse a value that is no text."""
    for key in keys:
        value = getattr(owner, key)
        if not isinstance(value, str) and not (none and value is None):
            raise refused(f"expected for {key} text, found {shown(value)}; put it in quotes", key)


def check_map(owner: object, *keys: str, none: bool = False) -> None:
    """Refuse a value that is no map."""
    for key in keys:
        value = getattr(owner, key)
        if not isinstance(value, Mapping) and not (none and value is None):
            raise refused(f"expected for {key} a map, found {shown(value)}", key)


def check_number(owner: object, *keys: str, above: bool = False, none: bool = False) -> None:
    """Refuse a value that is no number of seconds: at least 0 (or above 0), and at most a hundred years."""
    for key in keys:
        value = getattr(owner, key)
        if none and value is None:
            continue
        right = isinstance(value, int | float) and not isinstance(value, bool) and value <= MAX_SECONDS
        if not right or not (value > 0 if above else value >= 0):
            bound = "greater than 0" if above else "of at least 0"
            extra = ", or the word none" if none else ""
            raise refused(f"expected for {key} a number {bound}{extra}; found {shown(value)}", key)


def none_if_written(owner: object, *keys: str) -> None:
    """Put None in place of the word none."""
    for key in keys:
        if getattr(owner, key) == "none":
            object.__setattr__(owner, key, None)


def check_attempts(owner: object, key: str) -> None:
    """Refuse a value that is no number of attempts."""
    value = getattr(owner, key)
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_ATTEMPTS:
        message = f"expected for {key} a whole number of at least 1 (it counts all attempts); found {shown(value)}"
        raise refused(message, key)


def texts(owner: object, key: str) -> tuple[str, ...]:
    """Give a list of names as a tuple, or refuse it."""
    value = getattr(owner, key)
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise refused(f"expected for {key} a list of names, found {shown(value)}", key)
    for place, one in enumerate(value):
        if not isinstance(one, str):
            raise refused(f"expected for {key} a list of names, found {shown(one)} in it", key, place)
    return tuple(value)


def private(value: object, *path: str | int) -> object:
    """Copy maps and lists, so that nobody can change a declaration from outside; everything else is kept as it is.

    Raises:
        InvalidDefinition: The value contains itself, or is nested deeper than 200 levels.
    """
    if len(path) > _MAX_DEPTH:
        raise refused(f"expected at most {_MAX_DEPTH} levels of maps and lists", path[0])
    if isinstance(value, Mapping):
        return {key: private(child, *path, str(key)) for key, child in value.items()}
    if isinstance(value, list | tuple):
        return [private(child, *path, place) for place, child in enumerate(value)]
    return value
