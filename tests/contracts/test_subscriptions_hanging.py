"""Subscribers that hang, are slow, or raise what nobody expects: no other subscription and no other task waits."""

from __future__ import annotations

import threading
import time

import pytest

from tasker.errors import LogUnavailable
from tasker.subscriptions import subscriptions as module
from tasker.subscriptions.subscriptions import Rules
from tests.contracts.subscribing import Notes, Process, raising, task

PATIENCE = 20.0
"""Seconds that a test waits at most for another thread."""


class Stuck(Notes):
    """Does not return from some events until it is let go."""

    name = "stuck"
    delivery_timeout = 0.1

    def __init__(self, *positions: int) -> None:
        """Take where it hangs; without any, everywhere."""
        super().__init__(self.hang)
        self.positions_to_hang = positions
        self.go = threading.Event()
        self.hanging = threading.Semaphore(0)

    def hang(self, event) -> None:
        """Hang at an event."""
        if not self.positions_to_hang or event.position in self.positions_to_hang:
            self.hanging.release()
            assert self.go.wait(PATIENCE)


@pytest.fixture
def process(store):
    """Give a process on an empty log."""
    found = Process(store)
    yield found
    found.bus.close()
    found.subscriptions.close()


@pytest.fixture
def stuck():
    """Give a subscriber that hangs at position 2, and is let go in the end."""
    found = Stuck(2)
    yield found
    found.go.set()


def until(reached) -> None:
    """Wait for something that another thread does."""
    deadline = time.monotonic() + PATIENCE
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_a_call_that_hangs_counts_as_failed(process, stuck, caplog):
    """A delivery that does not return in time is tried again later; other tasks and other subscriptions go on."""
    good = Notes()
    process.subscriptions.subscribe(stuck, start="beginning")
    process.subscriptions.subscribe(good, name="good", start="beginning")
    task(process.store.log, "order.a", "order.b")
    task(process.store.log, "order.c")
    process.pump()
    info = process.info("stuck")
    assert (good.positions, stuck.positions) == ([2, 3, 5], [5])
    assert (info.checkpoint, info.retrying, info.state) == (5, 1, "active")
    assert "position 2 failed (try 1) and is retrying: Hanging: the subscriber has not returned" in caplog.text


def test_a_call_that_still_hangs_is_not_made_again(process, stuck):
    """While a call hangs, its event is not sent again, but uses up its tries; then it is parked, and can be retried."""
    process.subscriptions.subscribe(stuck, start="beginning")
    task(process.store.log, "order.a", "order.b")
    process.pass_retries()
    assert stuck.tries == [2]
    (parked,) = process.subscriptions.parked("stuck")
    assert (parked.tries, parked.error) == (10, "Hanging: the call before this one has still not returned")
    stuck.go.set()
    until(lambda: stuck.positions == [2])
    until(lambda: not process.subscriptions._serving.lanes["stuck"].hanging)
    process.subscriptions.retry("stuck", 2)
    process.pass_retries()
    assert stuck.positions == [2, 2, 3]


def test_five_calls_that_hang_pause(process):
    """When five calls hang, the subscription is paused, so that its threads have a bound."""
    stuck = Stuck()
    process.subscriptions.subscribe(stuck, start="beginning")
    for _ in range(7):
        task(process.store.log, "order.a")
    process.pump()
    info = process.info("stuck")
    assert (info.state, info.checkpoint, info.retrying) == ("paused", 10, 5)
    assert "5 calls have not returned, the last at position 10" in info.error
    stuck.go.set()
    until(lambda: len(stuck.positions) == 5)
    until(lambda: not process.subscriptions._serving.lanes["stuck"].hanging)
    process.subscriptions.resume("stuck")
    process.pass_retries()
    assert sorted(stuck.positions) == [2, 2, 4, 4, 6, 6, 8, 8, 10, 10, 12, 14]


def test_a_hanging_retry(process, stuck):
    """A retry that hangs holds its task again, and nothing else."""
    process.subscriptions.subscribe(stuck, start="beginning")
    usual, stuck.rule = stuck.rule, raising(2)
    task(process.store.log, "order.a", "order.b")
    process.pump()
    stuck.rule = usual
    process.times.now = process.subscriptions.next_due()
    process.pump()
    task(process.store.log, "order.c")
    process.pump()
    assert (stuck.positions, stuck.tries, process.info("stuck").retrying) == ([5], [2, 2, 5], 1)


def test_a_slow_subscriber_holds_up_no_other(process, stuck):
    """Whoever serves without waiting goes on with the others while one is in the middle of a call."""
    stuck.delivery_timeout = PATIENCE
    good, woken = Notes(), threading.Event()
    process.subscriptions._serving._wake = woken.set
    process.subscriptions.subscribe(stuck, start="beginning")
    process.subscriptions.subscribe(good, name="good", start="beginning")

    def served(most: int) -> bool:
        """Serve where it was said that there is more, and tell whether the good one was told of so much."""
        if woken.is_set():
            woken.clear()
            process.subscriptions.serve(process.times.now, until_position=process.store.log.head(), wait=False)
        return len(good.positions) == most

    for number in range(3):
        task(process.store.log, "order.a")
        woken.set()
        until(lambda number=number: served(number + 1))
    assert (stuck.positions, good.positions) == ([], [2, 4, 6])
    woken.clear()
    stuck.go.set()
    assert woken.wait(PATIENCE), "nobody was told that there is more for it"
    process.pump()
    assert stuck.positions == [2, 4, 6]


