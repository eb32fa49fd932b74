"""Handlers that do nothing, in a module of their own so that their names mean something in a log, and their plans."""

from __future__ import annotations

import time

import tasker
from tasker import RetryableError, StepTemplate, TaskDefinition
from tasker.domain.definition import HandlerClass
from tasker.handlers.attempt_step import AttemptStep
from tasker.handlers.views import Sequence, Step, Task

LATER = "TASKER_BENCH_LATER"
"""A variable that the process which writes a log of live tasks lacks, and the one that goes on with it has."""


def nothing(task: Task, sequence: Sequence, step: Step) -> dict[str, int]:
    """Do nothing."""
    return {}


def block(task: Task, sequence: Sequence, step: Step) -> dict[str, int]:
    """Block for a millisecond."""
    time.sleep(0.001)
    return {}


def stumble(task: Task, sequence: Sequence, step: AttemptStep) -> dict[str, object]:
    """Fail the first attempt of one step in twenty; give results as a small order has them."""
    number = int(task.context["n"])
    if step.attempt == 1 and (number * 7 + len(step.name) + ord(step.name[-1])) % 20 == 0:
        raise RetryableError("the other side was busy", context={"status": 503})
    return {"order_id": number, "state": "accepted", "items": [1, 2, 3]}


def _row(name: str, handlers: list[HandlerClass], retry_delay: float = 1.0) -> TaskDefinition:
    steps = [
        StepTemplate(
            name=f"s{place}",
            handler_class=handler,
            depends_on_steps=[f"s{place - 1}"] if place else [],
            retry_delay=retry_delay,
        )
        for place, handler in enumerate(handlers)
    ]
    return TaskDefinition(name=name, step_templates=steps)


def chain(size: int, name: str = "chain", handler: HandlerClass = nothing) -> TaskDefinition:
    """Give a definition whose steps follow each other."""
    return _row(name, [handler] * size)


def order(size: int) -> TaskDefinition:
    """Give a definition as histories have it: some attempts fail and are retried."""
    return _row(f"order{size}", [stumble] * size, retry_delay=0.01)


def half_done() -> TaskDefinition:
    """Give a definition of four steps of which the third waits for a process that has its variable."""
    steps = [
        StepTemplate(
            name=f"s{place}",
            handler_class=nothing,
            depends_on_steps=[f"s{place - 1}"] if place else [],
            handler_config={"key": f"${{{LATER}}}"} if place == 2 else {},
        )
        for place in range(4)
    ]
    return TaskDefinition(name="half_done", step_templates=steps)


def fan(size: int) -> TaskDefinition:
    """Give a definition with one root on which all other steps depend."""
    leaves = [StepTemplate(name=f"s{place}", handler_class=nothing, depends_on_step="s0") for place in range(1, size)]
    return TaskDefinition(name=f"fan{size}", step_templates=[StepTemplate(name="s0", handler_class=nothing), *leaves])


def waiting() -> TaskDefinition:
    """Give a definition of four steps whose first waits for somebody outside."""
    return _row("waiting", [tasker.Manual, nothing, nothing, nothing])
