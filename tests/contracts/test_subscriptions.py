"""Durable subscriptions: what is delivered from where on, checkpoints, failures, parking and what operators do."""

from __future__ import annotations

import logging

import pytest

from tasker.bus.bus import Bus
from tasker.errors import InvalidRequest, LogUnavailable, NotAllowed, PermanentError, RetryableError
from tasker.subscriptions import batch
from tasker.subscriptions.subscriptions import LEASE, Subscriptions
from tests.contracts.kit import event, new_id, start
from tests.contracts.subscribing import MINUTE, Notes, Process, add, raising, task


@pytest.fixture
def process(store):
    """Give a process on an empty log."""
    found = Process(store)
    yield found
    found.bus.close()
    found.subscriptions.close()


def test_matching_events_in_order(process):
    """A subscriber gets what its globs select, in log order, and the checkpoint moves over everything."""
    notes = Notes()
    process.subscriptions.subscribe(notes, start="beginning")
    for _ in range(400):
        task(process.store.log, "order.paid", "cart.filled", "order.sent")
    process.pump()
    assert notes.seen == [
        (n, p + 1) for p in range(0, 1_600, 4) for n, p in (("order.paid", p + 1), ("order.sent", p + 3))
    ]
    info = process.info()
    assert (info.state, info.checkpoint, info.lag, info.failures, info.parked) == ("active", 1_600, 0, 0, 0)
    assert (info.patterns, info.error, info.retrying) == (("order.*",), None, 0)
    assert process.pump() == 0


@pytest.mark.parametrize(
    ("begin", "expected"), [("now", [8]), ("beginning", [2, 4, 6, 8]), (4, [6, 8]), (0, [2, 4, 6, 8])]
)
def test_start(process, begin, expected):
    """`start` says behind which position a new subscription begins."""
    notes = Notes()
    for _ in range(3):
        task(process.store.log, "order.paid")
    process.subscriptions.subscribe(notes, start=begin)
    task(process.store.log, "order.paid")
    process.pump()
    assert notes.positions == expected


def test_start_counts_once(place):
    """A known name goes on from its checkpoint, whatever `start` says, also in a later process."""
    first = Process(place.open())
    first.subscriptions.subscribe(Notes(), start="beginning")
    task(first.store.log, "order.paid")
    first.pump()
    first.subscriptions.close()
    if place.adapter.shared:
        first.store.close()
    second, notes = Process(place.open() if place.adapter.shared else first.store), Notes()
    second.subscriptions.subscribe(notes, start=1_000)
    task(second.store.log, "order.paid")
    second.pump()
    assert notes.positions == [4]


@pytest.mark.parametrize("begin", [-1, 1, True, 0.0, "soon", None])
def test_wrong_start(process, begin):
    """A start that is no place of the log is refused."""
    with pytest.raises(InvalidRequest, match="expected start="):
        process.subscriptions.subscribe(Notes(), start=begin)


@pytest.mark.parametrize("name", ["", " ", 7, "a\nb", "x" * 129])
def test_names(process, name):
    """A durable subscription needs a name, which belongs to one subscriber."""
    with pytest.raises(InvalidRequest, match="needs a name"):
        process.subscriptions.subscribe(Notes(), name=name)
    nameless = Notes()
    nameless.name = None
    with pytest.raises(InvalidRequest, match="needs a name"):
        process.subscriptions.subscribe(nameless)
    notes = Notes()
    process.subscriptions.subscribe(notes)
    process.subscriptions.subscribe(notes)
    with pytest.raises(InvalidRequest, match="belongs to another"):
        process.subscriptions.subscribe(Notes())
    process.subscriptions.subscribe(Notes(), name="notes-2", patterns=["task.*"])
    assert [one.name for one in process.subscriptions.list()] == ["notes", "notes-2"]


