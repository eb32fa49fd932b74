"""How SQLite runs the statements whose cost decides: from the covering index, and by seeking."""

from __future__ import annotations

import pytest

from tasker.log import sqlite_columns, sqlite_group, sqlite_read, sqlite_work
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


@pytest.mark.parametrize(
    ("after", "share", "way"),
    [
        (None, None, "SCAN live_work"),
        (None, (1, 3), "SCAN live_work"),
        ((5, bytes(16), 2), None, "SEARCH live_work"),
        ((5, bytes(16), 2), (1, 3), "SEARCH live_work"),
    ],
)
def test_ready_items_are_read_in_order(connection, after, share, way):
    """A page of ready items is read from their index, from its place on; nothing is sorted."""
    [step] = steps(connection, *flat(sqlite_work.ready(after, 10, share)))
    assert step.startswith(f"{way} USING INDEX live_work_ready")


def flat(query):
    """Give a query and its values in one row."""
    return query[0], *query[1]


def test_timers_are_sought(connection):
    """What is due is read from the index of due times; nothing is sorted."""
    [step] = steps(connection, sqlite_work._TIMERS, 9, 5)
    assert step.startswith("SEARCH live_work USING INDEX live_work_timers (due")


def test_the_fence_and_limits_seek(connection):
    """Whether a worker lives, and who holds places in a scope, is asked by keys."""
    [lives] = steps(connection, sqlite_group._LIVES, "w")
    assert lives.startswith("SEARCH workers USING PRIMARY KEY")
    found = steps(connection, sqlite_group._HOLDERS, "shop")
    assert [step.split(" USING ")[1].split(" (")[0] for step in found[:2]] == ["PRIMARY KEY", "PRIMARY KEY"]
    assert all(step.startswith("SEARCH") for step in found)


def test_the_insert_asks_by_seeking():
    """The trigger that refuses an existing position or version of a stream asks just so."""
    store = open_store("memory://")
    store.open()
    found = store._database.writer().execute("SELECT sql FROM sqlite_master WHERE name = 'events_insert'").fetchone()
    assert "SELECT 1 FROM events WHERE stream_id = NEW.stream_id AND version = NEW.version" in found[0]
    store.close()
