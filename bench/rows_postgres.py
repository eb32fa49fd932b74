"""The lines of the table of PostgreSQL, with the targets that the figures have."""

from __future__ import annotations

from collections.abc import Callable

from bench.peer import POSTGRES_THREADS
from bench.report import Numbers, Row, at_least, at_most, milliseconds, rate, times, value
from bench.rows import Goals, inverse, larges, latencies, linear, peer_lines, submits
from bench.workers import IDLE, NUMBERS

_BARE = "five bare commits"
_GOALS = Goals("single appends", "five appends", 12_000, 20, 1.5, 1.5, None, (None, None, None))
_IDLE_CPU, _IDLE_QUERIES = 0.02, 5


def postgres_rows() -> list[Row]:
    """Give the lines of a usual run."""
    engine = [*_floor(), *_peers(), *linear(_GOALS), *latencies(_GOALS), *_bare(), *submits(_GOALS)]
    return [*engine, *larges("pg-large", "linear64", "idle_caller_p50_ms"), *_workers(), *_idle()]


def _floor() -> list[Row]:
    found = [Row("floor: ordered 4 KiB writes with fdatasync", rate("fdatasync"))]
    for kind, one, five in (
        ("_bare", "commit of two rows in one statement by psycopg, p50", _BARE),
        ("", "append of two events to a log, p50 ({floor} in this run)", _GOALS.five),
    ):
        found += [
            Row(f"floor: one {one}", milliseconds(f"commit{kind}_ms")),
            Row(f"floor: {five} in order, p50", milliseconds(f"five{kind}_ms")),
            Row(f"floor: {five} in order, p99", milliseconds(f"five_p99{kind}_ms")),
        ]
    return found


def _peers() -> list[Row]:
    said = (
        "on PostgreSQL {peer_pg_server_version}, fsync={peer_pg_fsync}, synchronous_commit={peer_pg_synchronous_commit}"
    )
    return peer_lines(f"DBOS {{peer_pg_version}} {said}", "peer_pg", POSTGRES_THREADS)


def _bare() -> list[Row]:
    """Give the lines of idle chains once more, beside what the driver alone takes for a commit."""
    return [
        Row(
            f"idle 4-step chain, {name}, p50, beside bare commits",
            milliseconds(f"{key}_p50_ms"),
            times(inverse(f"{key}_speed_bare"), _BARE),
        )
        for key, name in (("idle_caller", "`run_until_complete`"), ("idle_started", "background threads"))
    ]


def _workers() -> list[Row]:
    compared = {2: ("workers_two_over_one", "one worker", 1.0), 8: ("workers_eight_over_two", "two workers", 0.8)}
    found = []
    for number in NUMBERS:
        key = f"workers{number}"
        said = f"{number} worker process{'es' if number > 1 else ''}, 64 slots each: steps of tasks submitted before"
        if number not in compared:
            found.append(Row(said, rate(key)))
            continue
        over, other, least = compared[number]
        ratio = value(over)
        found += [
            Row(said, rate(key), times(ratio, other), f"≥ {least:g} x {other}", at_least(ratio, least)),
            Row(f"{number} worker processes: attempts begun once more", _count(f"{key}_again")),
            Row(f"{number} worker processes: steps of the least busy", _share(f"{key}_share")),
        ]
    return found


def _idle() -> list[Row]:
    found = []
    for number in IDLE:
        cpu, queries = f"idle_cpu{number}", f"idle_queries{number}"
        name = "an idle worker" if number == 1 else f"each of {number} idle workers"
        small, few = at_most(value(cpu), _IDLE_CPU), at_most(value(queries), _IDLE_QUERIES)
        found += [
            Row(f"{name}: CPU time of its process", _share_of_core(cpu), None, "< 2 % of a core", small),
            Row(f"{name}: transactions", _each_second(queries), None, "< 5/s", few),
        ]
    return found


def _count(key: str) -> Callable[[Numbers], str]:
    return lambda figures: f"{figures[key]:,.0f}"


def _share(key: str) -> Callable[[Numbers], str]:
    return lambda figures: f"{figures[key]:.2f} of an equal share"


def _share_of_core(key: str) -> Callable[[Numbers], str]:
    return lambda figures: f"{figures[key]:.2%} of a core"


def _each_second(key: str) -> Callable[[Numbers], str]:
    return lambda figures: f"{figures[key]:.1f}/s"
