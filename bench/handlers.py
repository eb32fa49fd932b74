"""Handlers that do nothing, in a module of their own so that their names mean something in a log, and their plans."""

from __future__ import annotations

import tasker
from tasker import StepTemplate, TaskDefinition
from tasker.handlers.views import Sequence, Step, Task


def nothing(task: Task, sequence: Sequence, step: Step) -> dict[str, int]:
    """Do nothing."""
    return {}


def chain(size: int, name: str = "chain") -> TaskDefinition:
    """Give a definition whose steps follow each other."""
    steps = [
        StepTemplate(name=f"s{place}", handler_class=nothing, depends_on_steps=[f"s{place - 1}"] if place else [])
        for place in range(size)
    ]
    return TaskDefinition(name=name, step_templates=steps)


def fan(size: int) -> TaskDefinition:
    """Give a definition with one root on which all other steps depend."""
    leaves = [StepTemplate(name=f"s{place}", handler_class=nothing, depends_on_step="s0") for place in range(1, size)]
    return TaskDefinition(name="fan", step_templates=[StepTemplate(name="s0", handler_class=nothing), *leaves])


def waiting() -> TaskDefinition:
    """Give a definition of four steps whose first waits for somebody outside."""
    first = StepTemplate(name="s0", handler_class=tasker.Manual)
    rest = [StepTemplate(name=f"s{n}", handler_class=nothing, depends_on_step=f"s{n - 1}") for n in range(1, 4)]
    return TaskDefinition(name="waiting", step_templates=[first, *rest])
