"""Measures of what a running engine costs: restart over live tasks, memory, and the commands people type."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

from bench import handlers
from bench.heads import Source, fold
from bench.setting import PATIENCE, ROOT, Bench, Figures, url_of
from bench.sums import middle
from tasker import Tasker
from tasker.codec.decode import text_id
from tasker.fold import fold_stream
from tasker.fold.native import native
from tasker.log.open import open_store
from tasker.projections.rebuild import definition_of

_PAGE = 4096
_MANY = 500


def restart(bench: Bench) -> Figures:
    """Start a runner over a log of live tasks until its first step has started; then fold all of them."""
    if bench.live is None:
        raise RuntimeError("expected a log of live tasks for this measure, found none")
    began = time.perf_counter()
    tasks = _fold_all(bench.live)
    folded = time.perf_counter() - began
    os.environ[handlers.LATER] = "here"
    started = threading.Event()
    app = Tasker(url_of(bench.live), settings={})
    try:
        app.register(handlers.half_done())
        app.bus.on("step.started", lambda _event: started.set())
        began = time.perf_counter()
        app.start()
        if not started.wait(PATIENCE):
            raise TimeoutError("no step has started")
        return {"restart_s": time.perf_counter() - began, "live_folded_s": folded, "restart_tasks": float(tasks)}
    finally:
        app.stop(0.1)
        app.close()


def _fold_all(file: Path) -> int:
    """Fold every task of a log into its state: compiled if Tasker uses that here, else in Python; give how many."""
    module = native()
    if module is None:
        return _fold_all_in_python(file)
    source = Source(file, module)
    try:
        tasks = 0
        for page in source.pages():
            fold(module, source, page)
            tasks += len(page.streams)
        return tasks
    finally:
        source.close()


def _fold_all_in_python(file: Path) -> int:
    store, tasks = open_store(url_of(file)), 0
    try:
        definitions = {digest: definition_of(store.log, digest) for digest, _ in store.archive.definitions()}
        for stream_id, header in store.archive.streams():
            fold_stream(definitions[header.definition_digest], text_id(stream_id), store.log.stream(stream_id))
            tasks += 1
        return tasks
    finally:
        store.close()


def memory(bench: Bench) -> Figures:
    """Give the bytes that a live task costs which waits for somebody outside, next to a runner."""
    tasks = bench.pick(3000, 50_000)
    with bench.app(handlers.waiting()) as app:
        app.run_until_idle()
        app.submit_many([{"name": "waiting"}] * 200)
        app.run_until_idle()
        before = _resident()
        for _ in range(0, tasks, _MANY):
            app.submit_many([{"name": "waiting"}] * _MANY)
            app.run_until_idle()
        return {"memory_bytes": (_resident() - before) / tasks, "memory_tasks": float(tasks)}


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE


def command(bench: Bench) -> Figures:
    """Run the command as people do: `tasker --help`, and `tasker show` of a task that has ended."""
    url = bench.url()
    with bench.app(handlers.chain(4), url=url) as app:
        task = app.submit(name="chain")
        app.run_until_complete(task.id)
    times = bench.pick(3, 5)
    return {
        "help_ms": middle([_run("--help") for _ in range(times)]),
        "show_ms": middle([_run("show", task.id, "--url", url) for _ in range(times)]),
    }


def _run(*arguments: str) -> float:
    """Give the milliseconds of one command; what it prints goes nowhere."""
    tasker = Path(sys.executable).with_name("tasker")
    began = time.perf_counter()
    subprocess.run([tasker, *arguments], check=True, stdout=subprocess.DEVNULL, cwd=ROOT)
    return (time.perf_counter() - began) * 1e3
