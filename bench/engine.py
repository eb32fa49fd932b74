"""Measures of the engine: tasks of four steps, chains, fan-outs and submissions, on empty logs or on a large one."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping

from bench import handlers
from bench.floor import Commits
from bench.setting import PATIENCE, Bench, Figures, head_of
from bench.sums import middle, percentile
from tasker import TaskDefinition

LINEAR_SLOTS = (16, 64, 256)
_BLOCKING_SLOTS = 32
_WARM_UP = 5
_PAIRED_CALLS = 60
_PAIRED_MANY = 1000


def linear(bench: Bench) -> Figures:
    """Run tasks of four steps in a row, submission included, until all have ended and until the read models show it."""
    found: Figures = {}
    for slots in (64,) if bench.paired else LINEAR_SLOTS:
        plan = handlers.chain(4)
        rate, shown = _rate(bench, plan, slots, bench.pick(1000, 2500))
        found |= {f"linear{slots}": rate, f"linear{slots}_read_models": shown}
    return found


def blocking(bench: Bench) -> Figures:
    """Run the same with handlers that block for a millisecond each."""
    plan = handlers.chain(4, "blocking", handlers.block)
    return {"blocking": _rate(bench, plan, _BLOCKING_SLOTS, bench.pick(500, 2500))[0]}


def _rate(bench: Bench, plan: TaskDefinition, slots: int, tasks: int) -> tuple[float, float]:
    """Give steps a second until the last end is recorded, and until the read models show it."""
    url = bench.url()
    with bench.app(plan, concurrency=slots, url=url) as app:
        app.run_until_complete(app.submit(name=plan.name).id)
        app.run_until_idle()
        before, began, clock = head_of(url), time.time(), time.perf_counter()
        app.submit_many([{"name": plan.name, "context": {"n": number}} for number in range(tasks)])
        app.run_until_idle()
        all_seconds = time.perf_counter() - clock
        ends = [event.time.timestamp() for event in app.events(types="task.completed", after=before)]
    if len(ends) != tasks:
        raise RuntimeError(f"expected {tasks} completed tasks, found {len(ends)}")
    steps = tasks * len(plan.step_templates)
    return steps / (max(ends) - began), steps / all_seconds


def idle_caller(bench: Bench) -> Figures:
    """Run a chain of four on an idle engine by `run_until_complete`, from the call of submit to its end."""
    times: list[float] = []
    before = bench.floors()
    with bench.app(handlers.chain(4)) as app:
        for _ in range(_PAIRED_CALLS if bench.paired else bench.pick(100, 300)):
            began = time.perf_counter()
            app.run_until_complete(app.submit(name="chain").id)
            times.append((time.perf_counter() - began) * 1e3)
    return _idle(bench, "idle_caller", times, before)


def idle_started(bench: Bench) -> Figures:
    """Run the same beside background threads, from the call of submit until the bus tells of its end."""
    times: list[float] = []
    before, ended = bench.floors(), threading.Event()
    with bench.app(handlers.chain(4)) as app:
        app.bus.on("task.completed", lambda _event: ended.set())
        app.start()
        for _ in range(bench.pick(100, 300)):
            ended.clear()
            began = time.perf_counter()
            app.submit(name="chain")
            if not ended.wait(PATIENCE):
                raise TimeoutError("the chain has not ended")
            times.append((time.perf_counter() - began) * 1e3)
    return _idle(bench, "idle_started", times, before)


def _idle(bench: Bench, name: str, times: list[float], before: Mapping[str, Commits]) -> Figures:
    """Give the percentiles, and how the median compares with five commits just before and after."""
    warm = times[_WARM_UP:]
    after, p50 = bench.floors(), middle(warm)
    speeds = {
        f"{name}_speed{kind}": middle([first.five, after[kind].five]) * 1e3 / p50 for kind, first in before.items()
    }
    return {f"{name}_p50_ms": p50, f"{name}_p99_ms": percentile(warm, 0.99), **speeds}


def submit(bench: Bench) -> Figures:
    """Submit from one thread (the median call, as the floor's is the median commit), from eight, and in one call."""
    if bench.paired:
        return {**_submit_one(bench, _PAIRED_CALLS), "submit_many": _submit_many(bench, _PAIRED_MANY)}
    return {
        **_submit_one(bench, bench.pick(500, 1500)),
        "submit8": _submit(bench, 8, bench.pick(200, 1500)),
        "submit_many": _submit_many(bench, bench.pick(3000, 10000)),
    }


def _submit_one(bench: Bench, count: int) -> Figures:
    times: list[float] = []
    before = bench.floors()
    with bench.app(handlers.chain(4)) as app:
        app.submit(name="chain")
        for _ in range(count):
            began = time.perf_counter()
            app.submit(name="chain")
            times.append(time.perf_counter() - began)
        bench.tidy(app)
    after, p50 = bench.floors(), middle(times)
    speeds = {f"submit1_commits{kind}": middle([first.one, after[kind].one]) / p50 for kind, first in before.items()}
    return {"submit1": 1 / p50, **speeds}


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
        rate = count / (time.perf_counter() - began)
        bench.tidy(app)
    return rate


def long_chain(bench: Bench) -> Figures:
    """Run chains of 125, 250 and 500 steps; each step is one commit."""
    return {f"chain{size}_us": _one(bench, handlers.chain(size)) / size * 1e6 for size in (125, 250, 500)}


def fan_out(bench: Bench) -> Figures:
    """Run one root with 500, 1,000 and 2,000 steps behind it."""
    sizes = (1000,) if bench.paired else (500, 1000, 2000)
    seconds = {size: _one(bench, handlers.fan(size)) for size in sizes}
    return {
        "fan1000": 1000 / seconds[1000],
        **{f"fan{size}_us": taken / size * 1e6 for size, taken in seconds.items() if not bench.paired},
    }


def _one(bench: Bench, plan: TaskDefinition) -> float:
    """Give the median seconds of one task after a first one of the same kind, submission included."""
    with bench.app(plan) as app:
        taken = []
        for _ in range(1 + bench.pick(2, 3)):
            began = time.perf_counter()
            task = app.run_until_complete(app.submit(name=plan.name).id, timeout=PATIENCE)
            taken.append(time.perf_counter() - began)
            if task.status != "complete":
                raise RuntimeError(f"expected a complete task, found {task.status}")
        return middle(taken[1:])
