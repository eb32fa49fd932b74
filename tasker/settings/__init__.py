"""Settings: read once, checked once, frozen, and able to say where each value came from.

`tasker.yaml` lies in the working directory, or where TASKER_CONFIG says; a TASKER_ variable wins over it. A variable is
named after the path of its key, `TASKER_LEASES__HEARTBEAT` for `leases.heartbeat`; lists, maps and whole sections are
written in it as JSON or YAML. An empty variable counts as not set.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from pydantic import Field, PrivateAttr, ValidationError

from tasker.errors import InvalidDefinition, InvalidRequest
from tasker.settings.reading import lay_over, nearest, paths, read_file
from tasker.settings.sections import (
    Http,
    Identity,
    Kafka,
    Leases,
    Limits,
    Listed,
    Positive,
    Reference,
    SecondsOrZero,
    Section,
    Sizes,
    Subscriber,
    Telemetry,
    Text,
    keys_of,
)
from tasker.settings.showing import problem, shown

__all__ = ["Settings"]


class Settings(Section):
    """All settings of one `Tasker` or one command; times are in seconds."""

    url: Text = "sqlite:///tasker.db"
    direct_url: str | None = None
    app: Reference = None
    definitions: Listed = ()
    environment: str | None = None
    concurrency: Positive = 16
    max_server_delay: SecondsOrZero = 3600.0
    identity: Identity = Field(default_factory=Identity)
    leases: Leases = Field(default_factory=Leases)
    shutdown_timeout: SecondsOrZero = 25.0
    limits: Limits = Field(default_factory=Limits)
    sizes: Sizes = Field(default_factory=Sizes)
    subscribers: tuple[Subscriber, ...] = ()
    kafka: Kafka = Field(default_factory=Kafka)
    http: Http = Field(default_factory=Http)
    telemetry: Telemetry = Field(default_factory=Telemetry)

    _places: Mapping[str, str] = PrivateAttr(default_factory=dict)

    @classmethod
    def load(cls, environ: Mapping[str, str] | None = None, cwd: Path | None = None) -> Settings:
        """Read the file and the TASKER_ variables.

        Args:
            environ: The variables; default: the process's.
            cwd: Where `tasker.yaml` is looked for; default: the working directory.

        Raises:
            InvalidDefinition: Something in the file or a variable is wrong; names file:line or the variable.
        """
        given = os.environ if environ is None else environ
        content, places = read_file(given, cwd or Path.cwd())
        lay_over(content, places, given, _KEYS)
        return _checked(content, places, _refuse_declared)

    @classmethod
    def of(cls, value: Mapping[str, object] | Settings | None) -> Settings:
        """Take settings as people give them: ready ones, a mapping (nothing else is read), or None to load them.

        Raises:
            InvalidRequest: A key or value of the mapping is wrong; `problems` names each.
            InvalidDefinition: As `load`.
        """
        if value is None:
            return cls.load()
        if isinstance(value, Settings):
            return value
        if not isinstance(value, Mapping):
            msg = f"settings: expected a mapping, a Settings value or None, found {type(value).__qualname__}"
            raise InvalidRequest(msg, problems={"$": msg})
        content = _unwrapped(value)
        return _checked(content, dict.fromkeys(paths(content), "given"), _refuse_given)

    @property
    def sources(self) -> Mapping[str, str]:
        """Say for each key, `leases.heartbeat`, where its value came from: `default`, `file:line`, `variable NAME`."""
        return {key: self.where(key) for key in _LEAVES}

    def where(self, key: str) -> str:
        """Say where a value, or the nearest thing around it, came from; reaches into lists: `subscribers.0.class`."""
        while key and _KEYS.get(key, True) is not None:
            if key in self._places:
                return self._places[key]
            key = key.rpartition(".")[0]
        return "default"

    def masked(self) -> dict[str, object]:
        """Return all values as plain JSON for people to see, with secrets and passwords in URLs masked."""
        return {name: shown(name, getattr(self, name)) for name in type(self).model_fields}

    def model_post_init(self, context: object, /) -> None:
        """Keep where the values came from."""
        self._places = MappingProxyType(dict(context)) if isinstance(context, Mapping) else {}


_KEYS = dict(keys_of(Settings))
_LEAVES = tuple(key for key, is_text in _KEYS.items() if is_text is not None)
_Refuse = Callable[[list[tuple[str, str]], Mapping[str, str]], InvalidDefinition | InvalidRequest]


def _unwrapped(value: object) -> object:
    if isinstance(value, Mapping):
        return {key: _unwrapped(child) for key, child in value.items()}
    return [_unwrapped(child) for child in value] if isinstance(value, list | tuple) else value


def _checked(content: object, places: Mapping[str, str], refuse: _Refuse) -> Settings:
    try:
        return Settings.model_validate(content, context=places)
    except ValidationError as error:
        # What is misspelt comes first: it is often why another key is missing.
        found = sorted(error.errors(), key=lambda details: details["type"] != "extra_forbidden")
        problems = [problem(Settings, details, content) for details in found]
    raise refuse(problems, places)  # outside of the handler: the error of the library would show the values


def _refuse_declared(problems: list[tuple[str, str]], places: Mapping[str, str]) -> InvalidDefinition:
    key, text = problems[0]
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return InvalidDefinition(f"{key}: {text}{more}", where=nearest(places, key))


def _refuse_given(problems: list[tuple[str, str]], _places: Mapping[str, str]) -> InvalidRequest:
    sentences = "; ".join(f"{key}: {text}" for key, text in problems)
    return InvalidRequest(f"settings: {sentences}", problems={f"$.{key}": text for key, text in problems})
