"""Erasure on SQLite, byte by byte: what is erased is in no file of the log, while that is open."""

from __future__ import annotations

import sqlite3
from random import Random

import pytest

from tasker.log.open import open_store
from tests.contracts.shop import SECRET, shop, sold


@pytest.fixture
def app(tmp_path):
    """Give a shop on a file."""
    with shop(f"sqlite:///{tmp_path / 'log.db'}") as found:
        yield found


def holders(folder):
    """Give the files that hold the secret."""
    return {file.name for file in folder.iterdir() if SECRET.encode() in file.read_bytes()}


def test_no_file_has_the_bytes(app, tmp_path):
    """As soon as the readers have followed, neither the file nor its WAL holds what was erased."""
    tasks = [sold(app), sold(app, fails=True)]
    assert holders(tmp_path) == {"log.db-wal"}
    for task in tasks:
        app.erase(task, reason="asked for")
    app.run_until_idle()
    assert holders(tmp_path) == set()


def test_no_page_keeps_an_older_copy(app, tmp_path):
    """Rows that moved from page to page as tables grew, and tables that were rebuilt, leave no copy behind."""
    seed, tasks = Random(5), [sold(app, number=number) for number in range(12)]
    for _ in range(20):
        seed.shuffle(tasks)
        for task in tasks:
            app.annotate(task, "person", {"name": SECRET, "more": "x" * seed.randrange(400)})
    app.run_until_idle()
    app.projections.rebuild()
    for task in tasks:
        app.erase(task, reason="asked for")
    app.run_until_idle()
    assert holders(tmp_path) == set()


def test_a_reader_may_delay_it(app, tmp_path):
    """While somebody reads the log as it was, the WAL keeps the bytes; they go with the next turn."""
    task = sold(app)
    reader = sqlite3.connect(tmp_path / "log.db", isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM events").fetchone()
    app.erase(task, reason="asked for")
    app.run_until_idle()
    assert "log.db-wal" in holders(tmp_path)
    store = open_store(app.url)
    assert not store.purge()
    reader.close()
    assert store.purge()
    store.close()
    assert holders(tmp_path) == set()


def test_memory_has_nothing_to_purge():
    """A log in memory has no file."""
    store = open_store("memory://")
    assert store.purge()
    store.close()
