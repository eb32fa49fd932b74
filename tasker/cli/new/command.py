"""The commands that write files to begin with: init, new task, new subscriber, new project."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tasker.cli import DONE
from tasker.cli.common import Cli, command, group

Named = Annotated[str, typer.Argument(metavar="NAME", help="OrderProcess, or order_process.", show_default=False)]
Force = Annotated[bool, typer.Option("--force", help="Replace files that are there.")]


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    command(app, "init")(init)
    new = group(app, "new", "Write a task, a subscriber or a project.")
    command(new, "task")(new_task)
    command(new, "subscriber")(new_subscriber)
    command(new, "project")(new_project)


def init(cli: Cli) -> int:
    """Prepare this folder; what is there stays.

    Writes tasker.yaml, the folders of tasks and subscribers, and the module that registers; `--url` goes into
    tasker.yaml. Safe to repeat.
    """
    from tasker.cli.new.files import write
    from tasker.cli.new.project import URL, prepared

    write(cli.out, prepared(cli.url or URL))
    cli.out.say("Next: tasker new task OrderProcess --steps fetch_order,charge_card")
    return DONE


def new_task(
    cli: Cli,
    name: Named,
    *,
    steps: Annotated[
        list[str] | None,
        typer.Option(metavar="A,B,C", help="Steps, each behind the one before; default fetch,process,complete."),
    ] = None,
    namespace: Annotated[str, typer.Option(help="The namespace.")] = "default",
    version: Annotated[str, typer.Option(help="The semantic version.")] = "0.1.0",
    description: Annotated[str, typer.Option(help="What it is for.", show_default=False)] = "",
    force: Force = False,
) -> int:
    """Write handlers, a definition and tests.

    They run as they are: tasks/NAME.py, config/tasker/tasks/NAME.yaml, tests/tasks/test_NAME.py.
    """
    from tasker.cli.new import advice, task
    from tasker.cli.new.files import write
    from tasker.cli.new.names import read_name, read_steps
    from tasker.cli.new.project import conftest

    _refuse_url(cli)
    _check_words(namespace, version, description)
    plan = task.Plan(read_name(name, "NAME"), read_steps(steps or task.STEPS), namespace, version, description)
    write(cli.out, [*task.task_files(plan), conftest()], force=force)
    cli.out.say(f"Next: python -m pytest {task.TESTS}/test_{plan.name.snake}.py")
    for line in advice.about_definitions(task.DEFINITIONS):
        cli.out.say(line)
    return DONE


def new_subscriber(
    cli: Cli,
    name: Named,
    *,
    events: Annotated[
        list[str] | None,
        typer.Option(metavar="A,B", help="Events or globs over them; repeat it, or part them with commas; "
                     "default task.completed,task.failed."),
    ] = None,
    force: Force = False,
) -> int:  # fmt: skip
    """Write a class that takes events, and its tests.

    It runs as it is: subscribers/NAME_subscriber.py, tests/subscribers/test_NAME_subscriber.py.
    """
    from tasker.cli.new import advice, subscriber
    from tasker.cli.new.events import read_events
    from tasker.cli.new.files import write
    from tasker.cli.new.names import read_subscriber
    from tasker.cli.new.project import conftest

    _refuse_url(cli)
    short, taken = read_subscriber(name), read_events(events or subscriber.EVENTS)
    write(cli.out, [*subscriber.subscriber_files(short, taken), conftest()], force=force)
    cli.out.say(f"Next: python -m pytest {subscriber.TESTS}/test_{short.snake}_subscriber.py")
    for line in advice.about_subscriber(subscriber.reference(short)):
        cli.out.say(line)
    return DONE


def new_project(
    cli: Cli,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The name of the new folder.", show_default=False)],
    *,
    force: Force = False,
) -> int:
    """Write a folder with a task, a subscriber and tests.

    It runs as it is, on SQLite unless `--url` says otherwise.
    """
    from tasker.cli.new.files import write
    from tasker.cli.new.names import read_project
    from tasker.cli.new.project import URL, project_files

    folder = Path(read_project(name))
    write(cli.out, project_files(name, cli.url or URL), force=force)
    cli.out.say(f"Next: cd {folder} && python -m pytest")
    return DONE


def _refuse_url(cli: Cli) -> None:
    if cli.url is not None:
        msg = "--url: expected none, this command opens no log; tasker.yaml and TASKER_URL say where it is"
        raise typer.BadParameter(msg)


def _check_words(namespace: str, version: str, description: str) -> None:
    """Refuse what a definition could not hold."""
    from tasker.domain.definition import NAME, SEMANTIC_VERSION

    wrong = None
    if not NAME.fullmatch(namespace):
        wrong = f"namespace: expected letters, digits, _, . and -, a letter or digit first, found {namespace!r}"
    elif not SEMANTIC_VERSION.fullmatch(version):
        wrong = f"version: expected a semantic version such as 1.0.0, found {version!r}"
    elif not description.isprintable():
        wrong = f"description: expected one line of text, found {description!r}"
    if wrong:
        raise typer.BadParameter(wrong)
