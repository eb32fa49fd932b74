"""Subscribers, a clock and a driver for the suites of the subscriptions."""

from __future__ import annotations

from collections.abc import Callable

from tasker.bus.bus import Bus
from tasker.bus.subscriber import BaseSubscriber
from tasker.codec.recorded import RecordedEvent
from tasker.log.port import EventLog, Store
from tasker.subscriptions.subscriptions import LEASE, Rules, Subscriptions
from tests.contracts.kit import event, more, new_id, start

MINUTE = 60_000_000


class Notes(BaseSubscriber):
    """Notes what it is told, and raises where a rule says so."""

    name = "notes"
    subscribe_to = ("order.*",)

    def __init__(self, rule: Callable[[RecordedEvent], object] = lambda event: None) -> None:
        """Start empty; the rule is asked first and may raise."""
        self.rule = rule
        self.seen: list[tuple[str, int]] = []
        self.tries: list[int] = []

    def handle(self, event: RecordedEvent) -> None:
        """Note an event."""
        self.tries.append(event.position)
        self.rule(event)
        self.seen.append((event.type, event.position))

    @property
    def positions(self) -> list[int]:
        """What went through."""
        return [position for _, position in self.seen]


class Times:
    """The clock of the application, and real time, both set by hand."""

    def __init__(self) -> None:
        """Start at some moment."""
        self.now = 1_795_269_600_000_000
        self.real = 1_000_000_000


class Process:
    """One process on a store, as far as subscriptions go."""

    def __init__(self, store: Store, times: Times | None = None, rules: Rules | None = None) -> None:
        """Make its bus and its subscriptions; without rules of their own, leases go by the times."""
        self.store = store
        self.times = times or Times()
        self.bus = Bus(lambda: store.log)
        rules = rules or Rules(clock=lambda: self.times.real)
        self.subscriptions = Subscriptions(store, self.bus, lambda: self.times.now, rules)

    def pump(self, rounds: int = 1_000) -> int:
        """Serve until nothing is left to do now; give the number of rounds."""
        for number in range(rounds):
            if not self.subscriptions.serve(self.times.now, until_position=self.store.log.head()):
                return number
        raise AssertionError(f"still progress after {rounds} rounds")

    def pass_retries(self, most: int = 100) -> None:
        """Serve, and let the clock jump from one retry to the next, until none is left."""
        for _ in range(most):
            self.pump()
            due = self.subscriptions.next_due()
            if due is None:
                return
            self.times.now = max(self.times.now, due)
        raise AssertionError(f"still retries after {most} rounds")

    def lose_lease(self) -> None:
        """Let real time pass until every lease has run out."""
        self.times.real += LEASE + 1

    def info(self, name: str = "notes"):
        """Give what is told of a subscription."""
        return next(one for one in self.subscriptions.list() if one.name == name)


def task(log: EventLog, *names: str) -> bytes:
    """Append a new task with custom events; give its stream."""
    stream = new_id()
    log.append([start(stream, event((1, "task.created")), *(event((0, name), b"{}") for name in names))])
    return stream


def add(log: EventLog, stream: bytes, *names: str) -> None:
    """Append custom events to a task."""
    version = len(log.stream(stream))
    log.append([more(stream, version, *(event((0, name), b"{}") for name in names))])


def raising(*positions: int, error: BaseException | None = None) -> Callable[[RecordedEvent], None]:
    """Give a rule that raises at some positions, or, without any, everywhere."""

    def rule(event: RecordedEvent) -> None:
        if not positions or event.position in positions:
            raise error or ValueError("no")

    return rule
