"""Commands about the database: db upgrade, db check."""

from __future__ import annotations

import typer

from tasker.cli import DONE
from tasker.cli.common import Cli, command, group
from tasker.cli.doctor import masked


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    db = group(app, "db", "Make, upgrade and check the log's database.")
    command(db, "upgrade")(upgrade)
    command(db, "check")(check)


def upgrade(cli: Cli) -> int:
    """Make the log, or upgrade it.

    A log of an older release gets the form of this one.
    """
    from tasker.log.open import upgrade_store

    upgrade_store(cli.settings().url)
    return _checked(cli, "is ready")


def check(cli: Cli) -> int:
    """Check the log, change nothing.

    It must be there, and in the form of this release.
    """
    return _checked(cli, "is a log in the form of this release")


def _checked(cli: Cli, text: str) -> int:
    from tasker.log.open import open_store

    url = cli.settings().url
    store = open_store(url, check_only=True)
    try:
        head = store.log.head()
    finally:
        store.close()
    shown = masked(url)
    cli.out.one({"url": shown, "ok": True, "head": head}, f"{shown} {text}; its last position is {head}")
    return DONE
