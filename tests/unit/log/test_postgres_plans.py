"""How PostgreSQL runs the queries of runners, on a large live work and on one whose statistics are old."""

from __future__ import annotations

from contextlib import closing

import psycopg
import pytest

from tasker.log import postgres_pack, postgres_work
from tasker.log.open import open_store

ROWS = 60_000
# One item in ten is ready, one has a due time, the others run or wait.
FILL = (
    "INSERT INTO live_work SELECT decode(md5(n::text), 'hex'), 0, CASE WHEN n % 10 < 2 THEN 1 ELSE 2 + n % 2 END, "
    f"CASE WHEN n % 10 = 1 THEN n END, n % 1000, 1, NULL FROM generate_series(1, {ROWS}) AS n"
)
MIDDLE = (500, bytes(16), 2)


@pytest.fixture(params=[True, False], ids=["known", "unknown"])
def connection(request, postgres_url):
    """Give a connection to a log with much live work; its statistics are known, or nobody has looked since."""
    with closing(open_store(postgres_url)) as store:
        assert store.work.ready(after=None, limit=1) == []
    with psycopg.connect(postgres_url.replace("+psycopg", ""), autocommit=True) as found:
        postgres_pack.register(found)
        found.execute("ALTER TABLE live_work SET (autovacuum_enabled = off)")
        if request.param:
            found.execute(FILL)
            found.execute("ANALYZE live_work")
        else:
            found.execute("ANALYZE live_work")
            found.execute(FILL)
        yield found


def plan(connection, sql, values):
    """Give the plan of a query."""
    return " ".join(row[0] for row in connection.execute(f"EXPLAIN {sql}", values))


@pytest.mark.parametrize("after", [None, MIDDLE], ids=["first", "behind"])
@pytest.mark.parametrize("share", [None, (1, 3)], ids=["all", "share"])
def test_ready_items_are_read_in_order(connection, after, share):
    """A page of ready items is read from their index, from its place on; nothing is sorted."""
    found = plan(connection, *postgres_work.ready(after, 100, share))
    assert "Index Scan using live_work_ready" in found
    assert "Sort" not in found
    if after is not None:
        assert "Index Cond: (ROW(rank, stream_id, step) > ROW(" in found


def test_timers_are_sought(connection):
    """What is due is read from the index of due times; nothing is sorted."""
    found = plan(connection, postgres_work._TIMERS, (ROWS, 100))
    assert "Index Scan using live_work_timers" in found
    assert "Sort" not in found
