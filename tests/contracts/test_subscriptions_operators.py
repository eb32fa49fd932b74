"""Subscriptions: states, redelivery, ownership over several processes, and a log that lost its tail."""

from __future__ import annotations

import threading

import pytest

from tasker.errors import InvalidRequest, NotAllowed
from tasker.subscriptions.subscriptions import LEASE
from tests.contracts.subscribing import Notes, Process, raising, task


@pytest.fixture
def process(store):
    """Give a process on an empty log, with one subscriber."""
    found = Process(store)
    found.notes = Notes()
    found.subscriptions.subscribe(found.notes, start="beginning")
    yield found
    found.bus.close()
    found.subscriptions.close()


def test_pause_and_resume(process):
    """A paused subscription gets nothing and loses nothing; both commands are safe to repeat."""
    subscriptions = process.subscriptions
    subscriptions.pause("notes")
    subscriptions.pause("notes")
    task(process.store.log, "order.a")
    assert process.pump() == 0
    assert (process.info().state, process.info().lag, subscriptions.settled(2)) == ("paused", 2, True)
    subscriptions.resume("notes")
    subscriptions.resume("notes")
    process.pump()
    assert process.notes.positions == [2]


def test_retire(process):
    """A retired subscription counts for nothing and comes back under no command; subscribing it is no error."""
    subscriptions = process.subscriptions
    subscriptions.retire("notes")
    subscriptions.retire("notes")
    task(process.store.log, "order.a")
    assert (process.pump(), process.info().state, process.info().lag) == (0, "retired", 0)
    for command in (subscriptions.pause, subscriptions.resume):
        with pytest.raises(NotAllowed, match="is retired"):
            command("notes")
    subscriptions.subscribe(process.notes)
    assert process.pump() == 0


def test_unknown(process):
    """A name that is not there is answered with near ones, by every command."""
    subscriptions = process.subscriptions
    for call in (
        subscriptions.pause, subscriptions.resume, subscriptions.retire, subscriptions.parked,
        lambda name: subscriptions.retry(name, 1), lambda name: subscriptions.discard(name, 1),
        lambda name: subscriptions.redeliver(name, first=1, last=1),
    ):  # fmt: skip
        with pytest.raises(InvalidRequest, match=r"no subscription 'note'.*'notes'"):
            call("note")


def test_pausing_from_a_delivery(process):
    """A subscriber may pause its own subscription; what it was given counts."""
    process.notes.rule = lambda event: process.subscriptions.pause("notes")
    task(process.store.log, "order.a")
    process.pump()
    assert (process.info().state, process.info().checkpoint, process.notes.positions) == ("paused", 2, [2])


def test_redeliver(process):
    """A range is sent again whatever the checkpoint; a dry run shows what globs and filter select and sends nothing."""
    for _ in range(3):
        task(process.store.log, "order.a", "cart.b")
    process.pump()
    process.notes.filter = lambda event: event.position != 5
    dry = process.subscriptions.redeliver("notes", first=2, last=100, dry_run=True)
    assert ([event.position for event in dry.events], process.notes.positions) == ([2, 8], [2, 5, 8])
    process.notes.rule = raising(8)
    sent = process.subscriptions.redeliver("notes", first=1, last=8)
    assert ([event.position for event in sent.events], sent.failures) == ([2], ((8, "ValueError: no"),))
    assert (process.notes.positions, process.info().checkpoint, process.info().retrying) == ([2, 5, 8, 2], 9, 0)


@pytest.mark.parametrize(("first", "last"), [(0, 1), (3, 2), (-1, -1)])
def test_wrong_range(process, first, last):
    """A range has a first position from 1 on and a last one not before it."""
    with pytest.raises(InvalidRequest, match="expected 1 <= first <= last"):
        process.subscriptions.redeliver("notes", first=first, last=last)


def test_redeliver_elsewhere(process):
    """Only a process that has the subscriber can send to it."""
    other = Process(process.store)
    with pytest.raises(InvalidRequest, match="no subscriber in this process"):
        other.subscriptions.redeliver("notes", first=1, last=1)


def second(process, place) -> Process:
    """Give another process on the same log, with a subscriber of the same name."""
    other = Process(place.open() if place.adapter.shared else process.store, process.times)
    other.notes = Notes()
    other.subscriptions.subscribe(other.notes)
    return other


