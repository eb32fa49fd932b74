"""Any history of failures, operators and restarts: each task's events arrive in order, and each at least once."""

from __future__ import annotations

import random
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasker.errors import PermanentError, RetryableError
from tasker.subscriptions import batch
from tests.contracts.adapters import ADAPTERS, Adapter, Place
from tests.contracts.subscribing import Notes, Process, Times, add, task

KINDS = ("order.a", "order.b", "cart.c")


class History:
    """One run: tasks, a subscriber that fails by chance, operators, restarts; and what must come out of it."""

    def __init__(self, place: Place, seed: int) -> None:
        """Start with an empty log."""
        self.random = random.Random(seed)
        self.place = place
        self.times = Times()
        self.notes = Notes(self.fail_by_chance)
        self.rate = 0.4
        self.streams: list[bytes] = []
        self.discarded: set[int] = set()
        self.process = self.started(place.open())

    def started(self, store) -> Process:
        """Start a process with the subscriber."""
        process = Process(store, self.times)
        process.subscriptions.subscribe(self.notes, start="beginning")
        return process

    def fail_by_chance(self, event) -> None:
        """Raise in one of three ways, or not at all."""
        if self.random.random() < self.rate:
            errors = (
                ValueError("no"),
                PermanentError("never"),
                RetryableError("later", retry_after=self.random.random()),
            )
            raise self.random.choice(errors)

    def act(self) -> None:
        """Do one thing."""
        self.random.choice((self.append, self.append, self.serve, self.serve, self.wait, self.operate, self.restart))()

    def append(self) -> None:
        """Append to a new or a known task."""
        names = self.random.choices(KINDS, k=self.random.randint(1, 4))
        if not self.streams or self.random.random() < 0.3:
            self.streams.append(task(self.process.store.log, *names))
        else:
            add(self.process.store.log, self.random.choice(self.streams), *names)

    def serve(self) -> None:
        """Serve one round, of one delivery or of many."""
        batch.SLICE = self.random.choice((0.0, 0.5))
        head = self.process.store.log.head()
        self.process.subscriptions.serve(self.times.now, until_position=self.random.randint(0, head))

    def wait(self) -> None:
        """Let time pass."""
        self.times.now += self.random.choice((100_000, 10_000_000, 4_000_000_000))

    def operate(self) -> None:
        """Free what is parked, and resume what was paused."""
        subscriptions = self.process.subscriptions
        subscriptions.resume("notes")
        for parked in subscriptions.parked("notes"):
            if self.random.random() < 0.3:
                subscriptions.discard("notes", parked.position)
                self.discarded.add(parked.position)
            else:
                subscriptions.retry("notes", parked.position)

    def restart(self) -> None:
        """Go on in another process; the old one is gone without a word."""
        self.times.real += 40_000_000
        store = self.process.store
        if self.place.adapter.shared:
            store.close()
            store = self.place.open()
        self.process = self.started(store)

    def finish(self) -> None:
        """Repair the cause and serve what is left."""
        self.rate = 0.0
        self.process.subscriptions.resume("notes")
        for parked in self.process.subscriptions.parked("notes"):
            self.process.subscriptions.retry("notes", parked.position)
        self.process.pass_retries()

    def check(self) -> None:
        """Compare with the log: every stream's matching events, less the discarded ones, in order, once."""
        log = self.process.store.log
        assert self.process.subscriptions.settled(log.head())
        assert self.process.info().checkpoint == log.head()
        for stream in self.streams:
            wanted = [stored.position for stored in log.stream(stream) if stored.type.startswith("order.")]
            mine = set(wanted)
            got = [position for position in self.notes.positions if position in mine]
            assert got == [position for position in wanted if position not in self.discarded]
        assert len(self.notes.positions) == len(set(self.notes.positions))


@pytest.mark.parametrize("adapter", ADAPTERS, ids=lambda adapter: adapter.name)
@given(seed=st.integers(0, 2**32), actions=st.integers(5, 60))
@settings(max_examples=25)
def test_order_in_each_task(adapter: Adapter, seed: int, actions: int) -> None:
    """With random failures, operators, restarts and reopened files every task's events go through in order."""
    with tempfile.TemporaryDirectory() as folder:
        place, usual = Place(adapter, Path(folder)), batch.SLICE
        try:
            history = History(place, seed)
            for _ in range(actions):
                history.act()
            history.finish()
            history.check()
        finally:
            batch.SLICE = usual
            place.close()
