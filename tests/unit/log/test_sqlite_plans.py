"""How SQLite runs the statements whose cost decides: from the covering index, and by seeking."""

from __future__ import annotations

import pytest

from tasker.log import sqlite_columns, sqlite_read
from tasker.log.open import open_store

COVERING = "USING COVERING INDEX events_fold"
EXISTS = "SELECT 1 FROM events WHERE stream_id = ? AND version = ?"


@pytest.fixture
def connection():
    """Give a connection to an empty log."""
    store = open_store("memory://")
    store.open()
    yield store._database.writer()
    store.close()


def steps(connection, sql, *values):
    """Give the steps of a statement's plan."""
    return [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}", values)]


@pytest.mark.parametrize(
    ("sql", "values", "sought"),
    [
        (sqlite_columns._PAGE, (b"", 9, 5), "(stream_id>?)"),
        (sqlite_columns._ONE, (b"", 9, 5), "(stream_id=?)"),
        (EXISTS, (b"", 1), "(stream_id=? AND version=?)"),
    ],
)
def test_heads_and_versions_come_from_the_index_alone(connection, sql, values, sought):
    """Heads, and whether a version exists (which every insert asks), touch no row of the table and sort nothing."""
    assert steps(connection, sql, *values) == [f"SEARCH events {COVERING} {sought}"]


@pytest.mark.parametrize(
    ("sql", "values"),
    [(sqlite_columns._LINKS, (0, 5)), (sqlite_read._TAIL, (0, 5)), (sqlite_read._STREAM, (b"", 0, 5))],
)
def test_rows_are_sought_and_not_sorted(connection, sql, values):
    """Pages of whole rows begin by a seek and are read in order."""
    [step] = steps(connection, sql, *values)
    assert step.startswith("SEARCH events USING ")


def test_the_insert_asks_by_seeking():
    """The trigger that refuses an existing position or version of a stream asks just so."""
    store = open_store("memory://")
    store.open()
    found = store._database.writer().execute("SELECT sql FROM sqlite_master WHERE name = 'events_insert'").fetchone()
    assert "SELECT 1 FROM events WHERE stream_id = NEW.stream_id AND version = NEW.version" in found[0]
    store.close()
