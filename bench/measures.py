"""What is measured, each in a process of its own: `python -m bench.measures NAME quick|full` prints one JSON object.

Rates are per second; times are milliseconds (`_ms`), microseconds (`_us`) or seconds (`_s`).
"""

from __future__ import annotations

import json
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from bench import floor as disk
from bench import handlers
from bench.sums import middle, percentile
from tasker import TaskDefinition, Tasker
from tasker.codec.decode import text_id
from tasker.codec.rows import StoredEvent
from tasker.domain.status import LIVE
from tasker.fold import fold_stream
from tasker.log.open import open_store
from tasker.projections.rebuild import definition_of

Figures = dict[str, float]
_PATIENCE = 120.0
_PAGE = 4096


class Bench:
    """A folder for logs and the size of the run."""

    def __init__(self, folder: Path, *, quick: bool) -> None:
        """Take both."""
        self.folder = folder
        self.quick = quick
        self._logs = 0

    def pick(self, quick: int, full: int) -> int:
        """Give the size of something by the size of the run."""
        return quick if self.quick else full

    def url(self) -> str:
        """Name a new log."""
        self._logs += 1
        return f"sqlite:///{self.folder / f'log{self._logs}.db'}"

    def app(self, *plans: TaskDefinition, concurrency: int = 16, url: str | None = None) -> Tasker:
        """Give an application over a new log, opened, with some definitions."""
        app = Tasker(url or self.url(), settings={}, concurrency=concurrency)
        for plan in plans:
            app.register(plan)
        list(app.events(limit=1))
        return app


def floor(bench: Bench) -> Figures:
    """Measure the disk."""
    one, five = disk.commits(bench.folder, bench.pick(400, 1000))
    return {"fdatasync": disk.syncs(bench.folder, bench.pick(300, 1000)), "commit_ms": one * 1e3, "five_ms": five * 1e3}


def linear(bench: Bench) -> Figures:
    """Run tasks of four steps in a row, submission included, until all have ended and until the read models show it."""
    return {name: value for slots in (16, 64) for name, value in _linear(bench, slots).items()}


def _linear(bench: Bench, slots: int) -> Figures:
    tasks = bench.pick(1000, 2500)
    with bench.app(handlers.chain(4), concurrency=slots) as app:
        app.run_until_complete(app.submit(name="chain").id)
        after, began, clock = app.events, time.time(), time.perf_counter()
        app.submit_many([{"name": "chain", "context": {"n": number}} for number in range(tasks)])
        app.run_until_idle()
        all_seconds = time.perf_counter() - clock
        ends = [event.time.timestamp() for event in after(types="task.completed")]
    if len(ends) != tasks + 1:
        raise RuntimeError(f"expected {tasks + 1} completed tasks, found {len(ends)}")
    return {f"linear{slots}": tasks * 4 / (max(ends) - began), f"linear{slots}_read_models": tasks * 4 / all_seconds}


def idle_caller(bench: Bench) -> Figures:
    """Run a chain of four on an idle engine by `run_until_complete`, from the call of submit to its end."""
    times: list[float] = []
    with bench.app(handlers.chain(4)) as app:
        for _ in range(bench.pick(100, 300)):
            began = time.perf_counter()
            app.run_until_complete(app.submit(name="chain").id)
            times.append((time.perf_counter() - began) * 1e3)
    return {"idle_caller_p50_ms": middle(times[5:]), "idle_caller_p99_ms": percentile(times[5:], 0.99)}


def idle_started(bench: Bench) -> Figures:
    """Run the same beside background threads, from the call of submit until the bus tells of its end."""
    times: list[float] = []
    ended = threading.Event()
    with bench.app(handlers.chain(4)) as app:
        app.bus.on("task.completed", lambda _event: ended.set())
        app.start()
        for _ in range(bench.pick(100, 300)):
            ended.clear()
            began = time.perf_counter()
            app.submit(name="chain")
            if not ended.wait(_PATIENCE):
                raise TimeoutError("the chain has not ended")
            times.append((time.perf_counter() - began) * 1e3)
    return {"idle_started_p50_ms": middle(times[5:]), "idle_started_p99_ms": percentile(times[5:], 0.99)}


def submit(bench: Bench) -> Figures:
    """Submit from one thread (the median call, as the floor's is the median commit), from eight, and in one call."""
    count = bench.pick(500, 1500)
    return {
        "submit1": _submit_one(bench, count),
        "submit8": _submit(bench, 8, count),
        "submit_many": _submit_many(bench, bench.pick(3000, 10000)),
    }


def _submit_one(bench: Bench, count: int) -> float:
    times: list[float] = []
    with bench.app(handlers.chain(4)) as app:
        app.submit(name="chain")
        for _ in range(count):
            began = time.perf_counter()
            app.submit(name="chain")
            times.append(time.perf_counter() - began)
    return 1 / middle(times)


