"""Commands of operators on tasks: cancel, pause, resume, retry, resolve, update, annotate, erase."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from tasker.cli import DONE
from tasker.cli.common import Actor, Cli, Reason, TaskId, actor_or_user, command, parse_object

if TYPE_CHECKING:
    from tasker.app.tasker import Tasker
    from tasker.codec.recorded import RecordedEvent
    from tasker.handlers.views import Task

OptionalId = Annotated[str | None, typer.Argument(metavar="[ID]", help="The id of the task.", show_default=False)]
Scope = Annotated[
    str | None, typer.Option(metavar="SCOPE", help="Instead of a task: all, namespace:x, task:ns.name or system:x.")
]


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    for body in (cancel, pause, resume, retry, resolve, update, annotate, erase):
        command(app, body.__name__)(body)


def print_changed(cli: Cli, task: Task) -> int:
    """Print where a task stands after a command."""
    from tasker.cli.views import summary

    paused = " (paused)" if task.paused else ""
    cli.out.one(summary(task), f"{task.id} {task.status}{paused}, position {task.position}")
    return DONE


def cancel(cli: Cli, task_id: TaskId, *, reason: Reason = None, actor: Actor = None) -> int:
    """Cancel a task.

    Running handlers are asked to stop, and nothing else starts.
    """
    with cli.existing() as app:
        return print_changed(cli, app.cancel(task_id, actor=actor_or_user(actor), reason=reason))


def pause(
    cli: Cli, task_id: OptionalId = None, *, scope: Scope = None, reason: Reason = None, actor: Actor = None
) -> int:
    """Pause a task or a scope.

    Nothing starts any more; what runs is finished.
    """
    by = actor_or_user(actor)
    with _target(cli, task_id, scope) as app:
        if scope is not None:
            return _print_control(cli, app.pause(scope=scope, actor=by, reason=reason))
        return print_changed(cli, app.pause(str(task_id), actor=by, reason=reason))


def resume(
    cli: Cli, task_id: OptionalId = None, *, scope: Scope = None, reason: Reason = None, actor: Actor = None
) -> int:
    """Resume a task or a scope."""
    by = actor_or_user(actor)
    with _target(cli, task_id, scope) as app:
        if scope is not None:
            return _print_control(cli, app.resume(scope=scope, actor=by, reason=reason))
        return print_changed(cli, app.resume(str(task_id), actor=by, reason=reason))


@contextmanager
def _target(cli: Cli, task_id: str | None, scope: str | None) -> Iterator[Tasker]:
    """Open the log for a command on either a task or a scope."""
    if (task_id is None) == (scope is None):
        msg = "expected the id of a task or --scope, and not both"
        raise typer.BadParameter(msg)
    with cli.existing() as app:
        yield app


def _print_control(cli: Cli, recorded: RecordedEvent) -> int:
    from tasker.cli.views import event

    cli.out.one(event(recorded), f"{recorded.type} {recorded.body.get('scope')}, position {recorded.position}")
    return DONE


def retry(cli: Cli, task_id: TaskId, *, reason: Reason = None, actor: Actor = None) -> int:
    """Reopen a task in error.

    Every step in error gets a new budget of attempts.
    """
    with cli.existing() as app:
        return print_changed(cli, app.retry(task_id, actor=actor_or_user(actor), reason=reason))


def resolve(cli: Cli, task_id: TaskId, *, reason: Reason = None, actor: Actor = None) -> int:
    """Close a task in error by hand.

    Its status becomes resolved_manually.
    """
    with cli.existing() as app:
        return print_changed(cli, app.resolve(task_id, actor=actor_or_user(actor), reason=reason))


def update(
    cli: Cli,
    task_id: TaskId,
    *,
    reason: Annotated[str | None, typer.Option(help="The task's new reason.")] = None,
    tag: Annotated[list[str] | None, typer.Option(help="The task's new tags; repeat it.")] = None,
    actor: Actor = None,
) -> int:
    """Change the reason or the tags of a task."""
    if reason is None and not tag:
        msg = "expected --reason or --tag: there is nothing to change"
        raise typer.BadParameter(msg)
    with cli.existing() as app:
        return print_changed(cli, app.update(task_id, reason=reason, tags=tag or None, actor=actor_or_user(actor)))


def annotate(
    cli: Cli,
    task_id: TaskId,
    type: Annotated[str, typer.Argument(help="What kind of note it is.", show_default=False)],
    value: Annotated[str, typer.Argument(help="A JSON object, or @file.", show_default=False)],
    *,
    reason: Reason = None,
    actor: Actor = None,
) -> int:
    """Add an annotation to a task."""
    noted = parse_object(value, "value")
    with cli.existing() as app:
        return print_changed(cli, app.annotate(task_id, type, noted, actor=actor_or_user(actor), reason=reason))


def erase(
    cli: Cli,
    task_ids: Annotated[list[str], typer.Argument(metavar="ID...", help="Tasks in error or final.")],
    *,
    reason: Annotated[str, typer.Option(help="Why; it is recorded.", show_default=False)],
    actor: Actor = None,
) -> int:
    """Erase the payloads of ended tasks.

    Context, results, errors and annotations are gone for ever; the chain of hashes stays valid.
    """
    with cli.existing() as app:
        for task_id in task_ids:
            task = app.erase(task_id, reason=reason, actor=actor_or_user(actor))
            cli.out.one({"id": task.id, "erased": True, "position": task.position}, f"{task.id} erased")
    return DONE
