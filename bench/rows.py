"""The lines of the tables, with the targets that the figures have."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from bench.engine import LINEAR_SLOTS
from bench.peer import JOURNALS, THREADS
from bench.report import (
    Met,
    Numbers,
    Row,
    at_least,
    at_most,
    microseconds,
    millions,
    milliseconds,
    rate,
    seconds,
    times,
    value,
)

_EMPTY, _PEER, _OWN = "the empty log", "DBOS", "`run_until_complete`"
_SAME = 0.9


class Goals(NamedTuple):
    """What figures are compared with, and how good they should be; None where nothing was promised.

    Attributes:
        one: What a commit of the floor is called, in the plural.
        five: What five of them are called.
        steps: Steps a second of tasks of four steps.
        over: The same as a multiple of the peer.
        called: An idle chain in the caller's thread as a multiple of five commits.
        started: The same beside background threads.
        worst: Milliseconds of its 99th percentile.
        submits: A rate of single submits as a multiple of commits, one of eight threads, one of `submit_many`.
    """

    one: str
    five: str
    steps: int
    over: float
    called: float
    started: float
    worst: float | None
    submits: tuple[float | None, int | None, int | None]


_GOALS = Goals("single commits", "five commits", 15_000, 25, 1.5, 2, 5, (0.7, 5000, 20_000))


def rows() -> list[Row]:
    """Give the lines of a usual run."""
    engine = [*_floor(), *_peers(), *linear(_GOALS), *_others(), *latencies(_GOALS), *submits(_GOALS), *_sizes()]
    return [*engine, *larges(), *_folds(), *_histories(), *_standing()]


def large_rows() -> list[Row]:
    """Give the lines of a run on larger logs than usual."""
    engine = [*_floor(), *linear(_GOALS), *_others(), *latencies(_GOALS), *submits(_GOALS)]
    return [*engine, *larges(), *_huge()]


def _commits(key: str) -> Callable[[Numbers], float]:
    """Give the ratio of a rate to the rate of single commits."""
    return lambda figures: figures[key] * figures["commit_ms"] / 1e3


def inverse(key: str) -> Callable[[Numbers], float]:
    """Give the inverse of a figure."""
    return lambda figures: 1 / figures[key]


def _worst(key: str, five: str) -> Callable[[Numbers], str]:
    return lambda figures: f"{figures[key] / figures['five_p99_ms']:.2f} x {five}, p99"


def _growth(large: str, small: str) -> Callable[[Numbers], float]:
    return lambda figures: figures[large] / figures[small]


def _floor() -> list[Row]:
    return [
        Row("floor: ordered 4 KiB writes with fdatasync", rate("fdatasync")),
        Row("floor: one SQLite commit of two rows, p50 ({floor} in this run)", milliseconds("commit_ms")),
        Row("floor: five such commits in order, p50", milliseconds("five_ms")),
        Row("floor: five such commits in order, p99", milliseconds("five_p99_ms")),
    ]


def _peers() -> list[Row]:
    """Give the lines of the peer, with the durability that it says it has."""
    found = []
    for journal in JOURNALS:
        made = "" if journal == "wal" else " (its default)"
        said = f"{{peer_{journal}_journal}}{made}, synchronous={{peer_{journal}_synchronous}}"
        name, key = f"DBOS {{peer_{journal}_version}} on SQLite, journal {said}", f"peer_{journal}"
        found += peer_lines(name, key, THREADS)
    return found


def peer_lines(name: str, key: str, threads: tuple[int, ...]) -> list[Row]:
    """Give the lines of one way to run the peer."""
    rates = [
        Row(f"{name}: 4-step workflows, {number} threads: steps", rate(f"{key}_steps{number}")) for number in threads
    ]
    shares = [
        Row(f"{name}: idle 4-step workflow, {share}", milliseconds(f"{key}_chain_{share}_ms"))
        for share in ("p50", "p99")
    ]
    return [*rates, *shares]


def linear(goals: Goals) -> list[Row]:
    """Give the lines of tasks of four steps."""
    found = []
    for slots in LINEAR_SLOTS:
        for name, key in (("", f"linear{slots}"), (", read models shown", f"linear{slots}_read_models")):
            ratio = times(_commits(key), goals.one)
            found.append(Row(f"4-step tasks, {slots} slots: steps, submission included{name}", rate(key), ratio))
    best, over = value("linear_best"), value("linear_over_peer")
    most, multiple = f"≥ {goals.steps:,}/s", f"≥ {goals.over:g} x DBOS"
    return [
        *found,
        Row("4-step tasks, the best of these", rate("linear_best"), None, most, at_least(best, goals.steps)),
        Row(
            "the same beside the best of DBOS", rate("linear_best"), times(over, _PEER), multiple,
            at_least(over, goals.over), "peer",
        ),
    ]  # fmt: skip


def _others() -> list[Row]:
    blocking = value("blocking")
    return [
        Row(
            "4-step tasks, handlers that block 1 ms, 32 slots: steps",
            rate("blocking"),
            lambda figures: f"{figures['blocking'] / 32_000:.2f} of the ideal",
            "≥ 12,000/s",
            at_least(blocking, 12_000),
        ),
        Row("fan-out of 1,000: steps", rate("fan1000"), None, "≥ 15,000/s", at_least(value("fan1000"), 15_000)),
    ]


def latencies(goals: Goals) -> list[Row]:
    """Give the lines of idle chains."""
    found = []
    for key, name, most in (
        ("idle_caller", "`run_until_complete`", goals.called),
        ("idle_started", "background threads", goals.started),
    ):
        p50, p99 = f"{key}_p50_ms", f"{key}_p99_ms"
        ratio = inverse(f"{key}_speed")
        shown, target = times(ratio, goals.five), f"≤ {most:g} x {goals.five}"
        found += [
            Row(f"idle 4-step chain, {name}, p50", milliseconds(p50), shown, target, at_most(ratio, most)),
            Row(f"idle 4-step chain, {name}, p99", milliseconds(p99), _worst(p99, goals.five), *_below(p99, goals)),
        ]
    over = value("idle_over_peer")
    return [*found, Row("idle 4-step workflow, the best of DBOS", milliseconds("peer_idle_ms"), times(over, _OWN))]


def _below(key: str, goals: Goals) -> tuple[str, Met]:
    """Give the target of a 99th percentile."""
    return ("", None) if goals.worst is None else (f"< {goals.worst:g} ms", at_most(value(key), goals.worst))


def submits(goals: Goals) -> list[Row]:
    """Give the lines of submissions."""
    one = value("submit1_commits")
    many = times(_commits("submit_many"), goals.one)
    eight = times(_commits("submit8"), goals.one)
    least = [_above(key, most) for key, most in zip(("submit8", "submit_many"), goals.submits[1:], strict=True)]
    single = goals.submits[0]
    first = ("", None) if single is None else (f"≥ {single:g} x commits", at_least(one, single))
    return [
        Row("submit, one thread, p50", rate("submit1"), times(one, goals.one), *first),
        Row("submit, 8 threads", rate("submit8"), eight, *least[0]),
        Row("submit_many", rate("submit_many"), many, *least[1]),
    ]


def _above(key: str, least: float | None) -> tuple[str, Met]:
    """Give the target of a rate."""
    return ("", None) if least is None else (f"≥ {least:,}/s", at_least(value(key), least))


def _sizes() -> list[Row]:
    found = []
    for kind, sizes in (("chain", (125, 250, 500)), ("fan", (500, 1000, 2000))):
        name = "chain of {:,} steps" if kind == "chain" else "fan-out of {:,} steps"
        small = f"{kind}{sizes[0]}_us"
        for size in sizes:
            key, last = f"{kind}{size}_us", size == sizes[-1]
            growth = _growth(key, small)
            ratio = None if key == small else times(growth, f"that of {sizes[0]}")
            target, met = ("≤ 1.3: linear", at_most(growth, 1.3)) if last else ("", None)
            found.append(Row(name.format(size), microseconds(key), ratio, target, met))
    return found


def larges(need: str = "large", *only: str) -> list[Row]:
    """Give the lines of what was measured on the large log; 1.00 is as quick as on an empty one.

    What waits for single commits is compared by its ratio to commits measured just before and after.

    Args:
        need: The log that these lines need.
        only: The figures to show; none for all.
    """
    found = []
    for name, key, shown, speed in (
        ("4-step tasks, 64 slots: steps", "linear64", rate, "linear64"),
        ("idle 4-step chain, `run_until_complete`, p50", "idle_caller_p50_ms", milliseconds, "idle_caller_speed"),
        ("submit, one thread, p50", "submit1", rate, "submit1_commits"),
        ("submit_many", "submit_many", rate, "submit_many"),
        ("fan-out of 1,000: steps", "fan1000", rate, "fan1000"),
    ):
        ratio = value(f"{speed}_large_ratio")
        line = shown(f"{key}_large"), times(ratio, _EMPTY), "≥ 0.9 x empty", at_least(ratio, _SAME)
        if not only or key in only:
            found.append(Row(f"{name}, on {{large}} events", *line, need))
    return found


def _folds() -> list[Row]:
    tuples, packed, over = value("fold_tuples"), value("fold_packed"), value("fold_over_python")
    shown = times(over, "Python, same file")
    need = "compiled"
    return [
        Row("fold in Python, rows in memory: events", rate("fold_python")),
        Row("compiled fold, rows as tuples", millions("fold_tuples"), None, "≥ 6 M/s", at_least(tuples, 6e6), need),
        Row("compiled fold, packed", millions("fold_packed"), None, "≥ 20 M/s", at_least(packed, 20e6), need),
        Row(
            "compiled fold, from the file",
            millions("fold_file"),
            shown,
            "≥ 10 x Python",
            at_least(over, 10),
            need,
        ),
    ]


def _histories() -> list[Row]:
    quick = at_least(value("verify_large"), 0.7e6)
    return [
        Row("audit verify, a small log, reading included: events", rate("verify_small")),
        Row("audit verify, {large} events", rate("verify_large"), None, "≥ 0.7 M/s", quick, "large"),
        Row("projections rebuild, a small log: events", rate("rebuild_small")),
        Row("projections rebuild, {large} events, a row per step", rate("rebuild_large"), None, "", None, "large"),
    ]


def _standing() -> list[Row]:
    start, folded, memory = value("restart_s"), value("live_folded_s"), value("memory_bytes")
    shown, called = value("show_ms"), value("help_ms")
    return [
        Row(
            "restart: first step started",
            lambda figures: f"{figures['restart_s']:.2f} s with {figures['restart_tasks']:,.0f} live tasks",
            None, "< 1 s with 100,000", at_most(start, 1),
        ),
        Row("all live tasks folded, reading included", seconds("live_folded_s"), None, "< 6 s", at_most(folded, 6)),
        Row(
            "memory of a live task",
            lambda figures: f"{figures['memory_bytes']:,.0f} B with {figures['memory_tasks']:,.0f} of them",
            None, "≤ 2,500 B", at_most(memory, 2500),
        ),
        Row("`tasker --help`", milliseconds("help_ms", 0), None, "< 200 ms", at_most(called, 200)),
        Row("`tasker show ID`", milliseconds("show_ms", 0), None, "< 400 ms", at_most(shown, 400)),
    ]  # fmt: skip


def _huge() -> list[Row]:
    found = []
    for key, name, most, need in (
        ("cold_one_s", "cold file to states, one process", 10, "compiled"),
        ("cold_two_s", "cold file to states, two processes", 6, "compiled"),
        ("rebuild_s", "projections rebuild, a row per step", 20, ""),
    ):
        figure = value(f"{key}_huge")
        row = Row(f"{name}, {{huge}} events", seconds(f"{key}_huge"), None, f"< {most} s", at_most(figure, most), need)
        found.append(row)
    verified = value("verify_huge")
    tuples, packed, over = value("fold_tuples_huge"), value("fold_packed_huge"), value("fold_over_python_huge")
    return [
        *found,
        Row("audit verify, {huge} events", rate("verify_huge"), None, "≥ 0.7 M/s", at_least(verified, 0.7e6)),
        Row("compiled fold, rows as tuples", millions("fold_tuples_huge"), None, "≥ 6 M/s", at_least(tuples, 6e6)),
        Row("compiled fold, packed", millions("fold_packed_huge"), None, "≥ 20 M/s", at_least(packed, 20e6)),
        Row("compiled fold, from the file", millions("fold_file_huge"), times(over, "Python"), "", at_least(over, 10)),
    ]
