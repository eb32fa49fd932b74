"""Hints on PostgreSQL: many appends make few of them, and they come again after the connection was lost."""

from __future__ import annotations

import time
from contextlib import closing
from threading import Event
from types import SimpleNamespace

from tasker.errors import TaskerError
from tasker.log.open import open_store
from tasker.log.signals import Polling
from tests.contracts.kit import started
from tests.unit.log.test_postgres_lost import end_all


def heard(told, store, *, within=20.0):
    """Append until a hint is heard, and tell whether it was."""
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        started(store.log)
        if told.wait(0.2):
            told.clear()
            return True
    return False


def test_another_store_is_heard(postgres_url):
    """An append of another store is heard at once; polling beneath is slow."""
    with closing(open_store(postgres_url)) as mine, closing(open_store(postgres_url)) as other:
        told = Event()
        signals = mine.signals()
        signals.listen(told.set)
        assert signals.poll_seconds == 1.0
        assert heard(told, other)
        assert mine.signals() is signals


def test_a_store_does_not_hear_itself(postgres_url):
    """What a store appends is no news to it: of both hints that were said, only the other's is heard."""
    with closing(open_store(postgres_url)) as mine, closing(open_store(postgres_url)) as other:
        told, hints = Event(), []
        mine.signals().listen(lambda: (hints.append(1), told.set()))
        assert heard(told, other)
        other.log.notifier.close()
        while told.wait(0.3):
            told.clear()
        before = len(hints)
        for _ in range(5):
            started(mine.log)
            told.wait(0.05)
        assert len(hints) == before


def test_appends_share_hints(postgres_url):
    """A hundred appends in a row make far fewer hints."""
    with closing(open_store(postgres_url)) as mine, closing(open_store(postgres_url)) as other:
        told, hints = Event(), []
        mine.signals().listen(lambda: (hints.append(1), told.set()))
        assert heard(told, other)
        began, before = time.monotonic(), len(hints)
        for _ in range(100):
            started(other.log)
        other.close()
        told.wait(1)
        assert len(hints) - before <= (time.monotonic() - began) / 0.02 + 2


def test_hints_come_again(postgres_url):
    """After the server ended every connection, hints are heard again."""
    with closing(open_store(postgres_url)) as mine, closing(open_store(postgres_url)) as other:
        told = Event()
        mine.signals().listen(told.set)
        assert heard(told, other)
        end_all(postgres_url)
        told.clear()
        assert heard(told, other)


def test_a_hint_that_fails_leaves_no_connection_open(monkeypatch, postgres_url):
    """What could not be said costs its connection: it is closed, and another one says the next hint."""
    with closing(open_store(postgres_url)) as mine, closing(open_store(postgres_url)) as other:
        told = Event()
        mine.signals().listen(told.set)
        assert heard(told, other)
        opened, refused = [], Event()
        notifier = other.log.notifier
        database, channel = notifier._database, notifier._channel

        def refuse():
            if not refused.is_set() and opened:
                refused.set()
                raise TaskerError("no name")
            return channel()

        connect = SimpleNamespace(connect=lambda: opened.append(database.connect()) or opened[-1])
        monkeypatch.setattr(notifier, "_database", connect)
        monkeypatch.setattr(notifier, "_channel", refuse)
        end_all(postgres_url)
        told.clear()
        while not refused.is_set():
            assert heard(told, other)
        assert heard(told, other)
        other.log.notifier.close()
        assert len(opened) > 1
        assert all(connection.closed for connection in opened)


def test_the_last_append_is_said(postgres_url):
    """A store that closes right after its append has still said it."""
    with closing(open_store(postgres_url)) as mine:
        told = Event()
        mine.signals().listen(told.set)
        with closing(open_store(postgres_url)) as warm:
            assert heard(told, warm)
        told.clear()
        other = open_store(postgres_url)
        started(other.log)
        other.close()
        assert told.wait(20)


def test_where_hints_come_from(postgres_url):
    """Through a pooler there are none, unless a direct URL is given."""
    pooled = f"{postgres_url}?pooler=true"
    with closing(open_store(pooled)) as store:
        assert isinstance(store.signals(), Polling)
        assert store.signals().poll_seconds == 1.0
    with closing(open_store(pooled, direct_url=postgres_url)) as store:
        told = Event()
        store.signals().listen(told.set)
        assert heard(told, store)
    with closing(open_store("memory://")) as store:
        store.signals().listen(told.set)
        assert store.signals().poll_seconds == 0.1


def test_closing_is_quick(postgres_url):
    """Closing a store ends its threads at once, heard or not, and twice is no mistake."""
    store = open_store(postgres_url)
    started(store.log)
    store.signals().listen(lambda: None)
    began = time.monotonic()
    store.close()
    store.close()
    assert time.monotonic() - began < 30
