"""The adapters that the contract suites run on; a new one joins by one more entry in `ADAPTERS`."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from tasker.log.open import open_store
from tasker.log.sqlite import SqliteStore


class Adapter(NamedTuple):
    """One way to store a log.

    Attributes:
        name: What the test's id shows.
        url: Gives the URL of a new, empty database in a folder.
        shared: True if other processes can open it, and it outlives its store.
        raw: Runs a statement on the bare database, past every rule of the port; gives the rows.
    """

    name: str
    url: Callable[[Path], str]
    shared: bool
    raw: Callable[[SqliteStore, str], list[tuple[object, ...]]]


def raw_sqlite(store: SqliteStore, sql: str) -> list[tuple[object, ...]]:
    """Run a statement as any tool would: through a connection without the log's settings, if it is a file."""
    database = store._database
    store.open()
    if database.path is None:
        return database.writer().execute(sql).fetchall()
    connection = sqlite3.connect(database.path, isolation_level=None)
    try:
        return connection.execute(sql).fetchall()
    finally:
        connection.close()


ADAPTERS = (
    Adapter("memory", lambda _: "memory://", False, raw_sqlite),
    Adapter("sqlite", lambda folder: f"sqlite:///{folder / 'log.db'}", True, raw_sqlite),
)


class Place:
    """A database of one test, and every store that the test opened on it."""

    def __init__(self, adapter: Adapter, folder: Path) -> None:
        """Choose the place; nothing is opened."""
        self.adapter = adapter
        self.url = adapter.url(folder)
        self.stores: list[SqliteStore] = []

    def open(self) -> SqliteStore:
        """Open a store on it."""
        self.stores.append(open_store(self.url))
        return self.stores[-1]

    def raw(self, sql: str) -> list[tuple[object, ...]]:
        """Run a statement past every rule of the port."""
        return self.adapter.raw(self.stores[-1], sql)

    def close(self) -> None:
        """Close every store that was opened."""
        for store in self.stores:
            store.close()
