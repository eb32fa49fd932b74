"""What a SQLite store remembers: never trusted over the database, bounded, and thrown away after a failure."""

from __future__ import annotations

import resource
import sqlite3
from contextlib import ExitStack, closing

import pytest

from tasker.errors import LogUnavailable
from tasker.log import group, joining, sqlite_schema
from tasker.log.open import open_store
from tasker.log.port import Appended, VersionConflict
from tests.contracts.kit import broken, event, more, new_id, start, started


@pytest.fixture
def path(tmp_path):
    """Give the path of a log that does not exist yet."""
    return tmp_path / "log.db"


@pytest.fixture
def store(path):
    """Give a store on a file."""
    with closing(open_store(f"sqlite:///{path}")) as opened:
        yield opened


def test_wrong_memory_is_thrown_away(store):
    """Where memory says otherwise than the database, the database decides, and the append is answered rightly."""
    stream_id = started(store.log, event(), event())
    ends = store.log._appender._known.ends
    ends[stream_id] = (1, bytes(32))
    assert store.log.append([more(stream_id, 1), start(new_id())]) == [VersionConflict(2), Appended(3, 3)]
    assert store.log.append([more(stream_id, 2)]) == [Appended(4, 4)]
    assert broken(store.log) == []


def test_memory_is_bounded(store, monkeypatch):
    """A store remembers a bounded number of streams, definitions and headers, and forgets the oldest first."""
    monkeypatch.setattr(group, "_STREAMS_REMEMBERED", 3)
    monkeypatch.setattr(group, "_DEFINITIONS_REMEMBERED", 3)
    monkeypatch.setattr(joining, "_HEADERS_REMEMBERED", 3)
    ids = [new_id() for _ in range(6)]
    for number, stream_id in enumerate(ids):
        store.log.append([start(stream_id)._replace(definition=(bytes([number]) * 32, b"plan"))])
    known = store.log._appender._known
    assert list(known.ends) == ids[3:]
    assert len(known.definitions) <= 4
    assert len(store.log._reader._joining.headers) <= 3
    assert store.log.append([more(ids[0], 1)._replace(definition=(bytes(32), b"plan"))]) == [Appended(7, 7)]
    assert len(store.log.tail(0, limit=9)) == 7
    assert broken(store.log) == []


def test_failed_commit(store, path):
    """A commit that the disk breaks off says that the outcome is unknown; the log is whole and works again."""
    stream_id = started(store.log)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.with_name("log.db-wal").stat().st_size, hard))
    try:
        with pytest.raises(LogUnavailable, match="same key") as caught:
            store.log.append([more(stream_id, 1)])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert caught.value.outcome_unknown
    assert store.log.append([more(stream_id, 1)]) == [Appended(2, 2)]
    assert broken(store.log) == []


def test_lost_connection(store):
    """A writing connection that was lost inside a transaction is replaced by the next use."""
    stream_id = started(store.log)
    with pytest.raises(LogUnavailable), store._database.transaction() as connection:
        connection.close()
    assert store.log.append([more(stream_id, 1)]) == [Appended(2, 2)]


def test_readers_are_pooled(store):
    """Many readers at once get a connection each; a bounded number stays open."""
    with ExitStack() as stack:
        readers = [stack.enter_context(store._database.reading()) for _ in range(12)]
        assert len({id(reader) for reader in readers}) == 12
    assert len(store._database._idle) == 8
    assert store.log.head() == 0


def test_reader_outlives_its_store(store):
    """A reader that is still busy when its store closes is closed when it is done."""
    with store._database.reading() as reader:
        store.close()
        assert reader.execute("SELECT 1").fetchone() == (1,)
    with pytest.raises(sqlite3.ProgrammingError):
        reader.execute("SELECT 1")


def test_waits_for_wal(store, path, monkeypatch):
    """Switching to WAL waits for other connections within a bound, then says that the file is locked."""
    store.open()
    store.close()
    monkeypatch.setattr(sqlite_schema, "_WAL_SECONDS", 0.05)
    monkeypatch.setattr("tasker.log.sqlite_connect.BUSY_SECONDS", 0.01)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA journal_mode=DELETE")
        other.execute("BEGIN")
        other.execute("SELECT * FROM log_head").fetchall()
        with closing(open_store(f"sqlite:///{path}")) as blocked, pytest.raises(LogUnavailable, match="locked"):
            blocked.log.head()


def test_needs_wal():
    """A place where SQLite cannot write ahead is refused."""
    with closing(sqlite3.connect("")) as temporary, pytest.raises(LogUnavailable, match="write-ahead"):
        sqlite_schema._use_wal(temporary, "here")


def test_creation_may_lose_a_race(path, monkeypatch):
    """A store that finds the log made while it waited for the lock takes it as it is."""
    with closing(open_store(f"sqlite:///{path}")) as first:
        log_id = first.log.log_id
    answers = iter([True, False])
    monkeypatch.setattr(sqlite_schema, "_is_empty", lambda _: next(answers))
    with closing(open_store(f"sqlite:///{path}")) as second:
        assert second.log.log_id == log_id