def test_not_durable(process):
    """Without durability the bus tells the subscriber, and no row is made."""
    notes = Notes()
    notes.name = None
    process.subscriptions.subscribe(notes, durable=False)
    task(process.store.log, "order.paid")
    process.bus.offer(1, 2)
    assert process.bus.drain(10)
    assert notes.positions == [2]
    assert process.subscriptions.list() == []


def test_until(process):
    """A round goes no further than it is told."""
    notes = Notes()
    process.subscriptions.subscribe(notes, start="beginning")
    task(process.store.log, "order.a", "order.b", "order.c")
    assert process.subscriptions.serve(process.times.now, until_position=2)
    assert (process.subscriptions.next_due(), notes.positions, process.info().checkpoint) == (None, [2], 2)
    assert process.subscriptions.settled(2)
    assert not process.subscriptions.settled(4)


def test_failure_holds_its_task_only(process, caplog):
    """A failed event is tried again later; events of its task wait behind it, also new ones, other tasks go on."""
    notes = Notes(raising(2))
    process.subscriptions.subscribe(notes, start="beginning")
    bad = task(process.store.log, "order.a", "order.b")
    task(process.store.log, "order.c")
    with caplog.at_level(logging.WARNING, logger="tasker"):
        process.pump()
    add(process.store.log, bad, "order.d")
    process.pump()
    info = process.info()
    assert (notes.positions, info.checkpoint, info.retrying, info.error) == ([5], 6, 1, None)
    assert "position 2 failed (try 1) and is retrying: ValueError: no" in caplog.text
    assert process.subscriptions.settled(6)
    notes.rule = lambda event: None
    process.times.now = process.subscriptions.next_due()
    assert not process.subscriptions.settled(6)
    process.pump()
    assert notes.positions == [5, 2, 3, 6]
    assert process.subscriptions.next_due() is None
    assert process.info().retrying == 0


def test_tries_and_parking(process):
    """After ten tries over about an hour an event is parked; it and its task wait for a person."""
    notes = Notes(raising(2))
    process.subscriptions.subscribe(notes, start="beginning")
    task(process.store.log, "order.a", "order.b")
    began = process.times.now
    process.pass_retries()
    assert notes.tries == [2] * 10
    assert 55 * MINUTE < process.times.now - began < 65 * MINUTE
    (parked,) = process.subscriptions.parked("notes")
    assert (parked.position, parked.tries, parked.error) == (2, 10, "ValueError: no")
    info = process.info()
    assert (info.state, info.parked, info.failures, info.checkpoint, info.retrying) == ("active", 1, 10, 3, 0)
    assert process.subscriptions.settled(3)


@pytest.mark.parametrize("discard", [True, False])
def test_freeing(process, discard):
    """A parked event is discarded or tried again; then its task goes on in order."""
    notes = Notes(raising(2, error=PermanentError("never")))
    process.subscriptions.subscribe(notes, start="beginning")
    task(process.store.log, "order.a", "order.b", "order.c")
    process.pump()
    assert notes.tries == [2]
    notes.rule = raising(3)
    (process.subscriptions.discard if discard else process.subscriptions.retry)("notes", 2, actor="ada")
    assert process.subscriptions.parked("notes") == []
    process.pump()
    notes.rule = lambda event: None
    process.pass_retries()
    assert notes.positions == ([3, 4] if discard else [2, 3, 4])
    assert (process.subscriptions._ledger.counts(), process.subscriptions.next_due()) == ({}, None)
    with pytest.raises(NotAllowed, match="no event is parked"):
        process.subscriptions.retry("notes", 2)


def test_new_tries(process):
    """A retried event gets a new budget of tries, a later one of its task its own."""
    notes = Notes(raising())
    process.subscriptions.subscribe(notes, start="beginning")
    task(process.store.log, "order.a", "order.b")
    process.pass_retries()
    process.subscriptions.retry("notes", 2)
    process.pass_retries()
    assert notes.tries == [2] * 20
    process.subscriptions.discard("notes", 2)
    process.pass_retries()
    assert notes.tries == [2] * 20 + [3] * 10


