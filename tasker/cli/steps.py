"""Commands of operators on steps: reset, resolve, complete, cancel, update."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from tasker.cli import DONE
from tasker.cli.common import (
    Actor,
    Cli,
    Reason,
    StepName,
    TaskId,
    actor_or_user,
    command,
    group,
    parse_json,
    parse_object,
)

if TYPE_CHECKING:
    from tasker.handlers.views import Task

Results = Annotated[str, typer.Option(metavar="JSON", help="The step's results: JSON, or @file.")]


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    steps = group(app, "step", "Steer a single step of a task.")
    for body in (reset, resolve, complete, cancel, update):
        command(steps, body.__name__)(body)


def _print(cli: Cli, task: Task, name: str) -> int:
    from tasker.cli import views

    step = task.step(name)
    data = {"id": task.id, "status": task.status, "position": task.position, "step": views.step(step)}
    cli.out.one(data, f"{task.id} {task.status}; step {name} {step.status}, position {task.position}")
    return DONE


def reset(
    cli: Cli,
    task_id: TaskId,
    step: StepName,
    *,
    rerun: Annotated[bool, typer.Option("--rerun", help="Give it a new idempotency key: do the effect again.")] = False,
    reason: Reason = None,
    actor: Actor = None,
) -> int:
    """Run a failed step again.

    It gets a new budget of attempts.
    """
    with cli.existing() as app:
        task = app.reset_step(task_id, step, rerun=rerun, reason=reason, actor=actor_or_user(actor))
        return _print(cli, task, step)


def resolve(
    cli: Cli, task_id: TaskId, step: StepName, *, results: Results = "{}", reason: Reason = None, actor: Actor = None
) -> int:
    """Give a step its results by hand.

    Its dependents run.
    """
    value = parse_json(results, "results")
    with cli.existing() as app:
        task = app.resolve_step(task_id, step, results=value, reason=reason, actor=actor_or_user(actor))
        return _print(cli, task, step)


def complete(
    cli: Cli, task_id: TaskId, step: StepName, *, results: Results = "{}", reason: Reason = None, actor: Actor = None
) -> int:
    """Complete a waiting step.

    The approval or the callback has come.
    """
    value = parse_json(results, "results")
    with cli.existing() as app:
        task = app.complete_step(task_id, step, results=value, reason=reason, actor=actor_or_user(actor))
        return _print(cli, task, step)


def cancel(cli: Cli, task_id: TaskId, step: StepName, *, reason: Reason = None, actor: Actor = None) -> int:
    """Cancel a step and everything behind it."""
    with cli.existing() as app:
        return _print(cli, app.cancel_step(task_id, step, reason=reason, actor=actor_or_user(actor)), step)


def update(
    cli: Cli,
    task_id: TaskId,
    step: StepName,
    *,
    inputs: Annotated[str | None, typer.Option(metavar="JSON", help="New inputs: a JSON object, or @file.")] = None,
    retry_limit: Annotated[int | None, typer.Option(min=1, help="How many attempts in all.")] = None,
    reason: Reason = None,
    actor: Actor = None,
) -> int:
    """Change inputs or number of attempts.

    The step may not be finished.
    """
    if inputs is None and retry_limit is None:
        msg = "expected --inputs or --retry-limit: there is nothing to change"
        raise typer.BadParameter(msg)
    new = None if inputs is None else parse_object(inputs, "inputs")
    by = actor_or_user(actor)
    with cli.existing() as app:
        task = app.update_step(task_id, step, inputs=new, retry_limit=retry_limit, reason=reason, actor=by)
        return _print(cli, task, step)
