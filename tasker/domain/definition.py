"""Task definitions and step templates: the plan of a task, checked when it is built and immutable afterwards."""

from __future__ import annotations

import copy
import functools
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

from tasker.domain.graph import Graph
from tasker.errors import InvalidDefinition, near

if TYPE_CHECKING:
    from tasker.errors import TaskerError

HandlerClass = str | type | Callable[..., object]
Json = object
"""A JSON value: null, bool, number, string, list or map with string keys."""

MANUAL = "tasker.Manual"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")
SEMANTIC_VERSION = re.compile(
    r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(?:-([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?(?:\+[0-9A-Za-z.-]+)?"
)
MAX_STEPS = 10_000
_T = TypeVar("_T")


def registry_name(handler: HandlerClass) -> str:
    """Give the name under which a handler is pinned in definitions: its `name`, else `module:qualname`.

    Args:
        handler: A class, a function, or the name itself.
    """
    if isinstance(handler, str):
        return handler
    own = vars(handler).get("name")
    return own if isinstance(own, str) and own else f"{handler.__module__}:{handler.__qualname__}"


def refused(message: str, *path: str | int) -> InvalidDefinition:
    """Build the error for a wrong declaration; `path` leads to the wrong value."""
    return InvalidDefinition(message, path=path)


class Declared(type):
    """Make a dataclass refuse unknown, missing and positional keys with `InvalidDefinition` instead of a TypeError."""

    def __call__(cls: type[_T], *places: object, **keys: object) -> _T:
        """Check the keys, let the class add defaults that depend on what was written, and build."""
        known = {key for key in cls.__annotations__ if not key.startswith("_")}
        if places:
            raise refused(f"expected keys such as {cls.__name__}(name=...), found positional values {places!r}")
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


def _is_manual(handler: object) -> bool:
    return handler == MANUAL or (callable(handler) and getattr(handler, "name", None) == MANUAL)


def check_name(value: object, what: str, *path: str | int) -> None:
    """Refuse a value that is no legal name."""
    if not isinstance(value, str) or not NAME.fullmatch(value):
        expected = "a letter or digit, then at most 127 letters, digits, '_', '.' or '-'"
        raise refused(f"expected as {what} {expected}; found {value!r}", *path)


def _check_flag(owner: object, *keys: str) -> None:
    for key in keys:
        if not isinstance(getattr(owner, key), bool):
            raise refused(f"expected true or false for {key}, found {getattr(owner, key)!r}", key)


def _check_number(owner: object, *keys: str, lowest: float = 0.0, above: bool = False, none: bool = False) -> None:
    for key in keys:
        value = getattr(owner, key)
        if none and value is None:
            continue
        right = isinstance(value, int | float) and not isinstance(value, bool) and value < float("inf")
        if not right or not (value > lowest if above else value >= lowest):
            bound = f"greater than {lowest:g}" if above else f"of at least {lowest:g}"
            extra = ", or the word none" if none else ""
            raise refused(f"expected for {key} a number {bound}{extra}; found {value!r}", key)


def _frozen(value: object) -> object:
    return copy.deepcopy(value)


def _texts(owner: object, key: str) -> tuple[str, ...]:
    value = getattr(owner, key)
    if isinstance(value, str) or not isinstance(value, Sequence) or not all(isinstance(one, str) for one in value):
        raise refused(f"expected for {key} a list of names, found {value!r}", key)
    return tuple(value)


@dataclass(frozen=True, kw_only=True)
class CustomEvent:
    """A custom event that a step announces: its name, what it means, and the JSON Schema of its body."""

    name: str
    description: str = ""
    schema: Mapping[str, Json] | None = None


@dataclass(frozen=True, kw_only=True)
class StepTemplate(metaclass=Declared):
    """One step of a definition.

    Delays and timeouts are in seconds; `default_retry_limit` counts all attempts; `handler_class` is a class, a function
    or a registry name.

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
        put = functools.partial(object.__setattr__, self)
        put("description", self.description or self.name)
        put("depends_on_steps", _texts(self, "depends_on_steps"))
        if self.depends_on_step is not None and not isinstance(self.depends_on_step, str):
            raise refused(f"expected for depends_on_step a name, found {self.depends_on_step!r}", "depends_on_step")
        if not (isinstance(self.handler_class, str) and self.handler_class) and not callable(self.handler_class):
            message = f"expected for handler_class a class, a function or a name, found {self.handler_class!r}"
            raise refused(message, "handler_class")
        self._check_numbers()
        if not isinstance(self.handler_config, Mapping):
            raise refused(f"expected for handler_config a map, found {self.handler_config!r}", "handler_config")
        put("handler_config", _frozen(self.handler_config))
        put("custom_events", tuple(_custom_event(one, place) for place, one in enumerate(self.custom_events)))

    def _check_numbers(self) -> None:
        _check_flag(self, "default_retryable", "skippable", "enable_exponential_backoff")
        for key in ("timeout_seconds", "heartbeat_timeout_seconds"):
            if getattr(self, key) == "none":
                object.__setattr__(self, key, None)
        limit = self.default_retry_limit
        if isinstance(limit, bool) or not isinstance(limit, int) or limit < 1:
            message = f"expected for default_retry_limit a whole number of at least 1 (it counts all attempts); found {limit!r}"
            raise refused(message, "default_retry_limit")
        _check_number(self, "timeout_seconds", "heartbeat_timeout_seconds", above=True, none=True)
        _check_number(self, "retry_delay", "max_delay", "jitter")
        if self.jitter > 1:
            raise refused(f"expected for jitter a share from 0 to 1, found {self.jitter!r}", "jitter")

    @property
    def handler(self) -> str:
        """Give the registry name of the handler."""
        return registry_name(self.handler_class)

    @property
    def parents(self) -> tuple[str, ...]:
        """Give the union of `depends_on_step` and `depends_on_steps`."""
        first = () if self.depends_on_step is None else (self.depends_on_step,)
        return tuple(dict.fromkeys((*first, *self.depends_on_steps)))

    @property
    def attempts_allowed(self) -> int:
        """Give the number of attempts of one budget, without an operator's number."""
        return self.default_retry_limit if self.default_retryable else 1


def _custom_event(value: object, place: int) -> CustomEvent:
    if isinstance(value, CustomEvent):
        return value
    if not isinstance(value, Mapping) or not isinstance(value.get("name"), str):
        raise refused(f"expected a map with the key name, found {value!r}", "custom_events", place)
    for key in value:
        if key not in {"name", "description", "schema"}:
            message = f"unknown key {key!r} in custom_events.{near(str(key), ('name', 'description', 'schema'))}"
            raise refused(message, "custom_events", place, key)
    schema = value.get("schema")
    if schema is not None and not isinstance(schema, Mapping):
        raise refused(f"expected for schema a JSON Schema (a map), found {schema!r}", "custom_events", place, "schema")
    return CustomEvent(
        name=value["name"], description=str(value.get("description", "")), schema=copy.deepcopy(schema)
    )


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
    namespace_name: str | None = None

    def __post_init__(self) -> None:
        """Check every value and the graph."""
        put = functools.partial(object.__setattr__, self)
        if self.namespace_name is not None:
            put("namespace", self.namespace_name)
            put("namespace_name", None)
        check_name(self.name, "the definition's name", "name")
        check_name(self.namespace, "the namespace", "namespace")
        if not isinstance(self.version, str) or not SEMANTIC_VERSION.fullmatch(self.version):
            message = f"expected as version a semantic version in quotes such as '1.2.0', found {self.version!r}"
            raise refused(message, "version")
        if self.timeout_seconds == "none":
            put("timeout_seconds", None)
        _check_number(self, "timeout_seconds", above=True, none=True)
        _check_flag(self, "concurrent")
        put("schema", _frozen(self.schema))
        put("environments", _frozen(self.environments))
        put("step_templates", self._checked_steps())
        self._check_named_steps()
        _ = self.graph

    def _checked_steps(self) -> tuple[StepTemplate, ...]:
        if isinstance(self.step_templates, str | Mapping) or not isinstance(self.step_templates, Sequence):
            raise refused(f"expected for step_templates a list, found {self.step_templates!r}", "step_templates")
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
                step = StepTemplate(**value)
            else:
                raise refused(f"expected a StepTemplate or a map, found {value!r}")
        except InvalidDefinition as error:
            raise refused(error.message, "step_templates", place, *error.path) from None
        if step.dependent_system == "unknown" and self.default_dependent_system != "unknown":
            return replace(step, dependent_system=self.default_dependent_system)
        return step

    def _check_named_steps(self) -> None:
        if self.named_steps is None:
            return
        named = _texts(self, "named_steps")
        for place, step in enumerate(self.step_templates):
            if step.name not in named:
                message = f"the step {step.name!r} is missing from named_steps ({', '.join(named)})."
                raise refused(message + near(step.name, named), "step_templates", place, "name")

    @cached_property
    def graph(self) -> Graph:
        """Give the shape of the definition."""
        try:
            return Graph({step.name: step.parents for step in self.step_templates})
        except InvalidDefinition as error:
            raise refused(error.message, *self._path_of(error)) from None

    def _path_of(self, error: TaskerError) -> tuple[str | int, ...]:
        for place, step in enumerate(self.step_templates):
            if str(error).startswith(f"step {step.name!r} depends on "):
                wrong = next((p for p in step.parents if repr(p) in str(error).removeprefix(f"step {step.name!r}")), None)
                key = "depends_on_step" if wrong == step.depends_on_step or wrong is None else "depends_on_steps"
                return ("step_templates", place, key)
        return ("step_templates",)

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
        raise refused(f"expected a semantic version such as 1.2.0, found {version!r}", "version")
    numbers = tuple(int(match.group(place)) for place in (1, 2, 3))
    if match.group(4) is None:
        return (*numbers, 1, ())
    parts = tuple((0, int(part), "") if part.isdigit() else (1, 0, part) for part in match.group(4).split("."))
    return (*numbers, 0, parts)
