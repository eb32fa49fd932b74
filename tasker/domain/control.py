"""Pauses of whole scopes: the small aggregate behind the stream `$control`."""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from tasker.domain import commands as cmd
from tasker.domain import events as ev
from tasker.domain.task import Pause
from tasker.errors import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tasker.domain.definition import TaskDefinition

STREAM = "$control"
_SCOPE = re.compile(r"all|namespace:[^:\s]+|task:[^:\s.]+\.[^:\s]+|system:\S(?:.*\S)?")


class Control(NamedTuple):
    """Which scopes are paused, by whom, since when; `last_at` is the time of the last event."""

    version: int = 0
    pauses: Mapping[str, Pause] = MappingProxyType({})
    last_at: ev.Instant = 0


def check_scope(scope: str) -> str:
    """Give a legal scope back.

    Raises:
        InvalidRequest: It is none of `all`, `namespace:x`, `task:namespace.name`, `system:x`.
    """
    if not _SCOPE.fullmatch(scope):
        message = f"expected as scope all, namespace:NAME, task:NAMESPACE.NAME or system:NAME; found {scope!r}"
        raise InvalidRequest(message, problems={"$.scope": message})
    return scope


def decide_control(control: Control, command: cmd.ControlCommand) -> tuple[ev.ControlEvent, ...]:
    """Say what happens when a scope is paused or resumed; none if it is already so.

    Raises:
        InvalidRequest: The scope is none of the four forms.
    """
    scope = check_scope(command.scope)
    pausing = isinstance(command, cmd.PauseScope)
    if pausing == (scope in control.pauses):
        return ()
    kind = ev.ControlPaused if pausing else ev.ControlResumed
    return (kind(at=max(command.now, control.last_at), scope=scope, actor=command.actor, reason=command.reason),)


def evolve_control(control: Control, event: ev.ControlEvent) -> Control:
    """Give the pauses after one event."""
    pauses = dict(control.pauses)
    if isinstance(event, ev.ControlPaused):
        pauses[event.scope] = Pause(event.actor, event.reason, event.at)
    else:
        pauses.pop(event.scope, None)
    return Control(control.version + 1, MappingProxyType(pauses), event.at)


def scopes_over(definition: TaskDefinition, number: int) -> tuple[str, str, str, str]:
    """Name the scopes that a step lies in, the widest first.

    Args:
        definition: The task's definition.
        number: Ordinal of the step.
    """
    namespace, name = definition.namespace, definition.name
    system = definition.step_templates[number].dependent_system
    return "all", f"namespace:{namespace}", f"task:{namespace}.{name}", f"system:{system}"


def pause_over(control: Control, definition: TaskDefinition, number: int) -> tuple[str, Pause] | None:
    """Give the widest scope whose pause keeps a step from starting, with that pause, or None.

    Args:
        control: The pauses.
        definition: The task's definition.
        number: Ordinal of the step.
    """
    if not control.pauses:
        return None
    for scope in scopes_over(definition, number):
        if scope in control.pauses:
            return scope, control.pauses[scope]
    return None