def _submit(bench: Bench, threads: int, count: int) -> float:
    with bench.app(handlers.chain(4)) as app:
        app.submit(name="chain")
        workers = [
            threading.Thread(target=lambda: [app.submit(name="chain") for _ in range(count)]) for _ in range(threads)
        ]
        began = time.perf_counter()
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        return threads * count / (time.perf_counter() - began)


def _submit_many(bench: Bench, count: int) -> float:
    with bench.app(handlers.chain(4)) as app:
        app.submit(name="chain")
        began = time.perf_counter()
        app.submit_many([{"name": "chain", "context": {"n": number}} for number in range(count)])
        return count / (time.perf_counter() - began)


def long_chain(bench: Bench) -> Figures:
    """Run chains of 125, 250 and 500 steps; each step is one commit."""
    return {f"chain{size}_us": _one(bench, handlers.chain(size)) / size * 1e6 for size in (125, 250, 500)}


def fan_out(bench: Bench) -> Figures:
    """Run one root with 500, 1,000 and 2,000 steps behind it."""
    return {f"fan{size}_us": _one(bench, handlers.fan(size)) / size * 1e6 for size in (500, 1000, 2000)}


def _one(bench: Bench, plan: TaskDefinition) -> float:
    """Give the seconds of one task after a first one of the same kind, submission included."""
    with bench.app(plan) as app:
        taken = []
        for _ in range(2):
            began = time.perf_counter()
            task = app.run_until_complete(app.submit(name=plan.name).id, timeout=_PATIENCE)
            taken.append(time.perf_counter() - began)
            if task.status != "complete":
                raise RuntimeError(f"expected a complete task, found {task.status}")
        return taken[-1]


def history(bench: Bench) -> Figures:
    """Fold every stream of a log, and verify its chain; reading is part of verifying and not of folding."""
    url = bench.url()
    with bench.app(handlers.chain(4), url=url) as app:
        app.submit_many([{"name": "chain"}] * bench.pick(1000, 3000))
        app.run_until_idle()
        began = time.perf_counter()
        events = app.audit.verify().events
        verified = time.perf_counter() - began
    store = open_store(url)
    try:
        rows = store.log.tail(0, limit=events)
        definition = definition_of(store.log, rows[0].header.definition_digest)
    finally:
        store.close()
    return {"verify": events / verified, "fold": events / _fold(definition, rows)}


def _fold(definition: TaskDefinition, rows: list[StoredEvent]) -> float:
    streams: dict[bytes, list[StoredEvent]] = {}
    for row in rows:
        streams.setdefault(row.stream_id, []).append(row)
    began = time.perf_counter()
    live = sum(fold_stream(definition, text_id(one), events).status in LIVE for one, events in streams.items())
    seconds = time.perf_counter() - began
    if live:
        raise RuntimeError(f"expected only ended tasks, found {live} live ones")
    return seconds


def restart(bench: Bench) -> Figures:
    """Start a runner over a log of live tasks: until the first step of a new process has started."""
    url, tasks = bench.url(), bench.pick(5000, 20000)
    with bench.app(handlers.chain(4), url=url) as app:
        app.submit_many([{"name": "chain"}] * tasks)
    started = threading.Event()
    app = Tasker(url, settings={})
    try:
        app.register(handlers.chain(4))
        app.bus.on("step.started", lambda _event: started.set())
        began = time.perf_counter()
        app.start()
        if not started.wait(_PATIENCE):
            raise TimeoutError("no step has started")
        return {"restart_s": time.perf_counter() - began, "restart_tasks": float(tasks)}
    finally:
        app.stop(0.1)
        app.close()


def memory(bench: Bench) -> Figures:
    """Give the bytes that a live task costs which waits for somebody outside, next to a runner."""
    tasks = bench.pick(3000, 10000)
    with bench.app(handlers.waiting()) as app:
        app.run_until_idle()
        app.submit_many([{"name": "waiting"}] * 200)
        app.run_until_idle()
        before = _resident()
        for _ in range(0, tasks, 500):
            app.submit_many([{"name": "waiting"}] * 500)
            app.run_until_idle()
        return {"memory_bytes": (_resident() - before) / tasks}


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE


MEASURES: dict[str, Callable[[Bench], Figures]] = {
    one.__name__: one
    for one in (floor, linear, idle_caller, idle_started, submit, long_chain, fan_out, history, restart, memory)
}
ORDER = (
    *("floor", "linear", "idle_caller", "floor", "idle_started", "submit", "floor", "long_chain", "fan_out"),
    *("history", "restart", "memory"),
)
"""One round; the floor is measured several times within it, for a disk changes its mind."""


def main() -> None:
    """Measure one thing."""
    name, size = sys.argv[1:]
    with tempfile.TemporaryDirectory(prefix="tasker-bench-", dir=".") as folder:
        print(json.dumps(MEASURES[name](Bench(Path(folder), quick=size == "quick"))))


if __name__ == "__main__":
    main()
