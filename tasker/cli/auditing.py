"""Commands that recompute from the log: replay, audit verify, projections rebuild."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from tasker.cli import DONE, FAILED
from tasker.cli.common import At, Cli, command, group, parse_at

if TYPE_CHECKING:
    from tasker.runtime.reading import Replayed


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    command(app, "replay")(replay)
    command(group(app, "audit", "Prove that the log is what was written."), "verify")(verify)
    command(group(app, "projections", "The read models."), "rebuild")(rebuild)


def replay(
    cli: Cli,
    *,
    task: Annotated[str | None, typer.Option(metavar="ID", help="Only this task.")] = None,
    at: At = None,
) -> int:
    """Rebuild state from the log alone.

    Without a task all of it, and compare it with the read model.
    """
    from tasker.cli.reading import show_task
    from tasker.handlers.views import Task

    if task is None and at is not None:
        msg = "--at: expected --task ID with it; all tasks are compared with the read model as it is now"
        raise typer.BadParameter(msg)
    with cli.existing() as app, _working("Folding the log") as progress:
        found = app.replay(task, at=parse_at(at), progress=progress)
        if isinstance(found, Task):
            return show_task(cli, found)
    return _print_report(cli, found)


def _print_report(cli: Cli, report: Replayed) -> int:
    differences = report.differences
    data = {"tasks": report.tasks, "events": report.events, "seconds": report.seconds, "differences": differences}
    rate = f"{report.events / report.seconds:,.0f} events/s" if report.seconds else "at once"
    text = f"{report.tasks} tasks rebuilt from {report.events} events in {report.seconds:.2f} s ({rate})"
    ending = f"DIFFERS from the read model: {differences}" if differences else "equal to the read model"
    cli.out.one(data, f"{text}; {ending}")
    return FAILED if differences else DONE


def verify(cli: Cli) -> int:
    """Recompute the chain of hashes.

    It is done from the stored bytes, and the first changed position is named.
    """
    with cli.existing() as app:
        begun = time.perf_counter()
        with _working("Verifying the chain") as progress:
            counts = app.audit.verify(progress)
        seconds = time.perf_counter() - begun
    data = {
        "events": counts.events,
        "streams": counts.streams,
        "definitions": counts.definitions,
        "seals": counts.seals,
        "seconds": round(seconds, 3),
    }
    rate = f"{counts.events / seconds:,.0f} events/s"
    text = f"{counts.events} events in {counts.streams} streams, {counts.definitions} definitions"
    cli.out.one(data, f"The chain holds: {text} ({rate})")
    return DONE


def rebuild(cli: Cli) -> int:
    """Fill the read models anew.

    They are filled from the log beside the old ones, and swapped.
    """
    with cli.existing() as app:
        begun = time.perf_counter()
        with _working("Rebuilding the read models") as progress:
            app.projections.rebuild(progress)
        seconds = time.perf_counter() - begun
    cli.out.one({"rebuilt": True, "seconds": round(seconds, 3)}, f"Read models rebuilt in {seconds:.2f} s")
    return DONE


@contextmanager
def _working(text: str) -> Iterator[Callable[[int, int], None] | None]:
    """Give what shows on the standard error how far something long is and how fast; None where that is no terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress, TextColumn

    columns = (*Progress.get_default_columns(), TextColumn("{task.fields[rate]}"))
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        begun, line = time.perf_counter(), bar.add_task(text, total=None, rate="")

        def show(done: int, total: int) -> None:
            rate = done / max(time.perf_counter() - begun, 1e-6)
            bar.update(line, completed=done, total=total, rate=f"{rate:,.0f} events/s")

        yield show
