"""Declare a task as a class: its attributes are the keys of YAML, `@task_handler` gives it its name."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, TypeVar

from tasker.domain.declared import OTHER_NAMES, declared, keys_of, shown
from tasker.domain.definition import TaskDefinition, refused
from tasker.errors import InvalidDefinition

if TYPE_CHECKING:
    from tasker.handlers.views import Sequence, Step, Task

_DECLARED = "__tasker_definition__"
# `name` of a class is its registry name, as for every handler; the name of the definition stands in the decorator.
_KEYS = (keys_of(TaskDefinition) | {"namespace_name"}) - {"name", "task_handler_class"}
_MISSPELT = 0.85  # how much an attribute resembles a key before it is taken for one
_Class = TypeVar("_Class", bound=type)


class TaskHandler:
    """Base class of a task that is declared as a class.

    Class attributes are the keys of a definition: schema, step_templates, namespace, version and so on.
    """

    def update_annotations(self, task: Task, sequence: Sequence, steps: Iterable[Step]) -> None:
        """Annotate the task (`task.annotate(type, value)`) just before an outcome ends it; by default do nothing.

        Args:
            task: The task as it stands.
            sequence: All its steps, in topological order.
            steps: The completed steps.
        """


def task_handler(name: str, **keys: object) -> Callable[[_Class], _Class]:
    """Declare the decorated `TaskHandler` as a definition.

    Args:
        name: The name of the definition.
        **keys: Keys of a definition; they win over attributes of the class.

    Raises:
        InvalidDefinition: A key is unknown, or a value breaks a rule.
    """
    if not isinstance(name, str):
        raise refused(f"expected @task_handler('a_name'), found {shown(name)} as the name", "name")

    def decorate(cls: _Class) -> _Class:
        if not issubclass(cls, TaskHandler):
            raise refused(f"expected a subclass of TaskHandler under @task_handler({name!r}), found {cls.__name__}")
        _refuse_misspelt(cls)
        found = {key: getattr(cls, key) for key in _KEYS if hasattr(cls, key)} | keys
        found.setdefault("module_namespace", cls.__module__)
        if "task_handler_class" in found:
            message = f"@task_handler({name!r}) makes the class itself the task_handler_class; leave the key out"
            raise refused(message, "task_handler_class")
        hooks = {"task_handler_class": cls} if has_hook(cls) else {}
        setattr(cls, _DECLARED, declared(TaskDefinition, {"name": name, **found, **hooks}))
        return cls

    return decorate


def definition_of(thing: object) -> TaskDefinition:
    """Give the definition that a class declares, or the definition itself.

    Raises:
        InvalidDefinition: It is neither a `TaskDefinition` nor a `TaskHandler` under `@task_handler`.
    """
    if isinstance(thing, TaskDefinition):
        return thing
    if isinstance(thing, type) and issubclass(thing, TaskHandler):
        found = vars(thing).get(_DECLARED)  # only its own: a subclass declares another task
        if isinstance(found, TaskDefinition):
            return found
        raise refused(f"the class {thing.__qualname__} is not declared yet: decorate it with @task_handler('a_name')")
    expected = "a TaskDefinition or a TaskHandler class under @task_handler('a_name')"
    raise refused(f"expected {expected}, found {shown(thing)}")


def has_hook(cls: object) -> bool:
    """Tell whether a class overrides `update_annotations`."""
    own = getattr(cls, "update_annotations", None)
    return callable(own) and own is not TaskHandler.update_annotations


def _refuse_misspelt(cls: type) -> None:
    """Refuse an attribute that is nearly a key: left alone, it would silently do nothing."""
    names = {name for base in cls.__mro__[:-1] for name in vars(base) if not name.startswith("_")}
    for name in sorted(names - _KEYS - {"name", "update_annotations"} - OTHER_NAMES.keys()):
        near = difflib.get_close_matches(name, sorted(_KEYS), n=1, cutoff=_MISSPELT)
        if near and not callable(getattr(cls, name)):
            message = f"the attribute {name!r} of {cls.__qualname__} is no key. Did you mean {near[0]!r}?"
            raise InvalidDefinition(message, path=(name,))
