"""Open a store by its URL: the only place that knows which adapters there are."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from tasker.errors import TaskerError

if TYPE_CHECKING:
    from tasker.log.sqlite import SqliteStore

_WORKS = "Use sqlite:///tasker.db (a file beside you), sqlite:////var/lib/tasker.db (an absolute path) or memory://"


def open_store(url: str, *, check_only: bool = False) -> SqliteStore:
    """Give the store of a URL; it is opened, made and upgraded by its first use.

    Args:
        url: `sqlite:///relative.db`, `sqlite:////absolute.db` or `memory://`.
        check_only: True to open it now and to refuse one that would have to be made or upgraded.

    Raises:
        TaskerError: No adapter takes this URL.
        LogUnavailable: With `check_only`: it cannot be opened as it is.
    """
    from tasker.log.sqlite import SqliteStore  # noqa: PLC0415 - an adapter is imported by who uses it

    path = _path(url)
    store = SqliteStore(path, check_only=check_only and path is not None)
    if check_only:
        store.open()
    return store


def _path(url: str) -> Path | None:
    """Read the path of a file from a URL; None means memory."""
    scheme, found, rest = url.partition("://")
    shown = re.sub(r"//[^/]*@", "//…@", url)
    if not found:
        msg = f"log URL {shown!r}: expected scheme://…. {_WORKS}."
        raise TaskerError(msg)
    if scheme.startswith("postgres"):
        msg = f"log URL {shown!r}: this release has no PostgreSQL adapter yet. {_WORKS}."
        raise TaskerError(msg)
    if scheme == "memory" and not rest:
        return None
    if scheme == "sqlite" and rest in {"", "/:memory:"}:
        return None
    if scheme == "sqlite" and rest.startswith("/") and rest.strip("/") and "?" not in rest:
        return Path(rest[1:])
    msg = f"log URL {shown!r}: no adapter takes it. {_WORKS}."
    raise TaskerError(msg)
