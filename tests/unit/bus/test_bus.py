"""The bus: who is told of what, in which order, and what a bad receiver costs."""

from __future__ import annotations

import gc
import logging
import threading
from collections.abc import Callable, Iterator

import pytest

from tasker.bus import bus as module
from tasker.bus.bus import Bus
from tasker.codec.rows import StoredEvent
from tasker.errors import InvalidRequest, LogUnavailable
from tasker.instrument import install
from tasker.log.open import open_store
from tasker.log.port import EventLog
from tests.contracts.kit import event, new_id, start

CREATED = (1, "task.created")
Emit = Callable[..., tuple[int, int]]


@pytest.fixture
def log() -> Iterator[EventLog]:
    """Give an empty log in memory."""
    store = open_store("memory://")
    yield store.log
    store.close()


@pytest.fixture
def bus(log: EventLog) -> Iterator[Bus]:
    """Give the bus of a process."""
    found = Bus(lambda: log)
    yield found
    found.close()


def emit(log: EventLog, *names: str) -> tuple[int, int]:
    """Append a new task with custom events; give the positions."""
    found = log.append([start(new_id(), event(CREATED), *(event((0, name), b'{"n":1}') for name in names))])[0]
    return found.first, found.last


def test_order_and_globs(log, bus):
    """Receivers get what their globs select, in log order, on the thread of the bus."""
    all_of_them, orders, threads = [], [], set()
    bus.on("*", lambda event: all_of_them.append(event.position))
    bus.on(["order.*", "order.paid"], lambda event: orders.append((event.type, event.body["n"])))
    bus.on("*", lambda event: threads.add(threading.current_thread().name))
    for _ in range(150):
        bus.offer(*emit(log, "order.paid", "cart.filled"))
    assert bus.drain(10)
    assert all_of_them == list(range(1, 451))
    assert orders == [("order.paid", 1)] * 150
    assert threads == {"tasker-bus"}


def test_own_events_only(log, bus):
    """The bus carries what was offered, and what came after `on`."""
    seen = []
    bus.offer(*emit(log, "a.early"))
    bus.on("a.*", lambda event: seen.append(event.type))
    emit(log, "a.foreign")
    bus.offer(*emit(log, "a.own"))
    assert bus.drain(10)
    assert seen == ["a.own"]


def test_offers_in_the_other_order(log, bus):
    """Offers that two threads brought in the other order are told in log order."""
    seen, go = [], threading.Event()
    bus.on("a.first", lambda event: go.wait(10))
    bus.on("a.*", lambda event: seen.append(event.type))
    spans = [emit(log, f"a.{name}") for name in ("first", "second", "third")]
    for place in (0, 2, 1):
        bus.offer(*spans[place])
    go.set()
    assert bus.drain(10)
    assert seen == ["a.first", "a.second", "a.third"]


class Counts:
    """A sink that keeps what is counted."""

    def __init__(self) -> None:
        """Start empty."""
        self.names = []

    def span(self, name, attributes):
        """Take no spans."""
        raise NotImplementedError

    def count(self, name, attributes):
        """Keep a name."""
        self.names.append(name)


@pytest.mark.parametrize("error", [ZeroDivisionError, SystemExit])
def test_raising_receiver(log, bus, caplog, error):
    """A raising receiver is logged and counted, and harms neither the others nor later events."""

    def bad(event):
        raise error

    seen, counts = [], Counts()
    bus.on("a.*", bad)
    bus.on("a.*", lambda event: seen.append(event.position))
    before = install(counts)
    try:
        with caplog.at_level(logging.WARNING, logger="tasker"):
            bus.offer(*emit(log, "a.b", "a.c"))
            assert bus.drain(10)
    finally:
        install(before)
    assert seen == [2, 3]
    assert counts.names == ["tasker.bus_receiver_failed"] * 2
    assert "bad raised" in caplog.text


def test_strong_and_off(log, bus):
    """Receivers are held strongly until they are taken off; taking off twice is fine."""
    seen = []

    def receiver() -> Callable[[object], None]:
        return lambda event: seen.append(event.type)

    off = bus.on("a.*", receiver())
    gc.collect()
    bus.offer(*emit(log, "a.b"))
    assert bus.drain(10)
    off()
    off()
    assert not bus._receivers.any
    bus.offer(*emit(log, "a.c"))
    assert bus.drain(10)
    assert seen == ["a.b"]


def test_twice(log, bus):
    """The same receiver registered twice is told twice, and taken off once at a time."""
    seen = []
    offs = [bus.on("a.*", seen.append), bus.on("a.b", seen.append)]
    offs[0]()
    bus.offer(*emit(log, "a.b"))
    assert bus.drain(10)
    assert len(seen) == 1


