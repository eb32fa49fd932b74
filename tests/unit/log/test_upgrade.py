"""Logs of the first revision: they are upgraded in place, and lose nothing."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from hashlib import sha256

import psycopg
import pytest

from tasker.domain.work import WorkItem, WorkKind
from tasker.errors import LogUnavailable
from tasker.log import revision, sqlite_schema
from tasker.log.migrations.r0001_postgres import POSTGRES
from tasker.log.migrations.versions.r0001 import SQLITE
from tasker.log.open import open_store, upgrade_store
from tasker.log.port import Appended
from tests.contracts.kit import broken, event, more, new_id, start, started
from tests.contracts.working import claim, enrol, ready, running

TABLES = ("log_head", "event_types", "definitions", "streams", "events", "live_work", "checkpoints")
DUE = WorkItem(2, WorkKind.WAITING, 40, 0, 1, None)


def fill(store):
    """Let something happen in a log; give a stream with live work, of version 2."""
    store.log.append([start(new_id(), identity=b"i" * 32)._replace(definition=(b"d" * 32, b"plan"))])
    stream_id = started(store.log, event(payload=b"p"))
    work = ((0, ready(0)), (1, running(1, worker="old")), (2, DUE))
    assert store.log.append([more(stream_id, 1, event((0, "order.paid")))._replace(work=work)]) == [Appended(3, 3)]
    assert store.checkpoints.advance("reader", expected=0, position=2)
    return stream_id


@pytest.fixture
def sqlite_log(tmp_path, monkeypatch):
    """Give the URL of a SQLite log of the first revision, and its stream."""
    url = f"sqlite:///{tmp_path / 'log.db'}"
    with monkeypatch.context() as patch, closing(open_store(url)) as store:
        for module in (sqlite_schema, revision):
            patch.setattr(module, "REVISIONS", ("0001",))
        store.open()
        stream_id = fill(store)
    return url, stream_id


@pytest.fixture
def postgres_log(bare_url, postgres_url):
    """Give the URL of a PostgreSQL log of the first revision, and its stream; its rows are those of a newer one."""
    with closing(open_store(postgres_url)) as store:
        stream_id = fill(store)
    plain = [url.replace("+psycopg", "") for url in (postgres_url, bare_url)]
    with psycopg.connect(plain[0]) as source, psycopg.connect(plain[1]) as target:
        for statement in POSTGRES:
            target.execute(statement)
        target.execute("CREATE TABLE alembic_version (version_num varchar(32) NOT NULL PRIMARY KEY)")
        target.execute("INSERT INTO alembic_version VALUES ('0001')")
        for table in TABLES:
            with (
                source.cursor().copy(f"COPY {table} TO STDOUT") as out,
                target.cursor().copy(f"COPY {table} FROM STDIN") as into,
            ):
                for data in out:
                    into.write(data)
    return bare_url, stream_id


def test_the_first_revision_is_as_released():
    """The statements of a released revision never change."""
    digests = [sha256("\0".join(statements).encode()).hexdigest() for statements in (SQLITE, POSTGRES)]
    assert digests == [
        "63aaa844f6f9b53c0e60a10e8dcfb57a3c7f76d5a59282842ad78720da66b598",
        "7c8cb2bd4062258236deefecc4cadf9aee871eeae1b89855db6556b540f6c95e",
    ]


@pytest.mark.parametrize("kind", ["sqlite_log", "postgres_log"])
def test_upgraded_in_place(request, kind):
    """A log of the first revision is refused by who only looks; upgraded, it has its rows and can all that is new."""
    url, stream_id = request.getfixturevalue(kind)
    with pytest.raises(LogUnavailable, match=r"revision 0001, expected 0003\. Run `tasker db upgrade`"):
        open_store(url, check_only=True)
    upgrade_store(url)
    with closing(open_store(url, check_only=True)) as store:
        assert (store.log.head(), store.checkpoints.get("reader")) == (3, 2)
        assert broken(store.log) == []
        assert (store.workers.all(), store.archive.seals()) == ([], [])
        assert store.work.orphans() == store.work.held_by("old") == [(stream_id, running(1, worker="old"))]
        assert store.work.ready(after=None, limit=5) == [(stream_id, ready(0))]
        assert store.work.timers(before=41, limit=5) == [(stream_id, DUE)]
        enrol(store, "w")
        taken = claim(stream_id, 2, 0, "shop")._replace(worker="w")
        assert store.log.append([taken]) == [Appended(4, 4)]
        assert store.work.holders(["shop"]) == [("shop", stream_id, 0)]
        assert store.log.append([start(new_id(), event((0, "order.paid")))]) == [Appended(5, 5)]
        assert store.log.stream(stream_id)[1].code == 1000


def test_a_sqlite_log_is_upgraded_by_its_first_use(sqlite_log):
    """Whoever opens a SQLite log upgrades it."""
    url, stream_id = sqlite_log
    for _ in range(2):
        with closing(open_store(url)) as store:
            assert len(store.log.stream(stream_id)) == 2
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as raw:
        assert raw.execute("SELECT version_num FROM alembic_version").fetchall() == [("0003",)]


def test_a_postgres_log_is_not_upgraded_by_its_use(postgres_log):
    """A PostgreSQL log of the first revision is left as it is until somebody upgrades it."""
    url, _ = postgres_log
    with closing(open_store(url)) as store, pytest.raises(LogUnavailable, match="Run `tasker db upgrade`"):
        store.log.head()


def test_the_release_before_works_on(postgres_log):
    """After the upgrade the calls of the first revision are there, and leave what the newer release needs."""
    url, stream_id = postgres_log
    upgrade_store(url)
    with closing(open_store(url)) as store:
        for _ in range(5):
            started(store.log)
        with psycopg.connect(url.replace("+psycopg", "")) as old:
            old.execute("SELECT * FROM tasker_look_1(%s, %s, %s, false)", ([stream_id], [], [])).fetchall()
            position, token = old.execute("SELECT position, token FROM log_head").fetchone()
            empty = ", ".join(["'{}'"] * 39)
            moved = f"SELECT tasker_append_1(%s, %s, '\\x01', {empty})"
            assert old.execute(moved, (position, token)).fetchone() == (True,)
        assert store.log.append([more(stream_id, 2)]) == [Appended(9, 9)]
        assert broken(store.log) == []