def test_one_owner(process, place):
    """Two processes with one subscription deliver everything once; the second takes over when the lease ran out."""
    other = second(process, place)
    for _ in range(5):
        task(process.store.log, "order.a")
        process.pump()
        assert other.pump() == 0
    assert other.subscriptions.settled(process.store.log.head())
    process.lose_lease()
    task(process.store.log, "order.a")
    assert not other.subscriptions.settled(process.store.log.head())
    other.pump()
    assert process.pump() == 0
    assert (process.notes.positions, other.notes.positions) == ([2, 4, 6, 8, 10], [12])
    other.subscriptions.close()
    task(process.store.log, "order.a")
    process.pump()
    assert process.notes.positions[-1] == 14


def test_lease_is_renewed(process, place):
    """Who has nothing to deliver keeps its lease."""
    other = second(process, place)
    process.pump()
    for _ in range(10):
        process.times.real += LEASE * 3 // 4
        process.pump()
        other.pump()
    task(process.store.log, "order.a")
    other.pump()
    process.pump()
    assert (process.notes.positions, other.notes.positions) == ([2], [])


def test_batch_of_a_lost_owner_is_dropped(process, place):
    """Who was overtaken in the middle of a batch stores nothing of it."""
    other = second(process, place)

    def overtaken(event):
        process.lose_lease()
        other.pump()
        raise ValueError("late")

    process.notes.rule = overtaken
    task(process.store.log, "order.a")
    process.pump()
    info = process.info()
    assert (other.notes.positions, info.checkpoint, info.retrying, info.failures) == ([2], 2, 0, 0)


def test_retries_move_with_the_ownership(process, place):
    """What one process could not deliver, the next owner tries again, in order."""
    other = second(process, place)
    process.notes.rule = raising(2)
    task(process.store.log, "order.a", "order.b")
    process.pump()
    process.lose_lease()
    other.pump()
    assert other.notes.positions == []
    process.times.now = other.subscriptions.next_due()
    other.pump()
    assert other.notes.positions == [2, 3]


def test_inherit(process, place):
    """Who knows that all others are dead need not wait for their leases, also for what it subscribes later."""
    process.pump()
    other = second(process, place)
    task(process.store.log, "order.a")
    assert other.pump() == 0
    other.subscriptions.inherit()
    other.pump()
    assert other.notes.positions == [2]
    third = second(process, place)
    third.subscriptions.close()
    third.subscriptions.inherit()
    third.subscriptions.subscribe(third.notes)
    task(process.store.log, "order.a")
    third.pump()
    assert third.notes.positions == [4]


def test_operators_anywhere(process, place):
    """A parked event is freed from a process that has no subscriber."""
    process.notes.rule = raising(2)
    task(process.store.log, "order.a", "order.b")
    process.pass_retries()
    other = Process(place.open() if place.adapter.shared else process.store, process.times)
    assert other.info().parked == 1
    other.subscriptions.discard("notes", 2, actor="ada")
    process.pump()
    assert process.notes.positions == [3]


def test_rewound(process, place):
    """A checkpoint ahead of the log stops the subscription; nothing is delivered."""
    task(process.store.log, "order.a")
    process.pump()
    with process.store.transaction() as connection:
        connection.exec_driver_sql("UPDATE subscriptions SET checkpoint = 50")
    process.pump()
    info = process.info()
    assert (info.state, info.checkpoint, info.lag) == ("failed", 50, 0)
    assert "position 50, but the log ends at 2" in info.error


def test_an_old_head_is_no_rewind(process):
    """A caller that knows an older head than another process stops nothing."""
    task(process.store.log, "order.a")
    process.pump()
    assert not process.subscriptions.serve(0, until_position=1)
    assert process.info().state == "active"


def test_threads(process):
    """Several threads serve, subscribe and list at once; everything is delivered once and in order."""
    for _ in range(100):
        task(process.store.log, "order.a", "order.b")
    failures = []

    def work(number: int) -> None:
        try:
            process.subscriptions.subscribe(Notes(), name=f"n{number}", start="beginning")
            process.pump()
            process.subscriptions.list()
        except Exception as error:  # noqa: BLE001 - the thread's failure is the test's
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []
    assert process.notes.positions == [p for p in range(1, 301) if p % 3 != 1]
    assert {one.checkpoint for one in process.subscriptions.list()} == {300}
