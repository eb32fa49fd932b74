"""Overrides for an environment: maps merge, lists replace, steps merge by name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields

from tasker.definitions.marked import Marked, MarkedList
from tasker.domain.declared import OTHER_NAMES, keys_of, refused, shown
from tasker.domain.definition import StepTemplate, TaskDefinition
from tasker.errors import near

_STEPS = "step_templates"
_TASK_KEYS = (keys_of(TaskDefinition) | {"namespace_name"}) - {"environments"}
_STEP_KEYS = keys_of(StepTemplate) | {"jitter_factor"}


def applied(declaration: Mapping[str, object], environment: str | None) -> dict[str, object]:
    """Lay the overrides of an environment over a declaration.

    Args:
        declaration: The keys of a definition; steps are maps or templates.
        environment: The name of the environment, or None for none.

    Returns:
        The keys without `environments`.

    Raises:
        InvalidDefinition: The overrides of any environment name an unknown key or step.
    """
    result = renamed(declaration)
    result[_STEPS] = _renamed_steps(result.get(_STEPS))
    environments = result.pop("environments", None) or {}
    _check(environments, result[_STEPS])
    override = environments.get(environment) if isinstance(environments, Mapping) and environment else None
    if not isinstance(override, Mapping):
        return result
    override = renamed(override)
    steps = override.pop(_STEPS, None)
    result = merged(result, override)
    if isinstance(steps, Sequence):
        result[_STEPS] = _merged_steps(result.get(_STEPS), steps)
    return result


def renamed(declaration: Mapping[str, object], *path: str | int) -> Marked:
    """Copy a map, with the keys of the original format under the names they have here; lines are kept.

    Args:
        declaration: The keys of a definition or of a step.
        path: Where it stands, for the error.

    Raises:
        InvalidDefinition: A key stands there under both names.
    """
    result = Marked(declaration, lines_of(declaration), line=_line_of(declaration))
    for other, key in OTHER_NAMES.items():
        if other in result and key in result:
            raise refused(f"{other} and {key} are the same key; write one of them", *path, other)
        if other in result:
            result[key] = result.pop(other)
            if other in result.lines:
                result.lines[key] = result.lines[other]
    return result


def merged(base: Mapping[str, object], over: Mapping[str, object]) -> Marked:
    """Lay one map over another: maps merge, everything else is replaced; each key keeps the line it comes from."""
    result = Marked(base, lines_of(base), line=_line_of(base))
    lines = lines_of(over)
    for key, value in over.items():
        below = result.get(key)
        if key in lines and (key not in base or below != value):
            result.lines[key] = lines[key]
        result[key] = merged(below, value) if isinstance(below, Mapping) and isinstance(value, Mapping) else value
    return result


def _renamed_steps(steps: object) -> object:
    if isinstance(steps, str | Mapping) or not isinstance(steps, Sequence):
        return () if steps is None else steps  # what is no list is refused when the definition is built
    renamed_ = [renamed(step, _STEPS, place) if isinstance(step, Mapping) else step for place, step in enumerate(steps)]
    lines = list(steps.lines) if isinstance(steps, MarkedList) else []
    return MarkedList(renamed_, lines, line=_line_of(steps))


def lines_of(value: Mapping[str, object]) -> dict[str, int]:
    """Give the lines of the keys of a map, where they are known."""
    return dict(value.lines) if isinstance(value, Marked) else {}


def _line_of(value: object) -> int:
    return value.line if isinstance(value, Marked | MarkedList) else 0


def _check(environments: object, steps: object) -> None:
    """Check the overrides of all environments: what is wrong in production should be found in a test."""
    if not isinstance(environments, Mapping):
        raise refused(f"expected for environments a map, found {shown(environments)}", "environments")
    known = {name for step in steps if (name := _name_of(step)) is not None} if isinstance(steps, Iterable) else set()
    for name, override in environments.items():
        if override is None:
            continue
        path = ("environments", name)
        if not isinstance(override, Mapping):
            raise refused(f"expected as overrides of {name!r} a map, found {shown(override)}", *path)
        _check_keys(override, _TASK_KEYS, *path)
        steps_here = override.get(_STEPS)
        if steps_here is not None:
            _check_steps(steps_here, known, *path, _STEPS)


def _check_steps(steps: object, known: set[str], *path: str | int) -> None:
    if isinstance(steps, str) or not isinstance(steps, Sequence):
        raise refused(f"expected a list of steps, found {shown(steps)}", *path)
    for place, step in enumerate(steps):
        if not isinstance(step, Mapping):
            raise refused(f"expected a map with the name of a step, found {shown(step)}", *path, place)
        name = step.get("name")
        if not isinstance(name, str):
            raise refused(f"expected the name of the step to override, found {shown(name)}", *path, place)
        if name not in known:
            message = f"the override names the step {name!r}, which is no step of this definition."
            raise refused(message + near(name, known), *path, place, "name")
        _check_keys(step, _STEP_KEYS, *path, place)


def _check_keys(override: Mapping[str, object], known: frozenset[str], *path: str | int) -> None:
    renamed(override, *path)
    for key in override:
        if key not in known:
            raise refused(f"unknown key {key!r} in the overrides of an environment.{near(str(key), known)}", *path, key)


def _merged_steps(base: object, overrides: Sequence[object]) -> MarkedList:
    """Merge steps by name, in their first order; every name is known by now."""
    steps = list(base) if isinstance(base, Sequence) else []
    places = {_name_of(step): place for place, step in enumerate(steps)}
    for override in overrides:
        if isinstance(override, Mapping):
            place = places[_name_of(override)]
            steps[place] = merged(_mapping(steps[place]), renamed(override))
    lines = list(base.lines) if isinstance(base, MarkedList) else []
    return MarkedList(steps, lines, line=_line_of(base))


def _name_of(step: object) -> str | None:
    name = step.get("name") if isinstance(step, Mapping) else getattr(step, "name", None)
    return name if isinstance(name, str) else None


def _mapping(step: object) -> Mapping[str, object]:
    if isinstance(step, StepTemplate):
        return {one.name: getattr(step, one.name) for one in fields(step)}
    return step if isinstance(step, Mapping) else {}
