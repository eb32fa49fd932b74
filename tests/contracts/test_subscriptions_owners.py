"""Who owns a subscription: leases that end, owners that come late, and reads and writes that many share."""

from __future__ import annotations

import random
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasker.errors import LogUnavailable
from tests.contracts.adapters import ADAPTERS, Adapter, Place
from tests.contracts.subscribing import Notes, Process, Times, add, raising, task


@pytest.fixture
def process(store):
    """Give a process on an empty log, with one subscriber."""
    found = Process(store)
    found.notes = Notes()
    found.subscriptions.subscribe(found.notes, start="beginning")
    yield found
    found.bus.close()
    found.subscriptions.close()


def other_process(process, place) -> Process:
    """Give another process on the same log, with a subscriber of the same name."""
    other = Process(place.open() if place.adapter.shared else process.store, process.times)
    other.notes = Notes()
    other.subscriptions.subscribe(other.notes)
    return other


def frozen(process, then) -> None:
    """Freeze a process in its first delivery, do something meanwhile, and let it find its lease at its end."""

    def freeze(event):
        process.notes.rule = lambda event: None
        process.lose_lease()
        then()
        process.subscriptions._serving.lanes["notes"].valid_until = 0.0

    process.notes.rule = freeze


def test_a_late_owner_sends_nothing_more(process, place):
    """Who was frozen beyond its lease sends nothing but the event in hand, if another has taken over."""
    other = other_process(process, place)
    frozen(process, other.pump)
    task(process.store.log, "order.a", "order.b", "order.c")
    process.pump()
    assert (process.notes.positions, other.notes.positions) == ([2], [2, 3, 4])
    assert process.info().checkpoint == 4


def test_a_late_owner_whom_nobody_followed_goes_on(process):
    """Who was frozen beyond its lease goes on where nobody has taken over, and sends nothing twice."""
    frozen(process, lambda: None)
    task(process.store.log, "order.a", "order.b", "order.c")
    process.pump()
    assert process.notes.positions == [2, 3, 4]


def test_the_store_fails_when_a_late_owner_asks(process, monkeypatch):
    """Who cannot ask whether it is still the owner sends nothing more for now, and all of the batch again later."""

    def unavailable(**_):
        raise LogUnavailable("gone")

    with monkeypatch.context() as patch:
        frozen(process, lambda: patch.setattr(process.store, "transaction", unavailable))
        task(process.store.log, "order.a", "order.b")
        with pytest.raises(LogUnavailable):
            process.pump()
    process.pump()
    assert process.notes.positions == [2, 2, 3]


def test_the_epoch_counts_owners(process, place):
    """Each change of the owner, and only that, counts the epoch up."""
    other = other_process(process, place)
    epochs = []
    for owner in (process, process, other, process, other):
        process.lose_lease()
        task(process.store.log, "order.a")
        owner.pump()
        epochs.append(process.subscriptions._ledger.rows()[0].epoch)
    assert epochs == [1, 1, 2, 3, 4]


def test_owners_are_named(process):
    """The owner is shown as host, process and a random part."""
    process.pump()
    assert len(process.info().owner.rsplit("-", 2)) == 3
    process.subscriptions.release()
    assert process.info().owner is None


def test_what_an_owner_remembers_is_durable(process, monkeypatch):
    """A crash of the server takes back no owner, and nothing that holds a task: only a checkpoint, which is read again.

    Who owns a subscription lives on through the crash, and remembers which tasks wait.
    """
    asked, usual = [], process.store.transaction

    def transaction(*, durable: bool = True):
        asked.append(durable)
        return usual(durable=durable)

    monkeypatch.setattr(process.store, "transaction", transaction)
    stream = task(process.store.log, "order.a")
    process.pump()
    assert asked[0] is True, "the owner"
    assert not any(asked[1:]), "a checkpoint"
    asked.clear()
    process.notes.rule = raising()
    add(process.store.log, stream, "order.b")
    process.pump()
    assert any(asked), "what holds its task"
    asked.clear()
    process.notes.rule = lambda event: None
    process.pass_retries()
    assert any(asked), "what holds it no longer"


def test_a_failing_release_is_no_error(process, monkeypatch, caplog):
    """Who cannot give up its leases on the way out says so; they end by themselves."""

    def unavailable(**_):
        raise LogUnavailable("gone")

    process.pump()
    with monkeypatch.context() as patch:
        patch.setattr(process.store, "transaction", unavailable)
        process.subscriptions.release()
    assert "their leases end by themselves" in caplog.text


@contextmanager
def counted(monkeypatch, store):
    """Count reads of the log and transactions beside it."""
    counts = {"tail": 0, "transaction": 0, "reading": 0}
    with monkeypatch.context() as patch:
        for owner, name in ((store.log, "tail"), (store, "transaction"), (store, "reading")):
            patch.setattr(owner, name, counting(counts, name, getattr(owner, name)))
        yield counts


def counting(counts, name, usual):
    """Count the calls of a method."""

    def called(*args, **options):
        counts[name] += 1
        return usual(*args, **options)

    return called


