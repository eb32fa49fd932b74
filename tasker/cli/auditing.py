"""Commands that recompute from the log, and that prove what it holds: replay, audit …, projections rebuild."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tasker.cli import DONE, FAILED
from tasker.cli.common import Actor, At, Cli, TaskId, actor_or_user, command, group, parse_at, parse_time

if TYPE_CHECKING:
    from tasker.audit import Seal
    from tasker.audit.archive import Archived
    from tasker.runtime.reading import Replayed


_KeyFile = Annotated[Path, typer.Option("--key", metavar="PATH", help="The key, as `audit keygen` made it.")]
_PublicKeys = Annotated[
    list[str] | None,
    typer.Option("--public-key", metavar="KEY", help="Only signatures by this key count: its .pub file, or its id."),
]


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    command(app, "replay")(replay)
    command(app, "archive")(archive)
    audit = group(app, "audit", "Prove that the log is what was written.")
    command(audit, "verify")(verify)
    command(audit, "keygen")(keygen)
    command(audit, "seal")(seal)
    command(audit, "prove")(prove)
    command(audit, "export")(export)
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


def verify(
    cli: Cli,
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="A proof; no database is needed.", show_default=False)
    ] = None,
    *,
    kept: Annotated[
        Path | None, typer.Option("--seal", metavar="FILE", help="Seals that were kept elsewhere, one a line.")
    ] = None,
    public_key: _PublicKeys = None,
) -> int:
    """Recompute the chain of hashes, and check seals.

    It is done from the stored bytes, and the first changed position is named. With FILE, a proof is checked instead.
    """
    if file is not None:
        if kept is not None:
            raise typer.BadParameter("--seal: expected it without FILE; a proof holds its seals")
        return _verify_proof(cli, file, public_key or [])
    seals = [] if kept is None else _kept(kept)
    with cli.existing() as app:
        begun = time.perf_counter()
        with _working("Verifying the chain") as progress:
            counts = app.audit.verify(progress, kept=seals, keys=public_key or ())
        seconds = time.perf_counter() - begun
    data = {
        "events": counts.events,
        "streams": counts.streams,
        "definitions": counts.definitions,
        "seals": counts.seals,
        "seconds": round(seconds, 3),
    }
    rate = f"{counts.events / seconds:,.0f} events/s"
    text = f"{counts.events} events in {counts.streams} streams, {counts.definitions} definitions, {counts.seals} seals"
    cli.out.one(data, f"The chain holds: {text} ({rate})")
    return DONE


def _verify_proof(cli: Cli, file: Path, public_keys: list[str]) -> int:
    """Check a proof."""
    from tasker.audit.keys import key_id_of
    from tasker.audit.proof import check, said

    found = check(_read(file, "FILE"), [key_id_of(one) for one in public_keys])
    cli.out.one(found._asdict(), f"The proof holds: {said(found, trusted=bool(public_keys))}")
    return DONE


def _kept(file: Path) -> list[Seal]:
    """Read seals that were kept."""
    from tasker.audit.seals import read_lines

    return read_lines(_read(file, "--seal").decode(errors="replace"), str(file))


def _read(file: Path, what: str) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise typer.BadParameter(f"{what}: cannot read {str(file)!r} ({error.strerror})") from error


def keygen(
    cli: Cli, path: Annotated[Path, typer.Argument(metavar="PATH", help="A new file.", show_default=False)]
) -> int:
    """Make a key for seals.

    Its secret half goes into PATH, readable by this user alone, the public one into PATH.pub. Nothing is replaced.
    """
    from tasker.audit import keygen as make

    key_id = make(path)
    text = f"{path} (keep it secret) and {path}.pub (give it to whoever verifies); the key's id is {key_id}"
    cli.out.one({"key_id": key_id, "path": str(path), "public": f"{path}.pub"}, text)
    return DONE


def seal(cli: Cli, *, key: _KeyFile) -> int:
    """Verify the log and sign what is new in it.

    The seal is printed as one line of JSON. Keep it where who can write the database cannot write: it finds, later,
    whatever was rewritten or removed.
    """
    with cli.existing() as app, _working("Verifying the chain") as progress:
        made = app.audit.seal(key, progress)
    print(made.line, flush=True)
    if not cli.out.json_lines:
        cli.out.warn(f"The positions {made.first} to {made.last} are sealed. Keep the line elsewhere.")
    return DONE


def prove(cli: Cli, task_id: TaskId) -> int:
    """Print the proof of a task.

    It is one line of JSON: the task's events as far as they are sealed, and the seals over them. `audit verify FILE`
    checks it without the database, and so does the file tasker/audit/standalone/verify_proof.py without Tasker.
    """
    from tasker.audit.proof import check

    with cli.existing() as app:
        text = app.audit.prove(task_id).encode()
        left = app.task(task_id).stream_version - check(text).events
    sys.stdout.buffer.write(text)
    sys.stdout.flush()
    if left:
        cli.out.warn(f"Its last {left} events are not sealed yet and not in the proof: `tasker audit seal --key PATH`.")
    return DONE


def export(
    cli: Cli,
    *,
    output: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A new file; default: the standard output.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where FILE ends.")] = False,
    parquet: Annotated[bool, typer.Option("--parquet", help="Write a Parquet file; needs the extra parquet.")] = False,
    task: Annotated[str | None, typer.Option(metavar="ID", help="Only events of this task.")] = None,
    type: Annotated[list[str] | None, typer.Option(metavar="GLOB", help="Only these types: 'step.*'.")] = None,
    namespace: Annotated[str | None, typer.Option(help="Only events of tasks of this namespace.")] = None,
    after: Annotated[str, typer.Option(metavar="WHEN", help="Behind a position (42), or later than a time.")] = "0",
    until: Annotated[
        str | None, typer.Option("--before", metavar="WHEN", help="Before a position (42), or earlier than a time.")
    ] = None,
) -> int:
    """Export events as CloudEvents, one a line.

    They come in the order of positions. What it ends with is the position to go on --after.
    """
    if output is None and (resume or parquet):
        raise typer.BadParameter("--resume and --parquet: expected --output FILE with them")
    with cli.existing() as app, _working("Exporting") as progress:
        done = app.audit.export(
            sys.stdout.buffer if output is None else output,
            task_id=task,
            types=type or None,
            namespace=namespace,
            after=_point(after),
            before=None if until is None else _point(until),
            resume=resume,
            parquet=parquet,
            progress=progress,
        )
    text = f"{done.events} events; go on with --after {done.last}"
    if output is None:
        sys.stdout.flush()
        cli.out.warn(text)
    else:
        cli.out.one({"events": done.events, "last": done.last}, text)
    return DONE


def archive(
    cli: Cli,
    *,
    older_than: Annotated[
        str, typer.Option(metavar="AGE", help="How long ago they ended at least: 90d (s, m, h, d or w).")
    ],
    output: Annotated[
        Path, typer.Option(metavar="PATH", help="A new file, or a folder in which one is made.")
    ] = Path(),
    reason: Annotated[str | None, typer.Option(help="Why; it is recorded. Default: says the age.")] = None,
    actor: Actor = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Write and erase nothing: say what would be.")] = False,
) -> int:
    """Move the contents of tasks that ended long ago into a file.

    Their events are written as `audit export` writes them, and once the file is durable the tasks are erased. What was
    cut short goes on when the same command is called again. Tasks of which a subscription has not been told everything
    are left for the next time.
    """
    from tasker.audit.archive_choice import microseconds
    from tasker.errors import InvalidRequest

    try:
        microseconds(older_than)
    except InvalidRequest as error:
        raise typer.BadParameter(f"--older-than: {error}") from error
    with cli.existing() as app, _working("Archiving") as progress:
        done = app.archive(
            older_than,
            reason=reason or f"archived: ended {older_than} ago or longer",
            actor=actor_or_user(actor),
            output=output,
            dry_run=dry_run,
            progress=progress,
        )
    return _print_archived(cli, done, dry_run=dry_run)


def _print_archived(cli: Cli, done: Archived, *, dry_run: bool) -> int:
    """Print what was archived, and who keeps other tasks from being so."""
    if done.path is not None:
        text = f"{done.tasks} tasks with {done.events} events archived in {done.path}"
    elif dry_run:
        text = f"{done.tasks} tasks with {done.events} events would be archived"
    else:
        text = "No task to archive"
    path = None if done.path is None else str(done.path)
    cli.out.one({**done._asdict(), "path": path, "awaited": dict(done.awaited)}, text)
    for name, tasks in sorted(done.awaited.items()):
        cli.out.warn(
            f"{tasks} more are left, because the subscription {name} has not been told everything of them: run what"
            " serves it, or retire it."
        )
    return DONE


def _point(text: str) -> int | datetime:
    """Read a position or a time."""
    digits = text.removeprefix("@")
    return int(digits) if digits.isdecimal() else parse_time(text, "a position (42) or a time")


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
