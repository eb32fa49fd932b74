"""The fence on PostgreSQL: appends from memory, appends on their way, and appends that wait for the head."""

from __future__ import annotations

import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from threading import Event

import psycopg
import pytest

from tasker.errors import LogUnavailable
from tasker.log import postgres_append, postgres_connect
from tasker.log.open import open_store
from tasker.log.port import Appended, Fenced
from tests.contracts.kit import COMPLETED, broken, event, more, new_id, start, started
from tests.contracts.working import PAST, VITALS, claim, end, enrol, states
from tests.proxy import Proxy

SECONDS = 20.0


def written(result: object) -> bool:
    """Tell whether an append won."""
    return isinstance(result, Appended)


class Writer:
    """A store with a living worker `w`, which appends to one stream.

    Attributes:
        store: The store.
        swift: Whether it appends from memory by now.
    """

    def __init__(self, url: str, *, swift: bool) -> None:
        """Append until memory suffices, or once."""
        self.store, self.swift = open_store(url), swift
        enrol(self.store, "w")
        self._stream_id = started(self.store.log)
        self._version = 1
        for _ in range(6 if swift else 1):
            assert written(self.append())
        assert (self.store.log._appender._unmoved >= postgres_append._ALONE) is swift

    def append(self) -> object:
        """Append one event as the worker; give the result."""
        [result] = self.store.log.append([more(self._stream_id, self._version)._replace(worker="w")])
        self._version += written(result)
        return result


@pytest.fixture
def proxy(postgres_url):
    """Give a proxy in front of an empty log."""
    with closing(Proxy(postgres_url)) as found:
        yield found


@pytest.fixture(params=[True, False], ids=["from memory", "looking"])
def writer(request, proxy):
    """Give a writer that appends from memory, and one that looks, through the proxy."""
    found = Writer(proxy.url, swift=request.param)
    yield found
    found.store.close()


@pytest.fixture
def other(postgres_url):
    """Give another store on the log, beside the proxy."""
    with closing(open_store(postgres_url)) as found:
        yield found


@pytest.fixture
def pool():
    """Give threads; a test that fails does not wait for them for ever, for every statement has its bound."""
    with ThreadPoolExecutor(4) as found:
        yield found


def expire(store):
    """Let the lease of `w` run out."""
    store.workers.beat("w", VITALS, lease_seconds=PAST)


@contextmanager
def head_held(url):
    """Hold the head of the log; gives a function that waits until so many others wait for a lock."""
    plain = url.replace("+psycopg", "")
    with psycopg.connect(plain) as holder, psycopg.connect(plain, autocommit=True) as looker:
        holder.execute("SELECT 1 FROM log_head FOR UPDATE")

        def waiting(count: int) -> None:
            sql = (
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
            )
            deadline = time.monotonic() + SECONDS
            while looker.execute(sql).fetchone() != (count,):
                assert time.monotonic() < deadline
                time.sleep(0.005)

        yield waiting


def test_who_is_known_to_live_needs_no_look(proxy, monkeypatch):
    """A worker that appends from memory is not looked at, also after a look for dead ones that found none."""
    found = Writer(proxy.url, swift=True)
    with closing(found.store) as store:
        store.workers.beat("w", VITALS, lease_seconds=30.0)
        assert store.workers.bury() == []
        monkeypatch.setattr(postgres_append, "look", lambda *_: pytest.fail("it looked"))
        for _ in range(3):
            assert written(found.append())


def test_two_workers_of_one_store(proxy, monkeypatch):
    """Workers that were looked at once are remembered together, and through appends of nobody."""
    found = Writer(proxy.url, swift=True)
    with closing(found.store) as store:
        enrol(store, "v")
        assert written(store.log.append([start(new_id())._replace(worker="v")])[0])
        assert written(store.log.append([start(new_id())])[0])
        monkeypatch.setattr(postgres_append, "look", lambda *_: pytest.fail("it looked"))
        assert written(store.log.append([start(new_id())._replace(worker="v")])[0])
        assert written(found.append())


@pytest.mark.parametrize("end", ["bury", "stop"])
def test_what_is_on_its_way_is_fenced(proxy, other, end):
    """What a worker sent from memory while it lived, and what arrives after its end, is fenced."""
    found = Writer(proxy.url, swift=True)

    def rule(link, before, commit):
        if end == "bury":
            expire(other)
            assert other.workers.bury() == ["w"]
        else:
            other.workers.stop("w")
        link.send(before + commit)

    with closing(found.store):
        head = other.log.head()
        proxy.rule = rule
        assert found.append() == Fenced("w")
        assert proxy.rule is None
    assert other.log.head() == head
    assert broken(other.log) == []


