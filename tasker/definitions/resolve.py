"""Finish a declaration: choose the environment, find the handlers, check what only their objects can tell."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from types import BuiltinFunctionType, FunctionType
from typing import TypeVar

from tasker.definitions.api_steps import checked_api_step, is_api_step
from tasker.definitions.environments import applied
from tasker.definitions.names import named_object
from tasker.definitions.native_steps import check_native_step, compiled_handler
from tasker.definitions.schemas import compiled
from tasker.definitions.secrets import placeholders
from tasker.domain.declared import changed, check_event_name, declared, refused, shown
from tasker.domain.definition import CustomEvent, HandlerClass, StepTemplate, TaskDefinition
from tasker.errors import InvalidDefinition, InvalidRequest
from tasker.handlers.values import to_json

_STRATEGIES = ("always_unique", "strict")
_Path = tuple[str | int, ...]
_T = TypeVar("_T")


def resolve(definition: TaskDefinition, *, environment: str | None) -> TaskDefinition:
    """Make a definition ready for registration; a resolved one comes back equal.

    Args:
        definition: As it was declared.
        environment: Which of its `environments` counts, or None for none.

    Returns:
        The definition with objects as handlers, without environments, with the backoff keys of API steps in force.

    Raises:
        InvalidDefinition: Something is wrong; `path` leads to it.
    """
    if definition.environments:
        keys = {one.name: getattr(definition, one.name) for one in fields(definition)}
        definition = declared(TaskDefinition, applied(keys, environment))
    schema = definition.schema
    if schema is not None:
        schema = _json_map(schema, "schema")
        compiled(schema, "schema")
    handlers: dict[object, object] = {}  # so that a class that many steps share is looked at once
    steps = [
        _step(step, ("step_templates", place), definition.module_namespace, handlers)
        for place, step in enumerate(definition.step_templates)
    ]
    return replace(
        definition,
        schema=schema,
        step_templates=steps,
        task_handler_class=_hooks(definition),
        identity_strategy=_identity(definition),
        environments={},
    )


def _step(step: StepTemplate, path: _Path, namespace: str | None, handlers: dict[object, object]) -> StepTemplate:
    handler = step.handler_class
    key = handler if isinstance(handler, str) else id(handler)
    if key not in handlers:
        handlers[key] = _at((*path, "handler_class"), lambda: _handler(handler, namespace))
    config = step.handler_config
    if config:
        config = _json_map(config, *path, "handler_config")
        _at((*path, "handler_config"), lambda: placeholders(config))
    if handlers[key] is not handler or config != step.handler_config:
        step = changed(step, {"handler_class": handlers[key], "handler_config": config})
    if step.custom_events:
        _check_custom_events(step, path)
    _at(path, lambda: check_native_step(step))
    return _at(path, lambda: checked_api_step(step)) if is_api_step(step) else step


def _at(path: _Path, work: Callable[[], _T]) -> _T:
    """Do some work; what it refuses stands below `path`."""
    try:
        return work()
    except InvalidDefinition as error:
        raise InvalidDefinition(error.message, path=(*path, *error.path)) from error.__cause__


def _handler(handler: HandlerClass, namespace: str | None) -> object:
    found = named_object(handler, namespace, "handler_class") if isinstance(handler, str) else handler
    if isinstance(found, type):
        if callable(getattr(found, "process", None)):
            return found
        raise refused(f"expected a class with the method process(task, sequence, step), found {found.__qualname__}")
    if isinstance(found, FunctionType):
        _check_signature(found)
        return found
    if isinstance(found, BuiltinFunctionType):
        return compiled_handler(found)
    if callable(found) or callable(getattr(found, "process", None)):
        return found
    raise refused(f"expected a class or a function as handler_class, found {shown(found)}")


def _check_signature(function: FunctionType) -> None:
    try:
        inspect.signature(function).bind(None, None, None)
    except TypeError as error:
        expected = "a function of the arguments (task, sequence, step)"
        raise refused(f"expected {expected}, found {function.__qualname__}: {error}") from None


def _hooks(definition: TaskDefinition) -> type | None:
    wanted = definition.task_handler_class
    if isinstance(wanted, str):
        name, namespace = wanted, definition.module_namespace
        wanted = _at(("task_handler_class",), lambda: _class(named_object(name, namespace, "task_handler_class")))
    return None if wanted is None else _at(("task_handler_class",), lambda: _class(wanted))


def _class(found: object) -> type:
    if isinstance(found, type):
        return found
    raise refused(f"expected a class as task_handler_class, found {shown(found)}")


def _identity(definition: TaskDefinition) -> str | Callable[..., str] | None:
    wanted = definition.identity_strategy
    if not isinstance(wanted, str) or wanted in _STRATEGIES:
        return wanted
    if not set(".:") & set(wanted) and definition.module_namespace is None:
        expected = f"{', '.join(_STRATEGIES)} or the name of a function such as pkg.module:function"
        raise refused(f"expected as identity_strategy {expected}; found {wanted!r}", "identity_strategy")
    path: _Path = ("identity_strategy",)
    found = _at(path, lambda: named_object(wanted, definition.module_namespace, "identity_strategy"))
    if callable(found):
        return found
    raise refused(f"expected a function as identity_strategy, found {shown(found)}", *path)


def _check_custom_events(step: StepTemplate, path: _Path) -> None:
    for place, event in enumerate(step.custom_events):
        here: _Path = (*path, "custom_events", place)
        if isinstance(event, CustomEvent):
            check_event_name(event.name, *here, "name")
            if event.schema is not None:
                compiled(_json_map(event.schema, *here, "schema"), *here, "schema")


def _json_map(value: Mapping[str, object], *path: str | int) -> dict[str, object]:
    """Give a map as plain JSON, or refuse it at the first value that is none."""
    try:
        plain, _ = to_json(value, what=str(path[-1]))
    except InvalidRequest as error:
        raise refused(str(error), *path) from None
    return plain if isinstance(plain, dict) else {}
