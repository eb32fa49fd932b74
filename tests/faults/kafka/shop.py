"""What the workers of a history with a broker run: quick steps, each leaves a line outside the log."""

from __future__ import annotations

import os
import time

from tasker import RetryableError, StepTemplate, TaskDefinition, Tasker

EFFECTS = "TASKER_TEST_EFFECTS"
"""The variable with the file of the lines."""
ENOUGH = 100
"""Attempts of a step: a killed worker costs one, and no history shall run out of them."""
SCHEMA = {"type": "object", "required": ["number"], "properties": {"number": {"type": "integer"}}}
PARENTS = {
    "chain": {"a": [], "b": ["a"], "c": ["b"]},
    "fan": {"a": [], **{f"b{one}": ["a"] for one in range(5)}, "c": [f"b{one}" for one in range(5)]},
    "alone": {"a": []},
}
"""The steps of each definition, with their parents."""


def work(task, sequence, step):
    """Leave a line, take a while, and fail as often as the request says."""
    line = f"{task.id} {step.name}\n"
    file = os.open(os.environ[EFFECTS], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(file, line.encode())  # one call: lines of several processes do not mix
    finally:
        os.close(file)
    time.sleep(task.context.get("seconds", 0))
    if step.attempt <= task.context.get("fails", 0):
        raise RetryableError("the weather is bad")
    return {"number": task.context["number"]}


def register(app: Tasker) -> None:
    """Register all."""
    for name, parents in PARENTS.items():
        steps = [
            StepTemplate(
                name=step, handler_class=work, depends_on_steps=before, default_retry_limit=ENOUGH, retry_delay=0.05
            )
            for step, before in parents.items()
        ]
        app.register(TaskDefinition(name=name, schema=SCHEMA, step_templates=steps))
