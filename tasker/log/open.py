"""Open a store by its URL: the only place that knows which adapters there are."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from tasker.errors import TaskerError
from tasker.log.revision import FORMAT

if TYPE_CHECKING:
    from tasker.log.port import Store
    from tasker.log.postgres import PostgresStore

_WORKS = (
    "Use sqlite:///tasker.db (a file beside you), sqlite:////var/lib/tasker.db (an absolute path), "
    "postgresql+psycopg://user:password@host/database or memory://"
)


def open_store(url: str, *, check_only: bool = False, direct_url: str | None = None) -> Store:
    """Give the store of a URL; it is opened, and on SQLite made and upgraded, by its first use.

    Args:
        url: `sqlite:///relative.db`, `sqlite:////absolute.db`, `postgresql+psycopg://…` or `memory://`.
        check_only: True to open it now and to refuse one that would have to be made or upgraded.
        direct_url: PostgreSQL without the pooler that `url` leads through, for hints; else `url` is used for them too.

    Raises:
        TaskerError: No adapter takes this URL, or its extra is not installed.
        LogUnavailable: With `check_only`: it cannot be opened as it is.
    """
    from tasker.log.sqlite import SqliteStore  # noqa: PLC0415 - an adapter is imported by who uses it

    if _is_postgres(url):
        found = _postgres(url, direct_url)
        if check_only:
            found.open()
        return found
    path = _path(url)
    store = SqliteStore(path, check_only=check_only and path is not None)
    if check_only:
        store.open()
    return store


def upgrade_store(url: str, *, finish: bool = False) -> None:
    """Make the log of a URL, or bring it to the form of this release.

    Args:
        url: Where it is.
        finish: True to have written, from now on, what only this release and later ones can read.

    Raises:
        TaskerError: No adapter takes this URL, or its extra is not installed.
        LogUnavailable: It cannot be done, and the database is as it was.
    """
    from sqlalchemy import text  # noqa: PLC0415 - slow to import

    if _is_postgres(url):
        _postgres(url, None).upgrade()
    store = open_store(url)
    try:
        store.log.head()
        if finish:
            with store.transaction() as connection:
                connection.execute(text("UPDATE log_head SET format = :new WHERE format < :new"), {"new": FORMAT})
    finally:
        store.close()


def _is_postgres(url: str) -> bool:
    return url.partition("://")[0].partition("+")[0] in {"postgresql", "postgres"}


def _postgres(url: str, direct_url: str | None) -> PostgresStore:
    """Import the adapter, whose driver is an extra."""
    try:
        import psycopg  # noqa: F401, PLC0415 - looked for before the adapter needs it
    except ImportError as error:
        msg = f"PostgreSQL needs the extra 'postgres' ({error}). Run: pip install 'tasker-engine[postgres]'"
        raise TaskerError(msg) from error
    from tasker.log.postgres import PostgresStore  # noqa: PLC0415 - an adapter is imported by who uses it

    return PostgresStore(url, direct_url=direct_url)


def _path(url: str) -> Path | None:
    """Read the path of a file from a URL; None means memory."""
    scheme, found, rest = url.partition("://")
    shown = re.sub(r"^(\w[\w+.-]*://)?\S*@", r"\1…@", re.sub(r"(passw\w*=)[^\s&]+", r"\1…", url))
    if not found:
        msg = f"log URL {shown!r}: expected scheme://…. {_WORKS}."
        raise TaskerError(msg)
    if scheme == "memory" and not rest:
        return None
    if scheme == "sqlite" and rest in {"", "/:memory:"}:
        return None
    if scheme == "sqlite" and rest.startswith("/") and rest.strip("/") and "?" not in rest:
        return Path(rest[1:])
    msg = f"log URL {shown!r}: no adapter takes it. {_WORKS}."
    raise TaskerError(msg)
