"""Put the groups of commands together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import typer

from tasker.cli import (
    auditing,
    comparing,
    database,
    doctor,
    kafka,
    operators,
    picture,
    reading,
    running,
    schemas,
    serving,
    steps,
    subscribing,
    workers,
)
from tasker.cli.demo import command as demo
from tasker.cli.new import command as new


def build() -> Callable[..., object]:
    """Make the whole command; nothing heavy is imported until one of its parts runs."""
    app = typer.Typer(
        name="tasker",
        help="Run multi-step tasks on an event log, look into them, and steer them.",
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        no_args_is_help=True,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_root)
    for part in (
        demo,
        new,
        running,
        serving,
        reading,
        operators,
        steps,
        auditing,
        comparing,
        subscribing,
        workers,
        kafka,
        picture,
        schemas,
        database,
        doctor,
    ):
        part.add_to(app)
    return typer.main.get_command(app)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"tasker {doctor.version_of('tasker-engine')}")
        raise typer.Exit


def _root(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    """Run multi-step tasks on an event log, look into them, and steer them."""
    del version  # the option has printed and ended the command by now
