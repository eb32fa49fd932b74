"""Commands about workers: workers, workers drain."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Annotated

import typer

from tasker.cli import DONE
from tasker.cli.common import Cli, actor_or_user, command, group

if TYPE_CHECKING:
    from tasker.runtime.membership import WorkerInfo

WorkerId = Annotated[str, typer.Argument(metavar="ID", help="The id of the worker.", show_default=False)]
_COLUMNS = ("worker", "state", "slots", "running", "release", "heard_of", "lease_until", "notes")
_SKEW_SECONDS = 5.0


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    workers = group(app, "workers", "Who runs handlers on this log.", alone=listed)
    command(workers, "drain")(drain)


def listed(cli: Cli) -> int:
    """List the workers.

    Those that live, and for some days those that stopped or died.
    """
    with cli.existing() as app:
        found = app.workers()
    cli.out.table(_COLUMNS, map(_row, found), map(dataclasses.asdict, found))
    return DONE


def drain(cli: Cli, worker_id: WorkerId) -> int:
    """Ask a worker to go.

    It starts nothing more, finishes what runs, and stops.
    """
    with cli.existing() as app:
        found = app.drain(worker_id, actor=actor_or_user(None))
    text = f"{worker_id} {found.state}: it starts nothing more; {found.running} running"
    cli.out.one(dataclasses.asdict(found), text)
    return DONE


def _row(one: WorkerInfo) -> dict[str, object]:
    return {
        "worker": one.worker_id,
        "state": f"{one.state}, silent" if one.silent else one.state,
        "slots": one.slots,
        "running": one.running,
        "release": one.release,
        "heard_of": one.last_heartbeat,
        "lease_until": one.lease_until,
        "notes": "; ".join(_notes(one)),
    }


def _notes(one: WorkerInfo) -> list[str]:
    """Say what a person should know."""
    notes = []
    if one.missing_env:
        notes.append(f"lacks {', '.join(one.missing_env)}")
    if abs(one.clock_skew) > _SKEW_SECONDS:
        side = "ahead" if one.clock_skew > 0 else "behind"
        notes.append(f"its clock is {abs(one.clock_skew):.1f} s {side}")
    if not one.handlers:
        notes.append("no handlers")
    return notes
