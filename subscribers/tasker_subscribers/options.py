"""`Options`: the configuration of a subscriber, from keyword arguments or `tasker.yaml`, checked when it is made."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypedDict
from urllib.parse import urlsplit

from tasker.errors import InvalidDefinition, near
from tasker_subscribers.secret import Secret

TIMEOUT = 10.0  # seconds
LONGEST_TIMEOUT = 60.0  # seconds; a subscription delivers one event at a time, and all behind it wait as long
PHASES = 6  # of a request, generously: a place among the connections, connecting, sending, two for the answer, the rest


class BaseConfig(TypedDict, total=False):
    """Options of every ready subscriber.

    Attributes:
        name: The identity of the durable subscription.
        events: Globs over event names, in place of the subscriber's own.
        filter: A function of the event, or, for each key of the event, the globs of which one has to match.
    """

    name: str
    events: str | Sequence[str]
    filter: Callable[[Any], bool] | Mapping[str, object]


class RemoteConfig(BaseConfig, total=False):
    """Options of every subscriber that calls a service.

    Attributes:
        timeout: Seconds for each phase of a request: connecting, sending, each part of the answer.
        task_url: Where people look at a task, with `{task_id}` in it.
    """

    timeout: float
    task_url: str


class Options:
    """Reads values with their types; whatever is wrong says what was expected, what was found, and where."""

    def __init__(self, owner: str, config: Mapping[str, object], schema: type) -> None:
        """Check the keys.

        Args:
            owner: The class that is configured, for error texts.
            config: The options as given; None counts as not given.
            schema: A TypedDict with the options that exist.

        Raises:
            InvalidDefinition: An option does not exist; names near ones.
        """
        self.owner = owner
        self._config = {key: value for key, value in config.items() if value is not None}
        known: list[str] = sorted(schema.__annotations__)
        for key in config:
            if key not in known:
                message = f"expected one of the options {', '.join(known)}, found {key!r}.{near(str(key), known)}"
                raise self.wrong(key, message)

    def wrong(self, key: str, message: str) -> InvalidDefinition:
        """Give the error about an option."""
        return InvalidDefinition(f"{self.owner}: {message}", path=(str(key),))

    def has(self, key: str) -> bool:
        """Tell whether an option, or the variable that holds it, was given."""
        return key in self._config or f"{key}_env" in self._config

    def value(self, key: str) -> object:
        """Give an option as it is; None if it was not given."""
        return self._config.get(key)

    def text(self, key: str, default: str | None = None, variable: str | None = None) -> str | None:
        """Give a text: the option, else the variable, else the default."""
        value = self._config.get(key)
        if value is None and variable is not None:
            value = os.environ.get(variable) or None
        if value is None:
            return default
        if isinstance(value, str) and value.strip():
            return value.strip()
        raise self.wrong(key, f"expected for {key} a text that is not empty, found {value!r}")

    def seconds(self, key: str, default: float) -> float:
        """Give a number of seconds, more than 0 and at most a minute."""
        value = self._config.get(key, default)
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= LONGEST_TIMEOUT:
            return float(value)
        bound = f"above 0 and at most {LONGEST_TIMEOUT:g}, for all later events wait as long"
        raise self.wrong(key, f"expected for {key} seconds {bound}; found {value!r}")

    def flag(self, key: str, *, default: bool) -> bool:
        """Give true or false."""
        value = self._config.get(key, default)
        if isinstance(value, bool):
            return value
        raise self.wrong(key, f"expected for {key} true or false, found {value!r}")

    def choice(self, key: str, default: str, allowed: Sequence[str]) -> str:
        """Give one of a few words."""
        value = self._config.get(key, default)
        if isinstance(value, str) and value in allowed:
            return value
        message = f"expected for {key} {', '.join(allowed[:-1])} or {allowed[-1]}, found {value!r}."
        raise self.wrong(key, message + near(str(value), allowed))

    def texts(self, key: str) -> dict[str, str]:
        """Give a mapping of texts to texts; empty if it was not given."""
        value = self._config.get(key, {})
        if isinstance(value, Mapping) and all(isinstance(t, str) and t for pair in value.items() for t in pair):
            return dict(value)
        raise self.wrong(key, f"expected for {key} a mapping of texts to texts, found {_shape(value)}")

    def secret(self, key: str, variable: str) -> Secret | None:
        """Give a secret: the option, else the variable that `<key>_env` names, else the usual variable.

        Raises:
            InvalidDefinition: It is no text, or has blanks or line breaks inside, or the variable named is not set.
        """
        named = self.text(f"{key}_env") if f"{key}_env" in self._config else None
        value = self._config.get(key)
        where = f"the option {key}" if value is not None else f"the variable {named or variable}"
        if value is None:
            value = os.environ.get(named or variable) or None
        if value is None and named is not None:
            raise self.wrong(f"{key}_env", f"expected the {key} in {where}, which is not set. Set it")
        return None if value is None else self._kept(key, value, where)

    def needed(self, key: str, variable: str, what: str, hint: str) -> Secret:
        """Give a secret that has to be there.

        Args:
            key: The option.
            variable: Where it usually comes from.
            what: What it is, for people.
            hint: Where they get it.
        """
        found = self.secret(key, variable)
        if found is None:
            message = f"expected {what} in the variable {variable} (or as {key}=…), found neither. {hint}"
            raise self.wrong(key, message)
        return found

    def url(self, key: str, given: Secret) -> Secret:
        """Check that a secret is a URL of HTTP; the error never shows it."""
        try:
            parts = urlsplit(given.reveal())
            fits = parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port or 1) > 0
        except ValueError:
            fits = False
        if not fits:
            raise self.wrong(key, f"expected for {key} an absolute URL, https://…, found something else (not shown)")
        return given

    def _kept(self, key: str, value: object, where: str) -> Secret:
        if not isinstance(value, str):
            raise self.wrong(key, f"expected in {where} a text, found a value of type {type(value).__qualname__}")
        text = value.strip()
        if not text or any(sign.isspace() or not sign.isprintable() for sign in text):
            found = "blanks or control characters inside (the value is not shown)" if text else "an empty text"
            raise self.wrong(key, f"expected in {where} a secret in one word, found {found}")
        return Secret(text)


def endpoint(url: str) -> str:
    """Give scheme, host and port of a URL: paths, queries and user names may hold secrets."""
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{parts.scheme}://{host}" + (f":{parts.port}" if parts.port else "")


def globs(owner: Options, key: str, value: object) -> tuple[str, ...]:
    """Check that a value is a text or texts."""
    listed = [value] if isinstance(value, str) else value
    if isinstance(listed, Iterable) and not isinstance(listed, Mapping | bytes):
        found = list(listed)
        if found and all(isinstance(one, str) and one for one in found):
            return tuple(found)
    raise owner.wrong(key, f"expected for {key} a text or a list of texts, found {value!r}")


def _shape(value: object) -> str:
    if isinstance(value, Mapping):
        return f"the keys {', '.join(map(str, value))} with a value that is no text, or is empty"
    return f"a value of type {type(value).__qualname__}"
