"""Measures of the HTTP API: one server process on loopback, and this process that asks it, over kept connections."""

from __future__ import annotations

import asyncio
import json
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from bench import handlers
from bench.http_load import PATIENCE, Answer, Pool, at_rate, listen
from bench.setting import ROOT, Bench, Figures
from bench.sums import middle, percentile

RATE = 500
"""Requests a second that are asked of reads and writes of single tasks."""
LISTS = 50
"""Lists a second."""
_CONNECTIONS = 64
_WARM_UP_SECONDS = 1.0
_CHUNK = 1000
_EVENTS = 20
_EVENTS_RATE = 2.0
_BODY = json.dumps({"name": "chain", "context": {"order_id": 7, "customer": "someone", "amount": 12.5}}).encode()


def http_tasks(bench: Bench) -> Figures:
    """Create tasks and read them, at a fixed rate, on a server without a worker and on one with it."""
    found: Figures = {}
    for name, more in (("", ()), ("_worker", ("--worker",))):
        with _server(bench.new(), *more) as url:
            found |= {f"{key}{name}": value for key, value in asyncio.run(_tasks(url, bench.pick(3, 10))).items()}
    return found


async def _tasks(url: str, seconds: float) -> Figures:
    pool = Pool(url, _CONNECTIONS)
    await pool.open()
    await at_rate(pool, RATE / 5, _WARM_UP_SECONDS, _create)
    written = await at_rate(pool, RATE, seconds, _create)
    ids = [json.loads(one.body)["id"] for one in _good(written, 201)]
    await at_rate(pool, RATE / 5, _WARM_UP_SECONDS, lambda number: (f"GET /v1/tasks/{ids[number]}", b""))
    chosen = random.Random(7).choices(ids, k=int(RATE * seconds))
    read = await at_rate(pool, RATE, seconds, lambda number: (f"GET /v1/tasks/{chosen[number]}", b""))
    pool.close()
    return {**_spread("http_post", written), **_spread("http_get", _good(read, 200))}


def _create(number: int) -> tuple[str, bytes]:
    del number  # one task is like another
    return "POST /v1/tasks", _BODY


def http_list(bench: Bench) -> Figures:
    """List a log of many tasks: first pages, later pages, and pages of those that a filter finds."""
    many, log = bench.pick(10_000, 100_000), bench.new()
    with bench.app(handlers.chain(1), url=log) as app:
        for first in range(0, many, _CHUNK):
            requests = [{"name": "chain", "tags": [f"t{(first + one) % 50}"]} for one in range(_CHUNK)]
            app.submit_many(requests)
        while app.tasks(limit=1).as_of < many:  # each call serves the read models for a while
            pass
    with _server(log) as url:
        return asyncio.run(_lists(url, bench.pick(3, 10)))


async def _lists(url: str, seconds: float) -> Figures:
    pool = Pool(url, _CONNECTIONS)
    await pool.open()
    cursor = json.loads((await pool.ask("GET /v1/tasks?limit=200")).body)["cursor"]
    asked = ("/v1/tasks", f"/v1/tasks?limit=200&cursor={cursor}", "/v1/tasks?tag=t7", "/v1/tasks?status=pending")

    def ask(number: int) -> tuple[str, bytes]:
        return f"GET {asked[number % len(asked)]}", b""

    await at_rate(pool, LISTS, _WARM_UP_SECONDS, ask)
    listed = await at_rate(pool, LISTS, seconds, ask)
    pool.close()
    return _spread("http_list", _good(listed, 200))


def http_streams(bench: Bench) -> Figures:
    """Create tasks while many clients listen: from the request until each of them has heard of it."""
    with _server(bench.new()) as url:
        return asyncio.run(_streams(url, bench.pick(200, 1000)))


async def _streams(url: str, clients: int) -> Figures:
    pool = Pool(url, 1)
    await pool.open()
    await pool.ask(*_create(0))
    listeners, transports = await listen(pool, clients)
    began: dict[int, float] = {}
    for _ in range(_EVENTS):
        clock = time.perf_counter()
        answer = await pool.ask(*_create(0))
        began[json.loads(answer.body)["position"]] = clock
        await asyncio.sleep(1 / _EVENTS_RATE)
    last = max(began)
    for one in listeners:
        await one.hears(last)
    for transport in transports:
        transport.abort()
    pool.close()
    waited = [one.heard[position] - at for position, at in began.items() for one in listeners]
    return {
        "http_stream_p50_ms": middle(waited) * 1e3,
        "http_stream_p99_ms": percentile(waited, 0.99) * 1e3,
        "http_stream_clients": float(clients),
    }


def _good(answers: list[Answer], status: int) -> list[Answer]:
    wrong = [one for one in answers if one.status != status]
    if wrong:
        raise RuntimeError(f"{len(wrong)} of {len(answers)} requests: {wrong[0].status} {wrong[0].body[:200]!r}")
    return answers


def _spread(name: str, answers: list[Answer]) -> Figures:
    seconds = [one.seconds for one in answers]
    return {f"{name}_p50_ms": middle(seconds) * 1e3, f"{name}_p99_ms": percentile(seconds, 0.99) * 1e3}


@contextmanager
def _server(log: str, *more: str) -> Iterator[str]:
    """Run a server in a process of its own; gives its URL."""
    line = [sys.executable, "-m", "bench.http_server", log, *more]
    with subprocess.Popen(line, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        if not url:
            raise RuntimeError("the server did not start")
        yield url
        process.communicate(timeout=PATIENCE)