@pytest.mark.parametrize(("asked", "delay"), [(90, 90_000_000), (-5, 0), (1e9, 3_600_000_000), (None, 7_000_000)])
def test_asked_delay(process, asked, delay):
    """A `RetryableError` may ask for its own delay, within an hour."""
    notes = Notes(raising(error=RetryableError("busy", retry_after=asked)))
    process.subscriptions.subscribe(notes, start="beginning")
    task(process.store.log, "order.a")
    assert process.subscriptions.serve(process.times.now, until_position=2)
    assert process.subscriptions.next_due() == process.times.now + delay


def test_five_tasks_in_a_row(process):
    """Five different tasks parked in a row pause the subscription with its error; resumed, it goes on."""
    notes = Notes(raising(error=PermanentError("closed at https://u:secret@h/?token=abcdef")))
    process.subscriptions.subscribe(notes, start="beginning")
    for _ in range(7):
        task(process.store.log, "order.a")
    process.pump()
    info = process.info()
    assert (info.state, info.parked, info.checkpoint, info.lag) == ("paused", 5, 10, 4)
    assert "5 different tasks" in info.error
    assert "closed at https://u:[FILTERED]@h/?token=[FILTERED]" in info.error
    assert process.subscriptions.settled(14)
    notes.rule = lambda event: None
    process.subscriptions.resume("notes")
    process.pump()
    assert (notes.positions, process.info().error) == ([12, 14], None)
    for parked in process.subscriptions.parked("notes"):
        process.subscriptions.retry("notes", parked.position)
    process.pump()
    assert notes.positions == [12, 14, 2, 4, 6, 8, 10]


def test_success_between_parked_tasks(process):
    """A delivery that goes through begins the count of parked tasks anew; what the filter leaves out does not."""
    notes = Notes(raising(2, 4, 6, 8, 12, error=PermanentError("no")))
    notes.filter = lambda event: event.position != 14
    process.subscriptions.subscribe(notes, start="beginning")
    for _ in range(8):
        task(process.store.log, "order.a")
    process.pump()
    assert (process.info().state, process.info().parked, notes.positions) == ("active", 5, [10, 16])


@pytest.mark.parametrize("error", [SystemExit(3), KeyError("x"), AssertionError()])
def test_whatever_is_raised(process, error):
    """Whatever a subscriber raises hurts its own delivery only."""
    bad, good = Notes(raising(error=error)), Notes()
    process.subscriptions.subscribe(bad, name="bad", start="beginning")
    process.subscriptions.subscribe(good, name="good", start="beginning")
    task(process.store.log, "order.a")
    process.pump()
    assert (good.positions, process.info("bad").retrying) == ([2], 1)


def test_broken_exception(process):
    """An exception whose text cannot be read is told all the same."""

    class Broken(Exception):
        def __str__(self):
            raise ValueError

    process.subscriptions.subscribe(Notes(raising(error=Broken())), start="beginning")
    task(process.store.log, "order.a")
    process.pump()
    assert process.info().failures == 1
    assert "its text raised ValueError" in process.info().error


def test_nested(process):
    """A delivery that serves or asks whether all is served does not wait for itself."""
    seen = []

    def nested(event):
        subscriptions = process.subscriptions
        seen.append((subscriptions.serve(0, until_position=9), subscriptions.settled(9)))
        seen.append(len(subscriptions.redeliver("notes", first=1, last=9, dry_run=True).events))

    process.subscriptions.subscribe(Notes(nested), start="beginning")
    task(process.store.log, "order.a")
    process.pump()
    assert seen == [(False, True), 1]


