"""What changed from one definition to another: steps, dependencies, settings, their order."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from tasker.domain.declared import listed, registry_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from tasker.domain.definition import Json, StepTemplate, TaskDefinition

_TASK_VALUES = ("version", "concurrent", "timeout_seconds")
_STEP_VALUES = (
    "dependent_system", "default_retryable", "default_retry_limit", "skippable", "timeout_seconds",
    "heartbeat_timeout_seconds", "retry_delay", "max_delay", "jitter", "enable_exponential_backoff",
)  # fmt: skip
_TEXTS = frozenset({"description"})
_LISTED = 10


class ChangeKind(StrEnum):
    """What kind of change it is."""

    ADDED = "added"
    REMOVED = "removed"
    REWIRED = "rewired"
    SETTINGS = "settings"
    ORDER = "order"


class Change(NamedTuple):
    """One difference of two definitions.

    Attributes:
        kind: What kind.
        step: The step that it is about, None for the task as a whole.
        text: The sentence shown to people; values that may be secret do not stand in it.
    """

    kind: ChangeKind
    step: str | None
    text: str


def changes(old: TaskDefinition, new: TaskDefinition) -> tuple[Change, ...]:
    """Say what changed: the task's own settings first, then steps in topological order, those removed last.

    Args:
        old: The definition as it was.
        new: As it is to be.

    Returns:
        The changes; none where both are the same plan.
    """
    before = {step.name: step for step in old.step_templates}
    after = {step.name: step for step in new.step_templates}
    found = [Change(ChangeKind.SETTINGS, None, text) for text in _task_settings(old, new)]
    for name in new.graph.topological_order:
        if name in before:
            found += _step_changes(before[name], after[name])
        else:
            found.append(Change(ChangeKind.ADDED, name, f"added, {behind(after[name].parents)}"))
    gone = (name for name in old.graph.topological_order if name not in after)
    found += [Change(ChangeKind.REMOVED, name, f"removed, it was {behind(before[name].parents)}") for name in gone]
    if [name for name in before if name in after] != [name for name in after if name in before]:
        found.append(Change(ChangeKind.ORDER, None, "the steps are declared in another order"))
    return tuple(found)


def behind(parents: Sequence[str]) -> str:
    """Say where in the graph a step with such parents stands."""
    return f"behind {listed(parents)}" if parents else "at the beginning"


def _step_changes(old: StepTemplate, new: StepTemplate) -> Iterator[Change]:
    if set(old.parents) != set(new.parents):
        text = f"stands {behind(new.parents)}; it stood {behind(old.parents)}"
        yield Change(ChangeKind.REWIRED, new.name, text)
    for text in _step_settings(old, new):
        yield Change(ChangeKind.SETTINGS, new.name, text)


def _task_settings(old: TaskDefinition, new: TaskDefinition) -> Iterator[str]:
    yield from _values(old, new, _TASK_VALUES)
    yield from _value("task_handler_class", old.task_handler, new.task_handler)
    strategies = [None if one is None else registry_name(one) for one in (old.identity_strategy, new.identity_strategy)]
    yield from _value("identity_strategy", *strategies)
    yield from _paths("schema", old.schema, new.schema)
    yield from _values(old, new, _TEXTS)


def _step_settings(old: StepTemplate, new: StepTemplate) -> Iterator[str]:
    yield from _value("handler_class", old.handler, new.handler)
    yield from _values(old, new, _STEP_VALUES)
    yield from _paths("handler_config", old.handler_config, new.handler_config)
    if old.custom_events != new.custom_events:
        yield "custom_events changed"
    yield from _values(old, new, _TEXTS)


def _values(old: object, new: object, keys: Iterable[str]) -> Iterator[str]:
    for key in keys:
        yield from _value(key, getattr(old, key), getattr(new, key))


def _value(key: str, old: object, new: object) -> Iterator[str]:
    if old != new:
        yield f"{key} changed" if key in _TEXTS else f"{key} is {_told(new)}; it was {_told(old)}"


def _told(value: object) -> str:
    """Spell a value as YAML does."""
    if value is None:
        return "none"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _paths(key: str, old: Json, new: Json) -> Iterator[str]:
    """Name what differs in a map by its keys alone: a value may be a secret."""
    differing = sorted(set(_differing(old, new, key)))
    if differing:
        yield f"{listed(differing, _LISTED)} changed"


def _differing(old: Json, new: Json, path: str) -> Iterator[str]:
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in [*old, *(key for key in new if key not in old)]:
            if key in old and key in new:
                yield from _differing(old[key], new[key], f"{path}.{key}")
            else:
                yield f"{path}.{key}"
    elif old != new:
        yield path
