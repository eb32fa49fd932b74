"""Commands about durable subscriptions: list, pause, resume."""

from __future__ import annotations

from typing import Annotated

import typer

from tasker.cli import DONE
from tasker.cli.common import Cli, command, group

Name = Annotated[str, typer.Argument(metavar="NAME", help="The name of the subscription.", show_default=False)]


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    subscriptions = group(app, "subscriptions", "The durable readers of the log.")
    command(subscriptions, "list")(listed)
    command(subscriptions, "pause")(pause)
    command(subscriptions, "resume")(resume)


def listed(cli: Cli) -> int:
    """List the durable subscriptions.

    With their state and how far they have come.
    """
    columns = ("name", "state", "checkpoint", "failures", "parked")
    with cli.existing() as app:
        rows = [{column: getattr(one, column) for column in columns} for one in app.subscriptions.list()]
    cli.out.table(columns, rows)
    return DONE


def pause(cli: Cli, name: Name) -> int:
    """Deliver nothing for now.

    The checkpoint stays.
    """
    with cli.existing() as app:
        app.subscriptions.pause(name)
    cli.out.one({"name": name, "state": "paused"}, f"{name} paused")
    return DONE


def resume(cli: Cli, name: Name) -> int:
    """Deliver again, from the checkpoint."""
    with cli.existing() as app:
        app.subscriptions.resume(name)
    cli.out.one({"name": name, "state": "active"}, f"{name} active")
    return DONE