def test_release_in_the_middle_of_a_call(process, place, stuck, monkeypatch):
    """Who gives up while a call hangs stores what was before it; the next owner sends that event again."""
    monkeypatch.setattr(module, "_END_SECONDS", 0.1)
    stuck.delivery_timeout, stuck.positions_to_hang = PATIENCE, (3,)
    process.subscriptions.subscribe(stuck, start="beginning")
    task(process.store.log, "order.a", "order.b", "order.c")
    process.subscriptions.serve(process.times.now, until_position=4, wait=False)
    assert stuck.hanging.acquire(timeout=PATIENCE)
    process.subscriptions.release()
    other = Process(place.open() if place.adapter.shared else process.store, process.times)
    notes = Notes()
    other.subscriptions.subscribe(notes, name="stuck")
    other.pump()
    stuck.go.set()
    until(lambda: stuck.positions == [2, 3])
    assert (notes.positions, other.info("stuck").checkpoint) == ([3, 4], 4)
    other.subscriptions.close()


def test_release_in_the_middle_of_what_waited(process, stuck, monkeypatch):
    """Given up while it works off what waited behind a failed event, it goes on there and sends nothing twice."""
    monkeypatch.setattr(module, "_END_SECONDS", 0.1)
    stuck.delivery_timeout, stuck.positions_to_hang = PATIENCE, (4,)
    usual, stuck.rule = stuck.rule, raising(2)
    process.subscriptions.subscribe(stuck, start="beginning")
    task(process.store.log, "order.a", "order.b", "order.c")
    process.pump()
    stuck.rule = usual
    process.times.now = process.subscriptions.next_due()
    process.subscriptions._serving.look()
    process.subscriptions.serve(process.times.now, until_position=4, wait=False)
    assert stuck.hanging.acquire(timeout=PATIENCE)
    process.subscriptions.release()
    stuck.go.set()
    until(lambda: stuck.positions == [2, 3, 4])
    process.pass_retries()
    assert stuck.positions == [2, 3, 4, 4]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), GeneratorExit(), SystemExit(1)])
def test_whatever_is_raised_is_a_failure(process, error):
    """Also what ends other programs is a failure of the one delivery."""
    notes = Notes(raising(2, error=error))
    process.subscriptions.subscribe(notes, start="beginning")
    task(process.store.log, "order.a")
    task(process.store.log, "order.b")
    process.pump()
    assert (notes.positions, process.info().retrying) == ([4], 1)


def test_closing_from_a_delivery(process):
    """A subscriber may close everything from a delivery; nothing waits for itself."""
    notes = Notes(lambda event: process.subscriptions.close())
    process.subscriptions.subscribe(notes, start="beginning")
    task(process.store.log, "order.a")
    begun = time.monotonic()
    process.pump()
    until(lambda: not process.subscriptions.any)
    assert time.monotonic() - begun < PATIENCE
    assert process.info().owner is None


def test_the_lease_is_kept_during_a_long_delivery(store, place, caplog, monkeypatch):
    """While a delivery lasts, its lease is renewed by the clock of the store, also after the store has failed once."""
    process = Process(store, rules=Rules(lease=400_000))
    stuck = Stuck(2)
    stuck.delivery_timeout = PATIENCE
    process.subscriptions.subscribe(stuck, start="beginning")
    task(process.store.log, "order.a")
    lane, ledger = process.subscriptions._serving.lanes["stuck"], process.subscriptions._ledger
    usual, failures = ledger.renew, [LogUnavailable("gone"), ValueError("broken")]

    def renew(names):
        if failures:
            raise failures.pop()
        return usual(names)

    monkeypatch.setattr(ledger, "renew", renew)
    process.subscriptions.serve(process.times.now, until_position=2, wait=False)
    assert stuck.hanging.acquire(timeout=PATIENCE)
    seen = {lane.valid_until}
    other = Process(place.open() if place.adapter.shared else process.store, process.times, Rules(lease=400_000))
    notes = Notes()
    other.subscriptions.subscribe(notes, name="stuck")
    until(lambda: other.pump() == 0 and (seen.add(lane.valid_until) or len(seen) > 4))
    stuck.go.set()
    process.pump()
    assert (stuck.positions, notes.positions, failures) == ([2], [], [])
    assert "met an error and goes on" in caplog.text
    other.subscriptions.close()
    process.subscriptions.close()


def test_what_could_not_be_stored_is_told_and_done_again(process, caplog, monkeypatch):
    """In the background, a batch that could not be stored is told in the log, and delivered again."""
    notes = Notes()
    process.subscriptions.subscribe(notes, start="beginning")
    process.pump()
    task(process.store.log, "order.a")

    def commit(entries):
        raise LogUnavailable("gone")

    def serve() -> None:
        process.subscriptions._serving.look()
        process.subscriptions.serve(process.times.now, until_position=2, wait=False)

    with monkeypatch.context() as patch:
        patch.setattr(process.subscriptions._ledger, "commit", commit)
        serve()
        process.subscriptions._serving.wait(PATIENCE)
        serve()
        process.subscriptions._serving.wait(PATIENCE)
    assert "could not be stored and is done again: gone" in caplog.text
    process.subscriptions._serving.failures()
    process.pump()
    assert notes.positions == [2, 2, 2]
