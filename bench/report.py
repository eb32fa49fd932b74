"""Figures as a table: each beside the floor of the same run and the target it has."""

from __future__ import annotations

import os
import platform
import sqlite3
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple

Figures = Mapping[str, float]


class Row(NamedTuple):
    """One line of the table.

    Attributes:
        what: What was measured.
        shown: Writes the figure.
        ratio: Gives its ratio to the floor, or to a smaller size of itself; None for none.
        target: What the ratio or the figure should reach, for people.
        met: Says whether it does.
    """

    what: str
    shown: Callable[[Figures], str]
    ratio: Callable[[Figures], float] | None = None
    target: str = ""
    met: Callable[[Figures], bool] | None = None


def _rate(key: str) -> Callable[[Figures], str]:
    return lambda figures: f"{figures[key]:,.0f}/s"


def _ms(key: str) -> Callable[[Figures], str]:
    return lambda figures: f"{figures[key]:.2f} ms"


def _us(key: str) -> Callable[[Figures], str]:
    return lambda figures: f"{figures[key]:,.0f} µs/step"


def _of_commits(key: str) -> Callable[[Figures], float]:
    """Give the ratio of a rate to the rate of single commits."""
    return lambda figures: figures[key] * figures["commit_ms"] / 1e3


def _of_five(key: str) -> Callable[[Figures], float]:
    return lambda figures: figures[key] / figures["five_ms"]


def _growth(large: str, small: str) -> Callable[[Figures], float]:
    return lambda figures: figures[large] / figures[small]


def _at_most(ratio: Callable[[Figures], float], most: float) -> Callable[[Figures], bool]:
    return lambda figures: ratio(figures) <= most


def _at_least(figure: Callable[[Figures], float], least: float) -> Callable[[Figures], bool]:
    return lambda figures: figure(figures) >= least


def _rows() -> list[Row]:
    rows = [
        Row("floor: ordered 4 KiB writes with fdatasync", _rate("fdatasync")),
        Row("floor: one SQLite commit of two rows, p50", _ms("commit_ms")),
        Row("floor: five such commits in order, p50", _ms("five_ms")),
    ]
    for slots in (16, 64):
        for name, key in (("", f"linear{slots}"), (", read models shown", f"linear{slots}_read_models")):
            met = None if name else _at_least(itemgetter(key), 5000)
            target = "" if name else "≥ 5,000/s"
            rows.append(Row(f"4-step tasks, {slots} slots: steps{name}", _rate(key), _of_commits(key), target, met))
    return rows + _latencies() + _submits() + _sizes() + _histories()


def _latencies() -> list[Row]:
    rows = []
    for key, name in (("idle_caller", "`run_until_complete`"), ("idle_started", "background threads")):
        ratio = _of_five(f"{key}_p50_ms")
        p50, p99, target = f"{key}_p50_ms", f"{key}_p99_ms", "≤ 3 x five commits"
        rows.append(Row(f"idle 4-step chain, {name}, p50", _ms(p50), ratio, target, _at_most(ratio, 3)))
        rows.append(Row(f"idle 4-step chain, {name}, p99", _ms(p99), None, "< 15 ms", _at_most(itemgetter(p99), 15)))
    return rows


def _submits() -> list[Row]:
    one = _of_commits("submit1")
    return [
        Row("submit, one thread, p50", _rate("submit1"), one, "≥ 0.5 x 1/commit", _at_least(one, 0.5)),
        Row("submit, 8 threads", _rate("submit8"), _of_commits("submit8")),
        Row("submit_many", _rate("submit_many"), _of_commits("submit_many")),
    ]


def _sizes() -> list[Row]:
    rows = []
    for kind, sizes in (("chain", (125, 250, 500)), ("fan", (500, 1000, 2000))):
        name = "chain of {:,} steps" if kind == "chain" else "fan-out of {:,} steps"
        small = f"{kind}{sizes[0]}_us"
        for size in sizes:
            key, last = f"{kind}{size}_us", size == sizes[-1]
            growth = _growth(key, small)
            target, met = ("≤ 1.3 x n/4: linear", _at_most(growth, 1.3)) if last else ("", None)
            rows.append(Row(name.format(size), _us(key), None if key == small else growth, target, met))
    return rows


def _histories() -> list[Row]:
    return [
        Row("fold, events", _rate("fold")),
        Row("audit verify, events, reading included", _rate("verify")),
        Row("restart to the first step", lambda f: f"{f['restart_s']:.2f} s with {f['restart_tasks']:,.0f} live tasks"),
        Row("memory of a live task", lambda figures: f"{figures['memory_bytes']:,.0f} B"),
    ]


def table(figures: Figures, command: str, rounds: int) -> str:
    """Give the table in Markdown, with the machine, the settings and the command."""
    lines = [f"{_machine()}. {_settings(rounds)} Made by `{command}` on {datetime.now(UTC):%Y-%m-%d}.", ""]
    lines += ["| what | figure | ratio | target | met |", "|---|---:|---:|---|---|"]
    for row in _rows():
        ratio = "" if row.ratio is None else f"{row.ratio(figures):.2f}"
        met = "" if row.met is None else "yes" if row.met(figures) else "**no**"
        lines.append(f"| {row.what} | {row.shown(figures)} | {ratio} | {row.target} | {met} |")
    return "\n".join(lines) + "\n"


def _machine() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    model = next(names, platform.machine())
    versions = f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}"
    return f"{os.cpu_count()} cores ({model}), {platform.system()} {platform.release()}, {versions}"


def _settings(rounds: int) -> str:
    many = f"Medians of {rounds} rounds" if rounds > 1 else "One round"
    where = "SQLite file, WAL, synchronous=FULL, handlers that do nothing, an empty log"
    return f"{many}, each figure in a process of its own; {where}."