def test_what_waits_behind_the_end_is_fenced(writer, other, pool, postgres_url):
    """An append that waits for the head behind whoever declares its worker dead is fenced."""
    expire(other)
    with head_held(postgres_url) as waiting:
        dead: Future[list[str]] = pool.submit(other.workers.bury)
        waiting(1)
        late = pool.submit(writer.append)
        waiting(2)
    assert dead.result(SECONDS) == ["w"]
    assert late.result(SECONDS) == Fenced("w")


def test_what_waits_before_the_end_is_appended(writer, other, pool, postgres_url):
    """An append that waits for the head before that is there when the worker is declared dead; the next one is not."""
    expire(other)
    with head_held(postgres_url) as waiting:
        early = pool.submit(writer.append)
        waiting(1)
        dead = pool.submit(other.workers.bury)
        waiting(2)
    assert written(early.result(SECONDS))
    assert dead.result(SECONDS) == ["w"]
    assert writer.append() == Fenced("w")


def test_a_death_waits_for_the_append_under_way(writer, proxy, other, pool, postgres_url):
    """Nobody is declared dead while an append of his has the head: when that is told, nothing of his comes any more."""
    held, go = Event(), Event()

    def rule(link, before, commit):
        link.send(before)
        held.set()
        assert go.wait(SECONDS)
        link.send(commit)

    expire(other)
    proxy.rule = rule
    under_way = pool.submit(writer.append)
    assert held.wait(SECONDS)
    with psycopg.connect(postgres_url.replace("+psycopg", ""), autocommit=True) as looker:
        until_held(looker)
        dead = pool.submit(other.workers.bury)
        until_waiting(looker)
    assert not dead.done()
    go.set()
    assert written(under_way.result(SECONDS))
    assert dead.result(SECONDS) == ["w"]
    head = other.log.head()
    assert writer.append() == Fenced("w")
    assert other.log.head() == head


def until_held(looker):
    """Wait until somebody has the head."""
    deadline = time.monotonic() + SECONDS
    while looker.execute("SELECT 1 FROM log_head FOR UPDATE SKIP LOCKED").fetchone() is not None:
        assert time.monotonic() < deadline
        time.sleep(0.005)


def until_waiting(looker):
    """Wait until somebody waits for a lock."""
    sql = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    deadline = time.monotonic() + SECONDS
    while looker.execute(sql).fetchone() is None:
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_looking_for_the_dead_waits_for_nobody(postgres_url, other):
    """Where no lease has run out, looking for dead workers, and every heartbeat, waits for no append."""
    enrol(other, "w")
    with head_held(postgres_url):
        assert other.workers.bury() == []
        assert other.workers.beat("w", VITALS, lease_seconds=30.0).state.value == "alive"
        assert other.workers.drain("w")


def test_a_head_that_cannot_be_had_leaves_everybody_alive(postgres_url, other, monkeypatch):
    """Who cannot get the head in time says so, and nobody has died; repeating it later works."""
    quick = postgres_connect._settings({"lock_timeout": 1})
    monkeypatch.setattr(postgres_connect, "_SETTINGS", quick)
    monkeypatch.setattr(postgres_connect, "_NEW_SETTINGS", quick)
    enrol(other, "w", lease=PAST)
    with head_held(postgres_url), pytest.raises(LogUnavailable, match="kept it locked"):
        other.workers.bury()
    assert states(other) == {"w": "alive"}
    assert other.workers.bury() == ["w"]


def test_limits_are_looked_at(proxy, monkeypatch):
    """Places under limits are not remembered: every append that asks for one looks."""
    found = Writer(proxy.url, swift=True)
    looks = []
    look = postgres_append.look
    with closing(found.store) as store:
        stream_id = started(store.log, event(COMPLETED))
        monkeypatch.setattr(postgres_append, "look", lambda *given: looks.append(1) or look(*given))
        assert written(found.append())
        assert looks == []
        assert written(store.log.append([claim(stream_id, 1, 0, "shop")])[0])
        assert not written(store.log.append([claim(stream_id, 2, 1, "shop")])[0])
        assert len(looks) == 2
        assert written(store.log.append([end(stream_id, 2, 0)])[0])
        assert len(looks) == 2


@pytest.mark.parametrize("lease", [30.0, None])
def test_a_heartbeat_that_comes_too_late_is_told(postgres_url, other, pool, lease):
    """A heartbeat that waits for whoever declares its worker dead is told so, and does not say that it lives."""
    enrol(other, "w")
    plain = postgres_url.replace("+psycopg", "")
    with psycopg.connect(plain) as dying, psycopg.connect(plain, autocommit=True) as looker:
        dying.execute("UPDATE workers SET state = 'dead'")
        late = pool.submit(other.workers.beat, "w", VITALS._replace(skew=9.0), lease_seconds=lease)
        until_waiting(looker)
        dying.commit()
        assert late.result(SECONDS).state.value == "dead"
    assert states(other) == {"w": "dead"}
