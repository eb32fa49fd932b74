"""The adapters that the contract suites run on; a new one joins by one more entry in `ADAPTERS`."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import psycopg

from tasker.log.open import open_store
from tasker.log.port import Store
from tests import postgres


class Adapter(NamedTuple):
    """One way to store a log.

    Attributes:
        name: What the test's id shows.
        url: Gives the URL of a new, empty database in a folder.
        shared: True if other processes can open it, and it outlives its store.
        raw: Runs a statement on the bare database, past every rule of the port; gives the rows.
        refusal: What `raw` raises if the database itself refuses.
        sqlite: True for SQLite, where a column takes values of any type and REPLACE deletes silently.
        drop: Removes the database of a URL.
    """

    name: str
    url: Callable[[Path], str]
    shared: bool
    raw: Callable[[Store, str], list[tuple[object, ...]]]
    refusal: type[Exception]
    sqlite: bool
    drop: Callable[[str], None] = lambda url: None


def raw_sqlite(store: Store, sql: str) -> list[tuple[object, ...]]:
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


def raw_postgres(store: Store, sql: str) -> list[tuple[object, ...]]:
    """Run a statement of the suites, which are written for SQLite, on a connection of its own."""
    sql = re.sub(r"\bx'(\w*)'", r"'\\x\1'::bytea", sql)
    sql = re.sub(r"zeroblob\((\d+)\)", r"decode(repeat('00', \1), 'hex')", sql)
    sql = re.sub(r"^DROP TRIGGER ((\w+)_[a-z]+)$", r"DROP TRIGGER \1 ON \2", sql)
    with psycopg.connect(**store._database.address.parameters, autocommit=True) as connection:
        found = connection.execute(sql)
        return found.fetchall() if found.description else []


ADAPTERS = (
    Adapter("memory", lambda _: "memory://", False, raw_sqlite, sqlite3.IntegrityError, True),
    Adapter("sqlite", lambda folder: f"sqlite:///{folder / 'log.db'}", True, raw_sqlite, sqlite3.IntegrityError, True),
    Adapter(
        "postgres",
        lambda _: postgres.databases().new(),
        True,
        raw_postgres,
        psycopg.IntegrityError,
        False,
        lambda url: postgres.databases().drop(url),
    ),
)


class Place:
    """A database of one test, and every store that the test opened on it."""

    def __init__(self, adapter: Adapter, folder: Path) -> None:
        """Choose the place; nothing is opened."""
        self.adapter = adapter
        self.url = adapter.url(folder)
        self.stores: list[Store] = []

    def open(self) -> Store:
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
        self.adapter.drop(self.url)
