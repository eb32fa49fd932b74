"""Commands about the database: db upgrade, db check."""

from __future__ import annotations

from typing import Annotated

import typer

from tasker.cli import DONE
from tasker.cli.common import Cli, command, group
from tasker.cli.doctor import masked
from tasker.errors import LogUnavailable


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    db = group(app, "db", "Make, upgrade and check the log's database.")
    command(db, "upgrade")(upgrade)
    command(db, "check")(check)


def upgrade(
    cli: Cli,
    *,
    finish: Annotated[bool, typer.Option("--finish", help="No worker of an older release runs any more.")] = False,
) -> int:
    """Make the log, or upgrade it.

    A log of an older release gets the form of this one, in one transaction; workers may run on. With --finish, events
    that only this release can read are written from now on.
    """
    from tasker.log.open import upgrade_store

    upgrade_store(cli.settings().url, finish=finish)
    return _checked(cli, "is ready")


def check(cli: Cli) -> int:
    """Check the log, change nothing.

    It must be there, and in the form of this release; `direct_url` must lead to the same log.
    """
    return _checked(cli, "is a log in the form of this release")


def _checked(cli: Cli, text: str) -> int:
    from tasker.log.migrations import REVISIONS

    settings = cli.settings()
    shown, revision = masked(settings.url), REVISIONS[-1]
    log_id, head = _looked(settings.url)
    direct = settings.direct_url if cli.url is None else None
    if direct is not None and _looked(direct)[0] != log_id:
        msg = (
            f"direct_url ({settings.where('direct_url')}): expected the log of url, {shown}, found another one at "
            f"{masked(direct)}. Name the same database there, without the pooler"
        )
        raise LogUnavailable(msg)
    facts = {"url": shown, "ok": True, "revision": revision, "head": head}
    cli.out.one(facts, f"{shown} {text} (revision {revision}); its last position is {head}")
    return DONE


def _looked(url: str) -> tuple[bytes, int]:
    """Give id and last position of a log that is there, in the form of this release."""
    from tasker.log.open import open_store

    store = open_store(url, check_only=True)
    try:
        return store.log.log_id, store.log.head()
    finally:
        store.close()
