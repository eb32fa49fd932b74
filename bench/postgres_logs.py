"""The log of millions of events on PostgreSQL: made once, in a database of the server's cluster, as in `bench.logs`."""

from __future__ import annotations

from pathlib import Path

import psycopg
from psycopg.sql import SQL, Identifier

from bench import logs, postgres
from bench.setting import ROOT
from tasker.log.open import upgrade_store

_MIGRATIONS = "tasker/log/migrations"


def done(server: str, events: int, *, make: bool) -> str | None:
    """Give the database that keeps a log of ended tasks with at least so many events.

    Args:
        server: The URL of the server's database for maintenance.
        events: How many events.
        make: False to give None where it would have to be made.
    """
    kind = f"done_{events}_"
    name = kind + logs.shape(*_sources())
    with psycopg.connect(server, autocommit=True) as connection:
        rows = connection.execute("SELECT datname FROM pg_database WHERE starts_with(datname, %s)", (kind,)).fetchall()
        kept = [str(row[0]) for row in rows]
        if name in kept or not make:
            return name if name in kept else None
        postgres.drop(server, *kept)
        made = postgres.make(server)
        _fill(postgres.log_url(server, made), events)
        connection.execute(SQL("ALTER DATABASE {} RENAME TO {}").format(Identifier(made), Identifier(name)))
    return name


def copy(server: str, name: str) -> str:
    """Copy a log for as long as the run; give its URL."""
    return postgres.log_url(server, postgres.make(server, name))


def _fill(url: str, events: int) -> None:
    """Fill an empty database, and leave it as a server does that has had time to tidy up."""
    upgrade_store(url)
    logs.fill("done", events, url)
    with psycopg.connect(postgres.plain(url), autocommit=True) as connection:
        connection.execute("VACUUM (ANALYZE)")
        connection.execute("CHECKPOINT")


def _sources() -> list[str]:
    """Name the files that decide how a log looks on PostgreSQL."""
    found = [*sorted((ROOT / _MIGRATIONS).rglob("*.py")), Path(__file__)]
    return [str(path.relative_to(ROOT)) for path in found]