def test_nothing_without_receivers(log, bus):
    """Without receivers nothing starts and nothing is read."""
    quiet = Bus(lambda: pytest.fail("the log was asked for"))
    quiet.offer(1, 10)
    quiet.poke()
    assert quiet.drain(0)
    assert quiet._thread is None
    quiet.on("*", print)
    assert quiet._thread is None
    quiet.close()


@pytest.mark.parametrize(("pattern", "receiver"), [((), print), ("a b", print), ("a.*", "print")])
def test_wrong_use(bus, pattern, receiver):
    """What is no glob or cannot be called is refused."""
    with pytest.raises(InvalidRequest):
        bus.on(pattern, receiver)


def test_drain_and_close(log, bus):
    """`drain` tells when its time ran out, and does not wait for itself; `close` ends the rest, twice too."""
    entered, go, inner = threading.Event(), threading.Event(), []

    def slow(event):
        inner.append(bus.drain(30))
        entered.set()
        go.wait(10)

    bus.on("a.*", slow)
    bus.offer(*emit(log, "a.b", "a.c", "a.d"))
    assert entered.wait(10)
    assert not bus.drain(0.01)
    bus.close(timeout=0)
    go.set()
    bus.close()
    assert inner == [True]
    assert not bus._thread.is_alive()
    bus.offer(1, 4)
    assert bus.drain(1)


def test_close_from_a_receiver(log, bus):
    """A receiver may close the bus."""
    bus.on("a.*", lambda event: bus.close())
    bus.offer(*emit(log, "a.b", "a.c"))
    bus._thread.join(10)
    assert not bus._thread.is_alive()


class Unreadable:
    """A log that cannot be read at first."""

    def __init__(self, log: EventLog) -> None:
        """Fail three times."""
        self._log = log
        self.log_id = log.log_id
        self.left = 3

    def tail(self, after: int, *, limit: int) -> list[StoredEvent]:
        """Read, or fail."""
        self.left -= 1
        if self.left >= 0:
            raise LogUnavailable("gone")
        return self._log.tail(after, limit=limit)


def test_unreadable_log(log, monkeypatch):
    """While the log cannot be read, what was offered waits."""
    monkeypatch.setattr(module, "PATIENCE", 0.001)
    seen = []
    source = Unreadable(log)
    bus = Bus(lambda: source)
    bus.on("a.*", lambda event: seen.append(event.type))
    bus.offer(*emit(log, "a.b"))
    assert bus.drain(10)
    assert seen == ["a.b"]
    bus.close()


def test_overflow(log, bus, monkeypatch, caplog):
    """Ranges that wait are bounded: the oldest are passed over, and the log says which."""
    monkeypatch.setattr(module, "MOST_RANGES", 2)
    seen, entered, go = [], threading.Event(), threading.Event()
    bus.on("a.block", lambda event: (entered.set(), go.wait(10)))
    bus.on("a.*", lambda event: seen.append(event.type))
    bus.offer(*emit(log, "a.block"))
    assert entered.wait(10)
    for number in range(4):
        emit(log, "b.gap")
        bus.offer(*emit(log, f"a.n{number}"))
    go.set()
    assert bus.drain(10)
    assert seen == ["a.block", "a.n2", "a.n3"]
    assert "passes positions" in caplog.text


def test_newer_event(log, bus, caplog):
    """An event that only a newer release can read is passed over, and the log says so."""
    seen = []
    bus.on("*", lambda event: seen.append(event.type))
    stream = new_id()
    first = log.append([start(stream, event(CREATED), event(CREATED, schema_version=99), event((0, "a.b")))])[0]
    bus.offer(first.first, first.last)
    assert bus.drain(10)
    assert seen == ["task.created", "a.b"]
    assert "newer release" in caplog.text


def test_follow(log):
    """With `follow` the bus carries the whole log from `on` on, found by a poke or by itself."""
    emit(log, "a.early")
    seen, third = [], threading.Event()
    bus = Bus(lambda: log, follow=True)
    off = bus.on("a.*", lambda event: (seen.append(event.type), event.type == "a.third" and third.set()))
    bus.offer(*emit(log, "a.first"))
    assert bus.drain(10)
    emit(log, "a.second")
    bus.poke()
    assert bus.drain(10)
    emit(log, "a.third")
    assert third.wait(10)
    off()
    emit(log, "a.unheard")
    bus.on("b.*", lambda event: seen.append(event.type))
    bus.on("a.*", lambda event: seen.append(event.type))
    emit(log, "b.last")
    assert bus.drain(10)
    assert seen == ["a.first", "a.second", "a.third", "b.last"]
    bus.close()