def test_newer_event(process):
    """At a matching event that only a newer release can read the subscription fails, and says so; others do not."""
    notes, other = Notes(), Notes()
    log = process.store.log
    process.subscriptions.subscribe(notes, start="beginning", patterns=["task.*", "order.*"])
    process.subscriptions.subscribe(other, name="other", start="beginning")
    log.append(
        [
            start(
                new_id(),
                event((1, "task.created")),
                event((2, "task.started"), schema_version=9),
                event((0, "order.a")),
            )
        ]
    )
    process.pump()
    info = process.info()
    assert (info.state, info.checkpoint, notes.positions, other.positions) == ("failed", 1, [1], [3])
    assert "position 2 is 'task.started' in schema version 9" in info.error
    process.subscriptions.resume("notes")
    process.pump()
    assert process.info().state == "failed"
    process.subscriptions.close()
    process.subscriptions.subscribe(Notes(), patterns=["order.*"])
    process.pump()
    assert (process.info().state, process.info().checkpoint) == ("active", 3)
    assert process.subscriptions.settled(3)


def test_newer_event_behind_a_held_one(process):
    """A newer event in a task that waits stops the subscription when it is reached, and is not passed over."""
    notes = Notes(raising(1))
    stream = new_id()
    newer = event((2, "task.started"), schema_version=9)
    process.subscriptions.subscribe(notes, start="beginning", patterns=["*"])
    process.store.log.append([start(stream, event((0, "order.a")), event((0, "order.b")), newer)])
    process.pump()
    assert process.info().checkpoint == 3
    notes.rule = lambda event: None
    process.times.now = process.subscriptions.next_due()
    process.pump()
    assert (process.info().state, notes.positions) == ("failed", [1, 2])
    process.subscriptions.resume("notes")
    process.pump()
    assert (process.info().state, notes.positions) == ("failed", [1, 2])


def test_slow_subscriber(process, monkeypatch):
    """A slow subscriber has its turn ended, in the middle of a page or of what waited; nothing is lost."""
    notes = Notes(raising(2))
    process.subscriptions.subscribe(notes, start="beginning")
    task(process.store.log, "order.a", "order.b", "order.c")
    monkeypatch.setattr(batch, "SLICE", 0.0)
    assert process.pump() == 2
    task(process.store.log, "order.d", "order.e")
    assert process.pump() == 2
    assert notes.positions == [6, 7]
    notes.rule = lambda event: None
    process.times.now = process.subscriptions.next_due()
    assert process.pump() == 3
    assert notes.positions == [6, 7, 2, 3, 4]


def test_store_fails_after_a_delivery(process, monkeypatch):
    """If the checkpoint cannot be stored, what was delivered is delivered again, and nothing is lost."""
    notes = Notes(raising(2))
    process.subscriptions.subscribe(notes, start="beginning")
    task(process.store.log, "order.a", "order.b")
    task(process.store.log, "order.c")
    process.subscriptions.serve(process.times.now, until_position=0)

    def unavailable(**_):
        raise LogUnavailable("gone")

    with monkeypatch.context() as patch:
        patch.setattr(process.store, "transaction", unavailable)
        with pytest.raises(LogUnavailable):
            process.pump()
    process.pass_retries()
    assert notes.positions == [5, 5]
    process.subscriptions.discard("notes", 2)
    process.pump()
    assert notes.positions == [5, 5, 3]


def test_leases_in_real_time(store):
    """Without a clock of its own the lease is measured by the real time of the machine."""
    subscriptions = Subscriptions(store, Bus(lambda: store.log), lambda: 0)
    subscriptions.subscribe(Notes(), start="beginning")
    task(store.log, "order.a")
    assert subscriptions.serve(0, until_position=2)
    (row,) = subscriptions._ledger.rows()
    assert LEASE - MINUTE // 3 < row.lease_left <= LEASE
    subscriptions.close()
    assert subscriptions._ledger.rows()[0].owner is None


def test_many_behind_a_held_event(process):
    """However many events wait behind a held one, they arrive in order and once."""
    notes = Notes(raising(2))
    process.subscriptions.subscribe(notes, start="beginning")
    task(process.store.log, *["order.a"] * 350)
    process.pump()
    notes.rule = lambda event: None
    process.pass_retries()
    assert notes.positions == list(range(2, 352))
