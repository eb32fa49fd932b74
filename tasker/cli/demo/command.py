"""The command `tasker demo`."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from tasker.cli.common import Cli, command


def add_to(app: typer.Typer) -> None:
    """Add this command."""
    command(app, "demo")(demo)


def demo(
    cli: Cli,
    *,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the log behind, and say where it is.")] = False,
) -> int:
    """Run twenty orders and kill the worker.

    A stub gateway misbehaves, the worker is killed half-way, another one finishes; then it is proved that nothing was
    lost and no card was charged twice.
    """
    from tasker.cli.demo.play import play

    if cli.url is not None:
        msg = "--url: expected none, the demo makes a log of its own and removes it; --keep leaves it behind"
        raise typer.BadParameter(msg)
    folder = Path(tempfile.mkdtemp(prefix="tasker-demo-"))
    try:
        return play(folder, cli.out)
    finally:
        if keep:
            cli.out.say(f"Left behind: {folder} (look with: tasker tasks --url sqlite:///{folder}/orders.db)")
        else:
            shutil.rmtree(folder, ignore_errors=True)
