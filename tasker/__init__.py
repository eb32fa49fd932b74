"""Tasker: an event-sourced engine for multi-step tasks. Each name of its face is loaded when it is first used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tasker.app.aio import aio as aio
    from tasker.app.tasker import Tasker as Tasker
    from tasker.bus.subscriber import BaseSubscriber as BaseSubscriber
    from tasker.definitions.declare import TaskHandler as TaskHandler
    from tasker.definitions.declare import task_handler as task_handler
    from tasker.domain.definition import StepTemplate as StepTemplate
    from tasker.domain.definition import TaskDefinition as TaskDefinition
    from tasker.domain.status import StepStatus as StepStatus
    from tasker.domain.status import TaskStatus as TaskStatus
    from tasker.errors import PermanentError as PermanentError
    from tasker.errors import RetryableError as RetryableError
    from tasker.errors import TaskerError as TaskerError
    from tasker.handlers.api import ApiStepHandler as ApiStepHandler
    from tasker.handlers.native import NativeStepHandler as NativeStepHandler
    from tasker.handlers.step_handler import Manual as Manual
    from tasker.handlers.step_handler import StepHandler as StepHandler
    from tasker.handlers.step_handler import Wait as Wait
    from tasker.runtime.position import Position as Position
    from tasker.runtime.request import TaskRequest as TaskRequest

_HOMES = {
    "ApiStepHandler": "tasker.handlers.api",
    "BaseSubscriber": "tasker.bus.subscriber",
    "Manual": "tasker.handlers.step_handler",
    "NativeStepHandler": "tasker.handlers.native",
    "PermanentError": "tasker.errors",
    "Position": "tasker.runtime.position",
    "RetryableError": "tasker.errors",
    "StepHandler": "tasker.handlers.step_handler",
    "StepStatus": "tasker.domain.status",
    "StepTemplate": "tasker.domain.definition",
    "TaskDefinition": "tasker.domain.definition",
    "TaskHandler": "tasker.definitions.declare",
    "TaskRequest": "tasker.runtime.request",
    "TaskStatus": "tasker.domain.status",
    "Tasker": "tasker.app.tasker",
    "TaskerError": "tasker.errors",
    "Wait": "tasker.handlers.step_handler",
    "aio": "tasker.app.aio",
    "task_handler": "tasker.definitions.declare",
}

__all__ = [
    "ApiStepHandler",
    "BaseSubscriber",
    "Manual",
    "NativeStepHandler",
    "PermanentError",
    "Position",
    "RetryableError",
    "StepHandler",
    "StepStatus",
    "StepTemplate",
    "TaskDefinition",
    "TaskHandler",
    "TaskRequest",
    "TaskStatus",
    "Tasker",
    "TaskerError",
    "Wait",
    "aio",
    "task_handler",
]


def __getattr__(name: str) -> object:
    """Load a name of the face from its home."""
    home = _HOMES.get(name)
    if home is None:
        message = f"module 'tasker' has no attribute {name!r}"
        raise AttributeError(message)
    found = globals()[name] = getattr(import_module(home), name)
    return found


def __dir__() -> list[str]:
    """List the face."""
    return sorted([*globals(), *__all__])
