"""What `tasker new task` writes: handlers, the definition in YAML, and tests of both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tasker.cli.new.files import File
from tasker.cli.new.names import Name
from tasker.cli.new.rendering import scalar, texts

HANDLERS, DEFINITIONS, TESTS = Path("tasks"), Path("config/tasker/tasks"), Path("tests/tasks")
STEPS = ("fetch", "process", "complete")
PACKAGE = '"""The step handlers of this project, one module for each task; definitions lie in config/tasker/tasks."""\n'

_MODULE = '''\
"""The handlers of {snake}; its steps are put together in {definition}."""

from tasker import StepHandler
'''
_FIRST = '''

class {camel}(StepHandler):
    """Runs the step {snake}."""

    def process(self, task, sequence, step):
        """Take what the request brought; what is returned becomes the results."""
        return {{"id": task.context["id"]}}
'''
_NEXT = '''

class {camel}(StepHandler):
    """Runs the step {snake}."""

    def process(self, task, sequence, step):
        """Go on with the results of the step before."""
        before = sequence["{before}"].results
        return {{"id": before["id"]}}
'''
_DEFINITION = """\
# tasker.yaml names this folder, so that every command knows the definitions in it.
name: {name}
{namespace}version: "{version}"
description: {description}
module_namespace: tasks.{module}
# What a request has to bring, in JSON Schema.
schema:
  type: object
  required: [id]
  properties:
    id: {{type: integer}}
step_templates:
"""
_STEP = """\
  - name: {name}
    handler_class: {camel}
"""
_TEST = '''\
"""What must be true of {snake}."""

from pathlib import Path

import pytest
from tasker import testing
from tasker.errors import InvalidRequest

from tasks import {snake} as handlers

FOLDER = Path(__file__).resolve().parents[2] / "config/tasker/tasks"
DEFINITION = FOLDER / "{snake}.yaml"
{steps}


@pytest.fixture
def app():
    """Give an application in memory."""
    with testing.app() as made:
        yield made


def submit(app, context):
    """Submit one, with the name that the definition has."""
    (definition,) = app.load_definitions(DEFINITION)
    named = {{"name": definition.name, "namespace": definition.namespace}}
    return app.submit(**named, context=context)


def test_it_completes(app):
    """Every step completes, in this order, and hands the id on."""
    task = app.run_until_complete(submit(app, {{"id": 7}}).id, timeout=30)
    assert task.status == "complete"
    assert list(task.steps) == STEPS
    assert [step.results for step in task.steps.values()] == [{{"id": 7}}] * len(STEPS)


@pytest.mark.parametrize("context", [{{}}, {{"id": "seven"}}])
def test_a_request_needs_an_id(app, context):
    """A context without a whole number as its id is refused, and nothing is recorded."""
    with pytest.raises(InvalidRequest, match="id"):
        submit(app, context)
    assert list(app.events()) == []


def test_a_handler_alone():
    """A handler can be run without a log."""
    handler = handlers.{first}
    outcome = testing.run_step(handler, context={{"id": 7}})
    assert (outcome.results, outcome.error) == ({{"id": 7}}, None)
'''


@dataclass(frozen=True, slots=True)
class Plan:
    """What the command was asked for.

    Attributes:
        name: The name of the task.
        steps: Its steps, each behind the one before it.
        namespace: Its namespace.
        version: Its semantic version.
        description: What it is for, for people.
    """

    name: Name
    steps: Sequence[Name]
    namespace: str = "default"
    version: str = "0.1.0"
    description: str = ""


def task_files(plan: Plan, root: Path = Path()) -> list[File]:
    """Give the files of a task.

    Args:
        plan: What was asked for.
        root: The folder of the project.
    """
    snake = plan.name.snake
    return [
        File(root / HANDLERS / "__init__.py", PACKAGE, shared=True),
        File(root / HANDLERS / f"{snake}.py", _handlers(plan)),
        File(root / DEFINITIONS / f"{snake}.yaml", _definition(plan)),
        File(root / TESTS / f"test_{snake}.py", _tests(plan)),
    ]


def _handlers(plan: Plan) -> str:
    snake = plan.name.snake
    head = _MODULE.format(snake=snake, definition=(DEFINITIONS / f"{snake}.yaml").as_posix())
    first, *others = plan.steps
    parts = [head, _FIRST.format(camel=first.camel, snake=first.snake)]
    for before, step in zip(plan.steps, others, strict=False):
        parts.append(_NEXT.format(camel=step.camel, snake=step.snake, before=before.snake))
    return "".join(parts)


def _definition(plan: Plan) -> str:
    head = _DEFINITION.format(
        name=scalar(plan.name.snake),
        module=plan.name.snake,
        namespace="" if plan.namespace == "default" else f"namespace: {scalar(plan.namespace)}\n",
        version=plan.version,
        description=scalar((plan.description or _words(plan.name)).replace("${", "$${")),
    )
    parts = [head]
    for place, step in enumerate(plan.steps):
        parts.append(_STEP.format(name=scalar(step.snake), camel=scalar(step.camel)))
        if place:
            parts.append(f"    depends_on_step: {scalar(plan.steps[place - 1].snake)}\n")
    return "".join(parts)


def _tests(plan: Plan) -> str:
    steps = texts("STEPS = ", [step.snake for step in plan.steps])
    return _TEST.format(snake=plan.name.snake, steps=steps, first=plan.steps[0].camel)


def _words(name: Name) -> str:
    return name.snake.replace("_", " ").capitalize()
