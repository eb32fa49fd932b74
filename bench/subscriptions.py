"""Measures of durable subscriptions: how fast one reads, how soon it hears, and what many cost whoever appends."""

from __future__ import annotations

import random
import threading
import time
from collections import defaultdict
from collections.abc import Mapping

from bench import handlers, logs
from bench.setting import PATIENCE, Bench, Figures
from bench.sums import middle, percentile
from tasker import BaseSubscriber, Tasker
from tasker.codec.recorded import RecordedEvent
from tasker.log.open import open_store

NUMBER = 50
"""How many subscriptions stand beside the append path."""

_NEVER = "never.happens"
BESIDE: Mapping[str, tuple[str, ...]] = {
    "none": (),
    "idle": (_NEVER,) * NUMBER,
    "matching": ("task.completed", *(_NEVER,) * (NUMBER - 1)),
}
"""What stands there, by name: the globs of each subscription."""

_STEPS = 4
_EVENTS = 11  # of a task of four steps
_SLOTS = 64
_LOOK_SECONDS = 0.01
_REST_SECONDS = (0.03, 0.07)
_WARM_UP = 5


class Nothing(BaseSubscriber):
    """Takes events and does nothing with them."""

    def __init__(self, *events: str) -> None:
        """Take its globs."""
        self.subscribe_to = events

    def handle(self, event: RecordedEvent) -> None:
        """Do nothing."""


class Stamp(BaseSubscriber):
    """Notes when it was called."""

    name = "stamp"
    subscribe_to = "task.annotated"

    def __init__(self) -> None:
        """Begin with no call."""
        self.at = 0.0
        self.called = threading.Event()

    def handle(self, event: RecordedEvent) -> None:
        """Note the time."""
        self.at = time.perf_counter()
        self.called.set()


def deliveries(bench: Bench) -> Figures:
    """Let a subscriber that takes everything read a log from its beginning, three times, under a new name each."""
    url, rates = bench.new(), []
    logs.fill("done", bench.pick(20_000, 200_000), url)
    with bench.app(url=url) as app:
        app.run_until_idle()
        head = list(app.events(types="task.completed"))[-1].position
        for name in ("first", "second", "third"):
            app.subscribe(Nothing("*"), name=name, start="beginning")
            began = time.perf_counter()
            app.run_until_idle()
            rates.append(head / (time.perf_counter() - began))
            (found,) = (one for one in app.subscriptions.list() if one.name == name)
            if found.checkpoint < head:
                raise RuntimeError(f"expected checkpoint {head}, found {found.checkpoint}: {found.error}")
            app.subscriptions.retire(name)
    return {"deliveries": middle(rates)}


def delivery_latency(bench: Bench) -> Figures:
    """Append one event at a time on an idle engine, and see how long after its return the subscriber is called."""
    times, rests, stamp = [], random.Random(1), Stamp()
    with bench.app(handlers.chain(_STEPS)) as app:
        app.subscribe(stamp)
        app.start()
        task = app.run_until_complete(app.submit(name="chain").id, timeout=PATIENCE)
        for _ in range(_WARM_UP + bench.pick(60, 300)):
            time.sleep(rests.uniform(*_REST_SECONDS))
            stamp.called.clear()
            app.annotate(task.id, "bench", {})
            returned = time.perf_counter()
            if not stamp.called.wait(PATIENCE):
                raise TimeoutError(f"the subscriber has not been told within {PATIENCE:g} s")
            times.append(max(0.0, stamp.at - returned) * 1e3)
    warm = times[_WARM_UP:]
    return {"delivery_p50_ms": middle(warm), "delivery_p99_ms": percentile(warm, 0.99)}


def subscribed(bench: Bench) -> Figures:
    """Run tasks, and append single events, beside no subscription, idle ones, and one that matches, in turns."""
    values: dict[str, list[float]] = defaultdict(list)
    kinds = list(BESIDE)
    for turn in range(bench.pick(1, 7)):
        first = turn % len(kinds)
        taken = {kind: _beside(bench, BESIDE[kind]) for kind in kinds[first:] + kinds[:first]}
        for kind, figures in taken.items():
            for key, value in figures.items():
                values[f"{key}_{kind}"].append(value)
                values[f"{key}_{kind}_ratio"].append(value / taken["none"][key])
    return {key: middle(some) for key, some in values.items()}


def _beside(bench: Bench, subscriptions: tuple[str, ...]) -> Figures:
    """Give steps, and single appends, a second beside some subscriptions."""
    url, tasks = bench.new(), bench.pick(300, 1500)
    with bench.app(handlers.chain(_STEPS), concurrency=_SLOTS, url=url) as app:
        for place, glob in enumerate(subscriptions):
            app.subscribe(Nothing(glob), name=f"subscription{place}")
        app.start()
        known = app.run_until_complete(app.submit(name="chain").id, timeout=PATIENCE)
        began = time.time()
        app.submit_many([{"name": "chain", "context": {"n": number}} for number in range(tasks)])
        _await(url, (1 + tasks) * _EVENTS)
        ends = [event.time.timestamp() for event in app.events(types="task.completed", after=known.position)]
        single = _singles(app, known.id, bench.pick(50, 1000))
    if len(ends) != tasks:
        raise RuntimeError(f"expected {tasks} completed tasks, found {len(ends)}")
    return {"subscribed_steps": tasks * _STEPS / (max(ends) - began), "subscribed_appends": single}


def _await(url: str, head: int) -> None:
    """Wait until the log has so many events; it is asked through a connection of its own."""
    store, deadline = open_store(url), time.monotonic() + PATIENCE
    try:
        while (found := store.log.head()) < head:
            if time.monotonic() > deadline:
                raise TimeoutError(f"expected {head} events within {PATIENCE:g} s, found {found}")
            time.sleep(_LOOK_SECONDS)
    finally:
        store.close()


def _singles(app: Tasker, task_id: str, count: int) -> float:
    """Give how many events a second one thread appends, one at a time, by the median call."""
    times = []
    for _ in range(count):
        began = time.perf_counter()
        app.annotate(task_id, "bench", {})
        times.append(time.perf_counter() - began)
    return 1 / middle(times)
