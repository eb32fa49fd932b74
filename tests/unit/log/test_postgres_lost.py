"""Connections that are lost in the middle of an append on PostgreSQL: what is durable is told, and nothing twice."""

from __future__ import annotations

from contextlib import closing

import psycopg
import pytest

from tasker.errors import LogUnavailable
from tasker.log import postgres_append
from tasker.log.open import open_store
from tasker.log.port import Appended, VersionConflict
from tests.contracts.kit import broken, event, more, new_id, start, started
from tests.integration.runner_kit import eventually
from tests.proxy import Hold, Proxy, cut_after, cut_at_once, cut_before


@pytest.fixture
def proxy(postgres_url):
    """Give a proxy in front of an empty log."""
    found = Proxy(postgres_url)
    yield found
    found.close()


@pytest.fixture(params=["remembering", "looking"])
def store(request, proxy):
    """Give a store that will append from memory in one round trip, and one that has to look first."""
    with closing(open_store(proxy.url)) as found:
        for _ in range(5 if request.param == "remembering" else 1):
            started(found.log)
        swift = found.log._appender._unmoved >= postgres_append._ALONE
        assert swift is (request.param == "remembering")
        yield found


@pytest.mark.parametrize("rule", [cut_after, cut_at_once, cut_before])
def test_a_cut_in_commit_is_resolved(store, proxy, rule):
    """Wherever the connection is cut, the append is there once when it returns, and the next one follows it."""
    head, stream_id = store.log.head(), new_id()
    proxy.rule = rule
    assert store.log.append([start(stream_id), more(stream_id, 1)]) == [
        Appended(head + 1, head + 1),
        Appended(head + 2, head + 2),
    ]
    assert proxy.rule is None
    assert store.log.append([more(stream_id, 2)]) == [Appended(head + 3, head + 3)]
    assert store.log.header(stream_id) is not None
    assert broken(store.log) == []


def test_losers_stay_losers(store, proxy):
    """The results of a group that is found to be durable name its losers too."""
    stream_id = started(store.log)
    head = store.log.head()
    proxy.rule = cut_after
    results = store.log.append([more(stream_id, 9), more(stream_id, 1)])
    assert results == [VersionConflict(1), Appended(head + 1, head + 1)]


def test_what_arrives_late_is_void(store, proxy):
    """An append that a network delivers after its sender gave it up changes nothing any more."""
    head, stream_id = store.log.head(), new_id()
    proxy.rule = hold = Hold()
    assert store.log.append([start(stream_id)]) == [Appended(head + 1, head + 1)]
    before = store.log.tail(0, limit=50)
    hold.deliver()
    assert store.log.tail(0, limit=50) == before
    assert store.log.append([more(stream_id, 1)]) == [Appended(head + 2, head + 2)]
    assert broken(store.log) == []


def test_a_server_that_stays_away_leaves_doubt(store, proxy, monkeypatch):
    """If nobody can be asked, the outcome is unknown; when the server is back, everything goes on."""
    monkeypatch.setattr(postgres_append, "SETTLE_SECONDS", 0.3)
    head, stream_id = store.log.head(), new_id()

    def rule(link, before, commit):
        proxy.down = True
        cut_after(link, before, commit)

    proxy.rule = rule
    with pytest.raises(LogUnavailable, match="may be durable") as caught:
        store.log.append([start(stream_id)])
    assert caught.value.outcome_unknown
    with pytest.raises(LogUnavailable, match="cannot be reached") as caught:
        store.log.append([start(new_id())])
    assert not caught.value.outcome_unknown
    proxy.down = False
    assert store.log.head() == head + 1
    assert store.log.append([start(stream_id)]) == [VersionConflict(1)]
    assert store.log.append([more(stream_id, 1)]) == [Appended(head + 2, head + 2)]


def test_ended_connections_are_replaced(postgres_url):
    """After the server ended every connection, reads, appends and transactions work at once."""
    with closing(open_store(postgres_url)) as store:
        stream_id = started(store.log)
        with store.reading() as connection:
            connection.exec_driver_sql("SELECT 1")
        for _ in range(2):
            end_all(postgres_url)
            assert len(store.log.stream(stream_id)) == 1
            with store.transaction() as connection:
                connection.exec_driver_sql("SELECT 1")
        end_all(postgres_url)
        assert store.log.append([more(stream_id, 1, event())]) == [Appended(2, 2)]


def test_a_transaction_cut_in_commit_says_so(postgres_url, proxy):
    """A transaction beside the log whose COMMIT was cut says that it may be stored."""
    with closing(open_store(proxy.url)) as store:
        proxy.rule = cut_after
        with pytest.raises(LogUnavailable) as caught, store.transaction() as connection:
            connection.exec_driver_sql("CREATE TABLE mine (a integer)")
        assert caught.value.outcome_unknown
        with store.reading() as connection:
            assert connection.exec_driver_sql("SELECT count(*) FROM mine").scalar_one() == 0


def end_all(url):
    """End every other connection to a database, and wait until they are gone, as some may be by themselves."""
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as admin:
        others = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        found = [pid for (pid,) in admin.execute(others).fetchall()]
        admin.execute("SELECT pg_terminate_backend(pid) FROM unnest(%s::int[]) AS pid", [found])
        gone = "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = ANY(%s))"
        eventually(lambda: admin.execute(gone, [found]).fetchone() == (True,))
