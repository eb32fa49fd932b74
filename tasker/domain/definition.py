"""Task definitions and step templates: the plan of a task, checked when it is built and immutable afterwards."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial

from tasker.domain.declared import (
    MANUAL,
    NAME,
    Declared,
    HandlerClass,
    Json,
    check_attempts,
    check_flag,
    check_map,
    check_name,
    check_number,
    check_text,
    declared,
    listed,
    none_if_written,
    private,
    refused,
    registry_name,
    shown,
    texts,
)
from tasker.domain.graph import Graph
from tasker.errors import InvalidDefinition, near

__all__ = [
    "MANUAL",
    "MAX_STEPS",
    "NAME",
    "SEMANTIC_VERSION",
    "CustomEvent",
    "HandlerClass",
    "Json",
    "StepTemplate",
    "TaskDefinition",
    "check_name",
    "precedence",
    "refused",
    "registry_name",
]

_NUMBER = r"(?:0|[1-9]\d*)"
_PART = rf"(?:{_NUMBER}|\d*[A-Za-z-][0-9A-Za-z-]*)"
SEMANTIC_VERSION = re.compile(
    rf"({_NUMBER})\.({_NUMBER})\.({_NUMBER})(?:-({_PART}(?:\.{_PART})*))?(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?",
    re.ASCII,
)
MAX_STEPS = 10_000
_MAX_VERSION = 128  # characters


@dataclass(frozen=True, kw_only=True)
class CustomEvent:
    """A custom event that a step announces: its name, what it means, and the JSON Schema of its body."""

    name: str
    description: str = ""
    schema: Mapping[str, Json] | None = None


@dataclass(frozen=True, kw_only=True)
class StepTemplate(metaclass=Declared):
    """One step of a definition.

    Delays and timeouts are in seconds; `default_retry_limit` counts all attempts; `handler_class` is a class, a
    function or a registry name.

    Raises:
        InvalidDefinition: A key is unknown or missing, or a value breaks a rule.
    """

    name: str
    handler_class: HandlerClass
    description: str = ""
    dependent_system: str = "unknown"
    depends_on_step: str | None = None
    depends_on_steps: Sequence[str] = ()
    default_retryable: bool = True
    default_retry_limit: int = 3
    skippable: bool = False
    timeout_seconds: float | None = 3600
    heartbeat_timeout_seconds: float | None = None
    retry_delay: float = 1.0
    max_delay: float = 300
    jitter: float = 0.1
    enable_exponential_backoff: bool = True
    handler_config: Mapping[str, Json] = field(default_factory=dict)
    custom_events: Sequence[CustomEvent | Mapping[str, Json]] = ()

    def __post_init__(self) -> None:
        """Check every value and fill the defaults that depend on others."""
        check_name(self.name, "a step's name", "name")
        put = partial(object.__setattr__, self)
        check_text(self, "description", "dependent_system")
        check_text(self, "depends_on_step", none=True)
        put("description", self.description or self.name)
        put("depends_on_steps", texts(self, "depends_on_steps"))
        self._check_handler()
        check_flag(self, "default_retryable", "skippable", "enable_exponential_backoff")
        check_attempts(self, "default_retry_limit")
        self._check_seconds()
        check_map(self, "handler_config")
        put("handler_config", private(self.handler_config, "handler_config"))
        put("custom_events", self._custom_events())

    def _check_handler(self) -> None:
        handler = self.handler_class
        named = isinstance(handler, str) and handler
        if not named and not callable(handler) and not callable(getattr(handler, "process", None)):
            message = f"expected for handler_class a class, a function or a name, found {shown(handler)}"
            raise refused(message, "handler_class")

    def _check_seconds(self) -> None:
        none_if_written(self, "timeout_seconds", "heartbeat_timeout_seconds")
        check_number(self, "timeout_seconds", "heartbeat_timeout_seconds", above=True, none=True)
        check_number(self, "retry_delay", "max_delay", "jitter")
        if self.jitter > 1:
            raise refused(f"expected for jitter a share from 0 to 1, found {shown(self.jitter)}", "jitter")

    def _custom_events(self) -> tuple[CustomEvent, ...]:
        events = self.custom_events
        if isinstance(events, str | Mapping) or not isinstance(events, Sequence):
            raise refused(f"expected for custom_events a list, found {shown(events)}", "custom_events")
        return tuple(_custom_event(one, place) for place, one in enumerate(events))

    @cached_property
    def handler(self) -> str:
        """Give the registry name of the handler."""
        return registry_name(self.handler_class)

    @cached_property
    def parents(self) -> tuple[str, ...]:
        """Give the union of `depends_on_step` and `depends_on_steps`."""
        first = () if self.depends_on_step is None else (self.depends_on_step,)
        return tuple(dict.fromkeys((*first, *self.depends_on_steps)))


def _custom_event(value: object, place: int) -> CustomEvent:
    if isinstance(value, CustomEvent):
        value = {"name": value.name, "description": value.description, "schema": value.schema}
    if not isinstance(value, Mapping) or not isinstance(value.get("name"), str):
        raise refused(f"expected a map with the key name, found {shown(value)}", "custom_events", place)
    known = ("name", "description", "schema")
    for key in value:
        if key not in known:
            raise refused(f"unknown key {key!r} in custom_events.{near(str(key), known)}", "custom_events", place, key)
    description, schema = value.get("description", ""), value.get("schema")
    if not isinstance(description, str):
        message = f"expected for description text, found {shown(description)}; put it in quotes"
        raise refused(message, "custom_events", place, "description")
    if schema is not None and not isinstance(schema, Mapping):
        message = f"expected for schema a JSON Schema (a map), found {shown(schema)}"
        raise refused(message, "custom_events", place, "schema")
    copied = private(schema, "custom_events", place, "schema")
    return CustomEvent(name=value["name"], description=description, schema=copied if isinstance(copied, dict) else None)


@dataclass(frozen=True, kw_only=True)
class TaskDefinition(metaclass=Declared):
    """The plan of a task: its steps, the schema of its context, its timeout and how identities are made.

    Raises:
        InvalidDefinition: A key is unknown or missing, a value breaks a rule, or the steps form no acyclic graph.
    """

    name: str
    namespace: str = "default"
    version: str = "0.1.0"
    description: str = ""
    task_handler_class: HandlerClass | None = None
    module_namespace: str | None = None
    concurrent: bool = True
    schema: Mapping[str, Json] | None = None
    default_dependent_system: str = "unknown"
    named_steps: Sequence[str] | None = None
    timeout_seconds: float | None = None
    identity_strategy: str | Callable[..., str] | None = None
    step_templates: Sequence[StepTemplate] = ()
    environments: Mapping[str, Json] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check every value and the graph."""
        put = partial(object.__setattr__, self)
        check_name(self.name, "the definition's name", "name")
        check_name(self.namespace, "the namespace", "namespace")
        self._check_version()
        check_text(self, "description", "default_dependent_system")
        check_text(self, "module_namespace", none=True)
        self._check_callables()
        none_if_written(self, "timeout_seconds")
        check_number(self, "timeout_seconds", above=True, none=True)
        check_flag(self, "concurrent")
        check_map(self, "schema", none=True)
        check_map(self, "environments")
        put("schema", private(self.schema, "schema"))
        put("environments", private(self.environments, "environments"))
        put("step_templates", self._checked_steps())
        self._check_named_steps()
        _ = self.graph

    def _check_version(self) -> None:
        version = self.version
        if not isinstance(version, str) or len(version) > _MAX_VERSION or not SEMANTIC_VERSION.fullmatch(version):
            message = f"expected as version a semantic version in quotes such as '1.2.0', found {shown(version)}"
            raise refused(message, "version")

    def _check_callables(self) -> None:
        for key in ("task_handler_class", "identity_strategy"):
            value = getattr(self, key)
            if value is not None and not (isinstance(value, str) and value) and not callable(value):
                raise refused(f"expected for {key} a name or the object itself, found {shown(value)}", key)

    def _checked_steps(self) -> tuple[StepTemplate, ...]:
        if isinstance(self.step_templates, str | Mapping) or not isinstance(self.step_templates, Sequence):
            raise refused(f"expected for step_templates a list, found {shown(self.step_templates)}", "step_templates")
        if len(self.step_templates) > MAX_STEPS:
            message = f"expected at most {MAX_STEPS} steps, found {len(self.step_templates)}; split the task"
            raise refused(message, "step_templates")
        steps = tuple(self._step(place, one) for place, one in enumerate(self.step_templates))
        seen: set[str] = set()
        for place, step in enumerate(steps):
            if step.name in seen:
                message = f"the step {step.name!r} is declared twice; give each step a name of its own"
                raise refused(message, "step_templates", place, "name")
            seen.add(step.name)
        return steps

    def _step(self, place: int, value: object) -> StepTemplate:
        try:
            if isinstance(value, StepTemplate):
                step = value
            elif isinstance(value, Mapping):
                step = declared(StepTemplate, {str(key): one for key, one in value.items()})
            else:
                raise refused(f"expected a StepTemplate or a map, found {shown(value)}")
        except InvalidDefinition as error:
            raise refused(error.message, "step_templates", place, *error.path) from None
        if step.dependent_system == "unknown" and self.default_dependent_system != "unknown":
            return replace(step, dependent_system=self.default_dependent_system)
        return step

    def _check_named_steps(self) -> None:
        if self.named_steps is None:
            return
        named = texts(self, "named_steps")
        known = frozenset(named)
        for place, step in enumerate(self.step_templates):
            if step.name not in known:
                message = f"the step {step.name!r} is missing from named_steps ({listed(named)})."
                raise refused(message + near(step.name, known), "step_templates", place, "name")

    @cached_property
    def graph(self) -> Graph:
        """Give the shape of the definition."""
        try:
            return Graph({step.name: step.parents for step in self.step_templates})
        except InvalidDefinition as error:
            raise refused(error.message, *self._place_of(*error.path)) from None

    def _place_of(self, name: str | int, parent: str | int) -> tuple[str | int, ...]:
        """Lead to the place where a step names a parent."""
        place, step = next(found for found in enumerate(self.step_templates) if found[1].name == name)
        if step.depends_on_step == parent:
            return ("step_templates", place, "depends_on_step")
        return ("step_templates", place, "depends_on_steps", list(step.depends_on_steps).index(str(parent)))

    @property
    def full_name(self) -> str:
        """Give `namespace.name@version`."""
        return f"{self.namespace}.{self.name}@{self.version}"

    @property
    def task_handler(self) -> str | None:
        """Give the registry name of the class with the hooks, or None."""
        return None if self.task_handler_class is None else registry_name(self.task_handler_class)

    @property
    def precedence(self) -> tuple[object, ...]:
        """Give a key that sorts versions by semantic version precedence (semver.org 2.0.0, section 11)."""
        return precedence(self.version)


def precedence(version: str) -> tuple[object, ...]:
    """Give a key that sorts semantic versions by precedence (semver.org 2.0.0, section 11).

    Args:
        version: A semantic version.
    """
    match = SEMANTIC_VERSION.fullmatch(version)
    if match is None:
        raise refused(f"expected a semantic version such as 1.2.0, found {shown(version)}", "version")
    numbers = tuple(int(match.group(place)) for place in (1, 2, 3))
    if match.group(4) is None:
        return (*numbers, 1, ())
    parts = tuple((0, int(part), "") if part.isdigit() else (1, 0, part) for part in match.group(4).split("."))
    return (*numbers, 0, parts)
