"""Measures of several worker processes over one PostgreSQL log: their speed together, and what idle ones cost."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

import psycopg

from bench import handlers
from bench.postgres import PostgresBench, plain
from bench.setting import PATIENCE, ROOT, Bench, Figures
from bench.sums import middle

NUMBERS = (1, 2, 8)
"""How many workers share the work."""

IDLE = (1, 4)
"""How many workers idle side by side."""

_SLOTS = 64
_EVENTS = 11  # of a task of four steps
_STEPS = 4
_LOOK_SECONDS = 0.05
_SETTLE_SECONDS = 3.0
_TICKS = os.sysconf("SC_CLK_TCK")
_STOP_SECONDS = 20.0

_FOUND = """
SELECT min(time) FILTER (WHERE name = 'step.started'), max(time),
    count(*) FILTER (WHERE name = 'task.completed'), count(*) FILTER (WHERE name = 'step.started')
FROM events JOIN event_types ON type = code WHERE position > %s
"""
_SHARES = """
SELECT count(*) FROM events JOIN event_types ON type = code
WHERE position > %s AND name = 'step.started' GROUP BY convert_from(data, 'UTF8')::json ->> 'worker_id'
"""
_TRANSACTIONS = "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = %s"


class Crew:
    """Workers in processes of their own over one log; they stop with the `with` block.

    Attributes:
        processes: The processes, each of which has opened the log and waits for `go`.
    """

    def __init__(self, url: str, number: int) -> None:
        """Start so many, and wait until all are ready."""
        self.processes = [_spawn(url) for _ in range(number)]
        self._hear("ready")

    def __enter__(self) -> Self:
        """Give itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        """Let them stop by themselves, and end who does not."""
        for process in self.processes:
            if process.stdin is not None:
                process.stdin.close()
        deadline = time.monotonic() + _STOP_SECONDS
        for process in self.processes:
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def go(self) -> None:
        """Let all of them work."""
        for process in self.processes:
            if process.stdin is not None:
                process.stdin.write("go\n")
                process.stdin.flush()
        self._hear("started")

    def cpu(self) -> float:
        """Give the CPU seconds that all of them have used together."""
        fields = (Path(f"/proc/{one.pid}/stat").read_text().rpartition(")")[2].split() for one in self.processes)
        return sum(int(field[11]) + int(field[12]) for field in fields) / _TICKS

    def _hear(self, word: str) -> None:
        for process in self.processes:
            said = process.stdout.readline().strip() if process.stdout is not None else ""
            if said != word:
                raise RuntimeError(f"expected {word!r} of a worker, found {said!r}; its error stands above")


def _spawn(url: str) -> subprocess.Popen[str]:
    line = [sys.executable, "-m", "bench.worker", url, str(_SLOTS)]
    return subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)


class Outcome(NamedTuple):
    """What several workers did.

    Attributes:
        rate: Steps a second, from the first started step to the last event.
        again: Attempts beyond one for each step.
        share: The part of all steps that the least busy worker ran, where an equal share is 1; 0 if one ran none.
    """

    rate: float
    again: int
    share: float


def workers(bench: Bench) -> Figures:
    """Let 1, 2 and 8 processes run tasks that were submitted before, there and back again."""
    found: dict[int, list[Outcome]] = defaultdict(list)
    for number in (*NUMBERS, *(reversed(NUMBERS) if bench.pick(0, 1) else ())):
        found[number].append(_together(_on_postgres(bench), number, bench.pick(400, 4000)))
    rates = {number: middle([one.rate for one in some]) for number, some in found.items()}
    figures = {f"workers{number}": rate for number, rate in rates.items()}
    for number, some in found.items():
        figures[f"workers{number}_again"] = middle([float(one.again) for one in some])
        figures[f"workers{number}_share"] = middle([one.share for one in some])
    return {**figures, "workers_two_over_one": rates[2] / rates[1], "workers_eight_over_two": rates[8] / rates[2]}


def _together(bench: PostgresBench, number: int, tasks: int) -> Outcome:
    url = bench.new()
    with bench.app(handlers.chain(_STEPS), url=url) as app:
        app.submit_many([{"name": "chain", "context": {"n": place}} for place in range(tasks)])
    with Crew(url, number) as crew, psycopg.connect(plain(url), autocommit=True) as connection:
        crew.go()
        _await(connection, tasks)
    with psycopg.connect(plain(url)) as connection:
        began, ended, _, starts = _row(connection, _FOUND, 0)
        shares = [int(row[0]) for row in connection.execute(_SHARES, (0,)).fetchall()]
    least = min(shares) if len(shares) >= number else 0
    return Outcome(tasks * _STEPS / ((ended - began) / 1e6), starts - tasks * _STEPS, least * number / (tasks * _STEPS))


def _await(connection: psycopg.Connection[tuple[int, ...]], tasks: int) -> None:
    """Wait for the end of all tasks, by a look at one row that costs the server nothing.

    Raises:
        TimeoutError: They have not ended; says how many have.
    """
    deadline, ended = time.monotonic() + PATIENCE, 0
    while ended < tasks:
        if time.monotonic() > deadline:
            raise TimeoutError(f"expected {tasks} completed tasks within {PATIENCE:g} s, found {ended}")
        time.sleep(_LOOK_SECONDS)
        if _row(connection, "SELECT position FROM log_head WHERE %s = 0", 0)[0] >= tasks * _EVENTS:
            ended = _row(connection, _FOUND, 0)[2]


def _row(connection: psycopg.Connection[tuple[int, ...]], sql: str, value: object) -> tuple[int, ...]:
    row = connection.execute(sql, (value,)).fetchone()
    if row is None:
        raise RuntimeError(f"expected a row, found none: {sql}")
    return row


def idle_cost(bench: Bench) -> Figures:
    """Start workers on an empty log, alone and side by side, and see what one of them costs doing nothing."""
    found: Figures = {}
    for number in IDLE[: bench.pick(1, len(IDLE))]:
        cpu, queries = _idle(_on_postgres(bench), number, bench.pick(5, 20))
        found |= {f"idle_cpu{number}": cpu, f"idle_queries{number}": queries}
    return found


def _idle(bench: PostgresBench, number: int, seconds: int) -> tuple[float, float]:
    """Give the share of a core and the transactions a second of each worker."""
    url = bench.new()
    name = url.rpartition("/")[2]
    with Crew(url, number) as crew, psycopg.connect(bench.server, autocommit=True) as connection:
        crew.go()
        time.sleep(_SETTLE_SECONDS)
        cpu, transactions, began = crew.cpu(), _row(connection, _TRANSACTIONS, name)[0], time.perf_counter()
        time.sleep(seconds)
        used, asked = crew.cpu() - cpu, _row(connection, _TRANSACTIONS, name)[0] - transactions
        took = (time.perf_counter() - began) * number
    return used / took, asked / took


def _on_postgres(bench: Bench) -> PostgresBench:
    if not isinstance(bench, PostgresBench):
        raise TypeError("expected PostgreSQL for a measure of several workers, found SQLite: ask for NAME@pg")
    return bench