@pytest.mark.parametrize("wanted", ["order.*", "cart.*"])
def test_fifty_share_one_read(process, monkeypatch, wanted):
    """Fifty subscriptions that stand at the same place read each page once, and their rows together.

    Where nothing is delivered, all their checkpoints move in one transaction.
    """
    many = [Notes() for _ in range(50)]
    for number, notes in enumerate(many):
        process.subscriptions.subscribe(notes, name=f"n{number}", patterns=[wanted])
    process.pump()
    for _ in range(300):
        task(process.store.log, "order.a", "order.b")
    with counted(monkeypatch, process.store) as counts:
        process.pump()
    expected = 600 if wanted == "order.*" else 0
    assert {len(notes.positions) for notes in many} == {expected}
    assert {one.checkpoint for one in process.subscriptions.list()} == {900}
    assert counts["tail"] <= 8
    assert counts["reading"] <= 4
    if not expected:
        assert counts["transaction"] <= 4


def test_nothing_new_costs_one_query(process, monkeypatch):
    """A round in which nothing has happened reads the rows once, and writes nothing."""
    for number in range(20):
        process.subscriptions.subscribe(Notes(), name=f"n{number}")
    task(process.store.log, "order.a")
    process.pump()
    with counted(monkeypatch, process.store) as counts:
        assert process.pump() == 0
    assert counts == {"tail": 0, "transaction": 0, "reading": 1}


def test_what_is_only_passed_over_is_stored_now_and_then(process, monkeypatch):
    """Who serves beside a busy runner stores a checkpoint that passed over something once a second, and at the end."""
    process.notes.subscribe_to = ()
    process.subscriptions.subscribe(process.notes, patterns=["cart.*"])
    process.pump()
    with counted(monkeypatch, process.store) as counts:
        for _ in range(20):
            task(process.store.log, "order.a")
            process.subscriptions.serve(process.times.now, until_position=process.store.log.head(), wait=False)
    assert counts["transaction"] <= 5
    process.subscriptions.release()
    assert process.info().checkpoint == 40


class Owners:
    """Two processes that take a subscription from each other, also in the middle of a delivery."""

    def __init__(self, place: Place, seed: int) -> None:
        """Start both on an empty log."""
        self.random = random.Random(seed)
        self.times = Times()
        self.told: list[tuple[bytes, int]] = []
        self.streams: list[bytes] = []
        self.checkpoints: list[int] = []
        self.nested = False
        store = place.open()
        self.processes = [Process(place.open() if place.adapter.shared else store, self.times) for _ in range(2)]
        self.log = self.processes[0].store.log
        for number, process in enumerate(self.processes):
            notes = Notes(lambda event, number=number: self.deliver(event, 1 - number))
            process.subscriptions.subscribe(notes, start="beginning")

    def deliver(self, event, other: int) -> None:
        """Be told of an event; now and then the other process takes over before this one has returned."""
        self.told.append((event.stream_id, event.position))
        if not self.nested and self.random.random() < 0.1:
            self.nested = True
            try:
                self.times.real += 40_000_000
                self.serve(other)
            finally:
                self.nested = False
            self.processes[1 - other].subscriptions._serving.lanes["notes"].valid_until = 0.0
        if self.random.random() < 0.1:
            raising()(event)

    def serve(self, number: int) -> None:
        """Let one of them serve a round."""
        process = self.processes[number]
        process.subscriptions.serve(self.times.now, until_position=self.log.head())
        self.checkpoints.append(process.info().checkpoint)

    def act(self) -> None:
        """Append something, or let somebody serve, or time pass."""
        what = self.random.random()
        if what < 0.4:
            names = ["order.a"] * self.random.randint(1, 3)
            if self.streams and self.random.random() < 0.6:
                add(self.log, self.random.choice(self.streams), *names)
            else:
                self.streams.append(task(self.log, *names))
        elif what < 0.8:
            self.serve(self.random.randint(0, 1))
        else:
            self.times.now += 10_000_000
            self.times.real += self.random.choice((0, 40_000_000))

    def check(self) -> None:
        """Everything arrived, the first time in the order of each task, and the checkpoint never went back."""
        assert self.checkpoints == sorted(self.checkpoints)
        first: dict[str, list[int]] = {}
        for stream, position in self.told:
            if position not in first.setdefault(stream, []):
                first[stream].append(position)
        wanted = [
            [stored.position for stored in self.log.stream(stream) if stored.type == "order.a"]
            for stream in self.streams
        ]
        assert sorted(first.values()) == sorted(wanted)


@pytest.mark.parametrize("adapter", ADAPTERS, ids=lambda adapter: adapter.name)
@given(seed=st.integers(0, 2**32), actions=st.integers(5, 50))
@settings(max_examples=10)
def test_two_owners(adapter: Adapter, seed: int, actions: int) -> None:
    """Whoever takes over from whom and when: nothing is lost, no task's order is broken, no checkpoint goes back."""
    with tempfile.TemporaryDirectory() as folder:
        place = Place(adapter, Path(folder))
        try:
            owners = Owners(place, seed)
            for _ in range(actions):
                owners.act()
            owners.random = random.Random(0)
            owners.nested = True
            for process in owners.processes:
                owners.times.real += 40_000_000
                process.pass_retries()
            owners.check()
        finally:
            place.close()
