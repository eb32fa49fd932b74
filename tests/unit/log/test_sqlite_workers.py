"""Workers on SQLite: what they cost an append, and that idle ones do not touch the disk."""

from __future__ import annotations

import sqlite3
from contextlib import closing, contextmanager

import pytest

from tasker.log.open import open_store
from tasker.log.port import Appended, Fenced
from tests.contracts.kit import more, new_id, start, started
from tests.contracts.working import PAST, VITALS, claim, enrol


@pytest.fixture
def store(tmp_path):
    """Give a store on a file, with a living worker and a dead one."""
    with closing(open_store(f"sqlite:///{tmp_path / 'log.db'}")) as opened:
        enrol(opened, "w", lease=None)
        enrol(opened, "dead", lease=PAST)
        opened.workers.bury()
        yield opened


@contextmanager
def asked(store):
    """Collect the statements that the writing connection runs."""
    found = []
    writer = store._database.writer()
    writer.set_trace_callback(found.append)
    try:
        yield found
    finally:
        writer.set_trace_callback(None)


def test_one_look_for_each_worker(store):
    """A group asks once for each worker that it names, living or not."""
    stream_id = started(store.log)
    appends = [more(stream_id, 1 + number)._replace(worker="w") for number in range(4)]
    lost = [start(new_id())._replace(worker="dead") for _ in range(3)]
    with asked(store) as statements:
        results = store.log.append([*appends, *lost])
    assert [type(result) for result in results] == [Appended] * 4 + [Fenced] * 3
    assert len([sql for sql in statements if "FROM workers" in sql]) == 2


def test_nothing_is_asked_for_nobody(store):
    """An append without a worker and without places asks nothing about either, and writes nothing of them."""
    stream_id = started(store.log)
    store.log.append([claim(stream_id, 1, 0, "shop")])
    with asked(store) as statements:
        assert store.log.append([more(stream_id, 2)]) == [Appended(3, 3)]
    assert not [sql for sql in statements if "workers" in sql or "limit_holders" in sql]


def test_one_look_for_each_scope(store):
    """A group reads the places of a scope once, and writes rows only if somebody won."""
    stream_id = started(store.log)
    claims = [claim(stream_id, 1 + step, step, "shop", most=2) for step in range(3)]
    with asked(store) as statements:
        store.log.append(claims)
    assert len([sql for sql in statements if "FROM limit_holders AS" in sql]) == 1
    with asked(store) as statements:
        store.log.append([claims[2]])
    assert not [sql for sql in statements if sql.startswith(("INSERT", "DELETE", "UPDATE"))]


def test_idle_workers_do_not_touch_the_disk(store):
    """A heartbeat that has nothing to say, and looking for dead workers where none are, write nothing."""
    with closing(sqlite3.connect(store._database.path)) as other:
        before = other.execute("PRAGMA data_version").fetchone()
        with asked(store) as statements:
            for _ in range(3):
                store.workers.beat("w", VITALS, lease_seconds=None)
                assert store.workers.bury() == store.workers.bury(but="w") == []
        assert statements == []
        assert other.execute("PRAGMA data_version").fetchone() == before
        store.workers.beat("w", VITALS._replace(skew=1.0), lease_seconds=None)
        assert other.execute("PRAGMA data_version").fetchone() != before
