"""Commands that look: tasks, show, why, events, catalog."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from tasker.cli import DONE
from tasker.cli.common import At, Cli, Folders, TaskId, command, parse_at, parse_json, parse_time

if TYPE_CHECKING:
    from tasker.app.tasker import Tasker
    from tasker.catalog.entry import CatalogEntry
    from tasker.cli.output import Output
    from tasker.codec.recorded import RecordedEvent
    from tasker.handlers.views import Step, Task

_POLL = 0.2  # seconds between two looks at the log for --follow
_PAGE = 1000
_LISTED = ("id", "name", "status", "percent", "health", "created", "reason")
_ENTRIES = ("name", "category", "declared", "description")
_STEPS = ("step", "status", "attempts", "waits_for", "ended", "results")


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    command(app, "tasks")(tasks)
    command(app, "show")(show)
    command(app, "why")(why)
    command(app, "events")(events)
    command(app, "catalog")(catalog)


def tasks(
    cli: Cli,
    *,
    status: Annotated[str | None, typer.Option(help="pending, in_progress, complete, error, …")] = None,
    name: Annotated[str | None, typer.Option(help="The name of the definition.")] = None,
    namespace: Annotated[str | None, typer.Option(help="The namespace.")] = None,
    tag: Annotated[str | None, typer.Option(help="A tag.")] = None,
    annotation: Annotated[str | None, typer.Option(metavar="TYPE:KEY=JSON", help="A value in an annotation.")] = None,
    system: Annotated[str | None, typer.Option(help="A system that a step depends on.")] = None,
    created_after: Annotated[str | None, typer.Option(metavar="TIME", help="Created after this time.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=200, help="At most so many.")] = 50,
    cursor: Annotated[str | None, typer.Option(help="Where the page before ended.")] = None,
) -> int:
    """List tasks, newest first."""
    from tasker.cli.views import summary

    with cli.existing() as app:
        page = app.tasks(
            status=status,
            name=name,
            namespace=namespace,
            tag=tag,
            annotation=_annotation(annotation),
            dependent_system=system,
            created_after=None if created_after is None else parse_time(created_after),
            limit=limit,
            cursor=cursor,
        )
        full = [summary(task) for task in page.items]
    rows = [
        one
        | {"percent": one["completion_percentage"], "health": one["health_status"], "created": one["created_at"]}
        | {"status": f"{one['status']} (paused)" if one["paused"] else one["status"]}
        for one in full
    ]
    cli.out.table(_LISTED, rows, full)
    if page.cursor:
        cli.out.say(f"More: --cursor {page.cursor}")
    return DONE


def _annotation(text: str | None) -> tuple[str, str, object] | None:
    if text is None:
        return None
    kind, _, rest = text.partition(":")
    key, found, value = rest.partition("=")
    if not (kind and key and found):
        msg = f"annotation: expected TYPE:KEY=JSON, found {text!r}"
        raise typer.BadParameter(msg)
    return kind, key, parse_json(value, "annotation")


def show(cli: Cli, task_id: TaskId, *, at: At = None) -> int:
    """Show a task, now or as it was.

    Shown are its steps, attempts, errors and annotations.
    """
    with cli.existing() as app:
        return show_task(cli, app.task(task_id, at=parse_at(at)))


def show_task(cli: Cli, task: Task) -> int:
    """Print everything about a task."""
    from tasker.cli.views import whole

    if cli.out.json_lines:
        cli.out.one(whole(task), "")
    else:
        print_task(cli.out, task)
    return DONE


def print_task(out: Output, task: Task) -> None:
    """Print a task for people."""
    out.facts(
        {
            "task": task.id,
            "definition": task.full_name,
            "status": f"{task.status} (paused)" if task.paused else str(task.status),
            "progress": f"{task.completion_percentage:g} %, {task.execution_status}, {task.health_status}",
            "next": task.recommended_action,
            "context": task.context,
            "tags": ", ".join(task.tags),
            "initiator": task.initiator,
            "reason": task.reason,
            "created": task.created_at,
            "started": task.started_at,
            "ended": task.completed_at,
            "version": f"{task.stream_version} (position {task.position})",
        }
    )
    out.say("")
    out.table(_STEPS, [_step_row(step) for step in task.steps.values()])
    _print_attempts(out, task)
    for one in task.annotations:
        out.say(f"annotation {one.type}: {_short(one.value)}")


def _step_row(step: Step) -> dict[str, object]:
    return {
        "step": step.name,
        "status": str(step.status),
        "attempts": f"{step.attempts}/{step.retry_limit}",
        "waits_for": ", ".join(step.depends_on),
        "ended": step.completed_at,
        "results": _short(step.results),
    }


def _print_attempts(out: Output, task: Task) -> None:
    """Print the attempts of the steps that did not simply succeed."""
    for step in task.steps.values():
        if len(step.history) > 1 or step.error is not None:
            out.say("")
            for entry in step.history:
                end = "running" if entry.outcome is None else entry.outcome
                said = "" if entry.error is None else f": {entry.error.message}"
                out.say(f"{step.name}, attempt {entry.number}: {end}{said}")
            if step.next_retry_at is not None:
                out.say(f"{step.name}, next attempt at {step.next_retry_at.isoformat()}")


def _short(value: object, length: int = 60) -> str:
    from tasker.cli.output import as_json

    text = "" if value is None else as_json(value)
    return text if len(text) <= length else text[: length - 1] + "…"


def why(
    cli: Cli,
    task_id: TaskId,
    step: Annotated[str | None, typer.Argument(metavar="STEP", help="Only this step.", show_default=False)] = None,
) -> int:
    """Say what a task waits for.

    And for what is finished, what happened, attempt by attempt.
    """
    with cli.existing() as app:
        for reason in app.why(task_id, step):
            data = {"step": reason.step, "code": reason.code, "text": reason.text, "details": dict(reason.details)}
            cli.out.one(data, reason.text if reason.step is None else f"{reason.step}: {reason.text}")
    return DONE


def events(
    cli: Cli,
    *,
    follow: Annotated[bool, typer.Option("--follow", help="Go on as events are recorded, until Ctrl-C.")] = False,
    task: Annotated[str | None, typer.Option(metavar="ID", help="Only of this task.")] = None,
    type: Annotated[list[str] | None, typer.Option(metavar="GLOB", help="Only these types: 'step.*'.")] = None,
    after: Annotated[int, typer.Option(min=0, help="Only after this position.")] = 0,
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many.")] = None,
) -> int:
    """Print recorded events in order."""
    with cli.existing() as app:
        if task is not None and task != "$control":
            app.task(task)
        left = limit
        while True:
            wanted = _PAGE if left is None else min(left, _PAGE)
            page = list(app.events(task, after=after, types=type or None, limit=wanted))
            for one in page:
                _print_event(cli, one)
                after = one.position
            left = None if left is None else left - len(page)
            if left == 0 or (len(page) < wanted and not follow):
                return DONE
            if len(page) < wanted:
                time.sleep(_POLL)


def _print_event(cli: Cli, one: RecordedEvent) -> None:
    """Print an event as a line whose columns stand below each other, without knowing what will come."""
    from tasker.cli.output import shown
    from tasker.cli.views import event

    step = "" if one.step is None else f"  {one.step}" + (f" attempt {one.attempt}" if one.attempt else "")
    by = f"  by {one.actor}" if one.actor else ""
    line = f"{one.position:>7}  {shown(one.time)}  {one.stream_id}  {one.type:<21}{step}{by}"
    cli.out.one(event(one), line.rstrip())


def catalog(
    cli: Cli,
    text: Annotated[str, typer.Argument(help="Part of a name or description.", show_default=False)] = "",
    *,
    definitions: Folders = None,
) -> int:
    """List the events that exist.

    Those of the system, the custom ones that definitions declare, and those that the log holds though nobody does.
    """
    with cli.described(definitions) as app:
        _observe(cli, app)
        entries = app.catalog.search(text) if text else app.catalog.all()
    cli.out.table(_ENTRIES, [_entry_row(one) for one in entries], [_entry(one) for one in entries])
    return DONE


def _observe(cli: Cli, app: Tasker) -> None:
    """List the names that the log knows; one that cannot be read is said to be left out, and hides nothing else."""
    from tasker.codec.registry import FIRST_CUSTOM_CODE
    from tasker.errors import TaskerError
    from tasker.log.open import open_store

    try:
        store = open_store(cli.settings().url, check_only=True)
    except TaskerError as error:
        cli.out.warn(f"Without names that only the log knows: {error}")
        return
    try:
        for code, name in store.archive.event_types():
            if code >= FIRST_CUSTOM_CODE:
                app.catalog.observe(name)
    finally:
        store.close()


def _entry_row(one: CatalogEntry) -> dict[str, object]:
    declared = "yes" if one.declared else "no"
    return {"name": one.name, "category": one.category, "declared": declared, "description": one.description}


def _entry(one: CatalogEntry) -> dict[str, object]:
    return {
        "name": one.name,
        "category": one.category,
        "description": one.description,
        "emitted_by": one.emitted_by,
        "schema": one.schema,
        "example": one.example,
        "declared": one.declared,
    }
