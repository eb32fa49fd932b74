"""Commands that bring work: worker, submit."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from tasker.cli import DONE, FAILED
from tasker.cli.common import Cli, Folders, command, parse_object, parse_time, told_once

if TYPE_CHECKING:
    from tasker.app.running import Companion
    from tasker.app.tasker import Tasker
    from tasker.handlers.views import Task

_POLL = 0.05  # seconds between two looks at a task that somebody waits for
_AGAIN = 0.2  # seconds after which a signal is sent again
_STUCK = "Stopped: half of the slots were stuck in handlers that do not return; start the worker again"
_WELL = frozenset({"complete", "resolved_manually"})


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    command(app, "worker")(worker)
    command(app, "submit")(submit)


def worker(
    cli: Cli,
    *,
    concurrency: Annotated[int | None, typer.Option(min=1, help="Slots; default: the setting.")] = None,
    definitions: Folders = None,
) -> int:
    """Run tasks until SIGTERM or Ctrl-C.

    What runs is finished first; a second signal stops at once.
    """
    from tasker.cli.logs import to_stderr

    settings = cli.settings()
    to_stderr(settings.telemetry.log_level, settings.telemetry.log_format)
    with cli.loaded(definitions, concurrency=concurrency) as app:
        code = serve(cli, app, concurrency or settings.concurrency)
    farewell(cli, code)
    return code


def serve(cli: Cli, app: Tasker, slots: int, *, beside: Companion | None = None) -> int:
    """Attach the subscribers, run until told to stop, and give the exit code.

    Args:
        cli: How to print, and the settings.
        app: What runs.
        slots: How many slots it has.
        beside: What starts after the runner and stops before it.
    """
    from tasker.cli.doctor import masked
    from tasker.cli.loading import subscribe
    from tasker.cli.logs import observe

    settings = cli.settings()
    observe(app)
    names = subscribe(app, settings)
    with _signals_wait():
        app.start()
        facts: dict[str, object] = {
            "worker": os.getpid(),
            "url": masked(settings.url),
            "slots": slots,
            "definitions": [one.full_name for one in app.definitions()],
            "subscribers": names,
        }
        known = ", ".join(one.full_name for one in app.definitions()) or "no definitions"
        where = str(facts["url"])
        if beside is not None:
            facts["kafka"] = list(settings.kafka.bootstrap)
            where += f" and Kafka at {', '.join(settings.kafka.bootstrap)}"
        tell = partial(cli.out.one, facts, f"Worker {os.getpid()} runs on {where}: {slots} slots, {known}")
        if beside is not None:
            return app.serve(beside=beside, began=tell)  # nothing is taken before the group has dealt its partitions
        tell()
        return app.serve()


def farewell(cli: Cli, code: int, why: str = _STUCK) -> None:
    """Say how a worker ended, and why if not well."""
    facts = {"worker": os.getpid(), "stopped": True, "healthy": code == DONE}
    cli.out.one(facts, "Stopped" if code == DONE else why)


@contextmanager
def _signals_wait() -> Iterator[None]:
    """Send a signal that comes before `serve` listens a little later again, so that none is lost or kills the start."""

    def again(number: int, _: FrameType | None) -> None:
        timer = threading.Timer(_AGAIN, os.kill, (os.getpid(), number))
        timer.daemon = True
        timer.start()

    before = {number: signal.signal(number, again) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def submit(
    cli: Cli,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The name of the definition.", show_default=False)],
    *,
    context: Annotated[str, typer.Option(metavar="JSON", help="A JSON object, @file, or @- for stdin.")] = "{}",
    wait: Annotated[bool, typer.Option("--wait", help="Wait for its end; run it here if no worker does.")] = False,
    timeout: Annotated[float | None, typer.Option(min=0, help="Wait at most so many seconds.")] = None,
    idempotency_key: Annotated[str | None, typer.Option(help="The same key is the same task.")] = None,
    namespace: Annotated[str, typer.Option(help="The namespace.")] = "default",
    version: Annotated[str | None, typer.Option(help="The version; default: the highest.")] = None,
    reason: Annotated[str | None, typer.Option(help="Why.")] = None,
    tag: Annotated[list[str] | None, typer.Option(help="A tag; repeat it.")] = None,
    options: Annotated[
        str, typer.Option(metavar="JSON", help="Further fields of the request: priority, bypass_steps, …")
    ] = "{}",
    definitions: Folders = None,
) -> int:
    """Submit a task; it is durable when this returns."""
    request = {
        "name": name,
        "context": parse_object(context, "context"),
        "namespace": namespace,
        "version": version,
        "reason": reason,
        "tags": tag,
        "idempotency_key": idempotency_key,
        "source_system": "cli",
    }
    fields = {key: value for key, value in request.items() if value is not None} | parse_object(options, "options")
    if isinstance(fields.get("not_before"), str):
        fields["not_before"] = parse_time(str(fields["not_before"]), "not_before: a time")
    with cli.loaded(definitions) as app:
        with told_once():
            task = app.submit(fields)
        if wait:
            try:
                task = _ended(app, task, timeout)
            except KeyboardInterrupt:
                cli.out.warn("Stopping: what runs here is finished first; Ctrl-C again stops at once")
                raise
            return _print_end(cli, task)
        return _print_submitted(cli, task)


def _print_submitted(cli: Cli, task: Task) -> int:
    from tasker.cli.views import summary

    known = "" if task.created else " (known: nothing was submitted again)"
    cli.out.one(summary(task) | {"created": task.created}, f"{task.id} {task.status}{known}")
    return DONE


def _print_end(cli: Cli, task: Task) -> int:
    from tasker.cli.reading import show_task

    show_task(cli, task)
    return DONE if task.status in _WELL else FAILED


def _ended(app: Tasker, task: Task, timeout: float | None) -> Task:
    """Wait for the end of a task; run it in this process if no other process works on this log."""
    from tasker.domain.status import LIVE
    from tasker.errors import TaskerError, WaitTimeout

    try:
        if not any(one.state == "alive" and not one.silent for one in app.workers()):
            app.start()
    except TaskerError as error:
        if type(error) is not TaskerError:  # the lock of another worker is the one reason that has no type of its own
            raise
    deadline = None if timeout is None else time.monotonic() + timeout
    while task.status in LIVE:
        if deadline is not None and time.monotonic() > deadline:
            msg = (
                f"task {task.id}: expected its end within {timeout:g} s, found it {task.status}. "
                f"It is recorded and goes on with a worker; ask `tasker why {task.id}`."
            )
            raise WaitTimeout(msg)
        time.sleep(_POLL)
        task = app.task(task.id)
    return task
