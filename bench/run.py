"""A run: rounds of measures, each in a process of its own, and the ratios of what was measured side by side."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import defaultdict
from typing import NamedTuple

from bench import peer
from bench.engine import LINEAR_SLOTS
from bench.pairs import PAIRED
from bench.plan import PEER, One, Plan
from bench.setting import ROOT, Figures, path_of
from bench.sums import middle

_MEASURE_SECONDS = 600
_BEST = tuple(f"linear{slots}" for slots in LINEAR_SLOTS)


class Samples:
    """Everything that a run has measured.

    Attributes:
        values: Every sample of every figure.
        notes: What is no number, such as the peer's journal mode.
    """

    def __init__(self) -> None:
        """Begin with nothing."""
        self.values: dict[str, list[float]] = defaultdict(list)
        self.notes: dict[str, str] = {}

    def add(self, figures: Figures) -> None:
        """Take the figures of a measure."""
        for key, value in figures.items():
            self.values[key].append(value)

    def medians(self) -> Figures:
        """Give the median of every figure."""
        return {key: middle(values) for key, values in self.values.items()}


class Found(NamedTuple):
    """What a run has measured on SQLite and on PostgreSQL; figures of both have the same names."""

    files: Samples
    postgres: Samples

    def of(self, one: One) -> Samples:
        """Give where the figures of a measure belong."""
        return self.postgres if one.postgres else self.files


def run(plan: Plan, rounds: int) -> Found:
    """Measure round by round, every second one backwards, so that what the machine does meanwhile hits all alike."""
    found = Found(Samples(), Samples())
    for number in range(rounds):
        turn = Found(Samples(), Samples())
        for one in plan.round if number % 2 == 0 else plan.round[::-1]:
            figures = _timed(plan, one, found.of(one).notes, f"round {number + 1} of {rounds}")
            for samples in (found, turn):
                samples.of(one).add(figures)
        for kept, taken in zip(found, turn, strict=True):
            kept.add(ratios(taken.medians()))
        for one in plan.once if number == 0 else ():
            found.of(one).add(_timed(plan, one, found.of(one).notes, "once"))
    return found


def _timed(plan: Plan, one: One, notes: dict[str, str], when: str) -> Figures:
    """Take one measure, and say how long it took."""
    began = time.perf_counter()
    figures = _measured(plan, one, notes)
    print(f"{when}: {one.name}{one.where and '@'}{one.where}, {time.perf_counter() - began:.1f} s", file=sys.stderr)
    return figures


def _measured(plan: Plan, one: One, notes: dict[str, str]) -> Figures:
    """Take one measure; what the log holds that it ran on is part of the name of its figures."""
    server = plan.server if one.postgres else ""
    if one.name == PEER:
        of_peer, said = peer.measure(plan.size, server)
        notes |= said
        return of_peer
    line = [sys.executable, "-m", "bench.measures", one.name, plan.size.name]
    if server:
        line += ["--postgres", server]
    if one.log:
        line += ["--large", plan.logs[one.where]]
    if "live" in plan.logs and one.name == "restart":
        line += ["--live", str(path_of(plan.logs["live"]))]
    done = subprocess.run(line, check=False, capture_output=True, text=True, timeout=_MEASURE_SECONDS, cwd=ROOT)
    if done.returncode:
        raise SystemExit(f"bench {one.name} failed:\n{done.stderr}")
    if done.stderr:
        print(done.stderr, file=sys.stderr)
    figures: Figures = json.loads(done.stdout.splitlines()[-1])
    return figures if one.log == "large" and one.name in PAIRED else _named(figures, one)


def _named(figures: Figures, one: One) -> Figures:
    """Put the log that a measure ran on into the names of its figures."""
    return {key + (one.log and f"_{one.log}"): value for key, value in figures.items()}


def ratios(taken: Figures) -> Figures:
    """Compare what was measured in one round with the peer."""
    found = _best(taken)
    if "linear_best" in found and "peer_best" in found:
        found["linear_over_peer"] = found["linear_best"] / found["peer_best"]
    if "peer_idle_ms" in found and "idle_caller_p50_ms" in taken:
        found["idle_over_peer"] = found["peer_idle_ms"] / taken["idle_caller_p50_ms"]
    return found


def _best(taken: Figures) -> Figures:
    """Take the best of what was tried: slots here, threads and journal modes there."""
    own = [taken[key] for key in _BEST if key in taken]
    steps = [value for key, value in taken.items() if key.startswith("peer_") and "_steps" in key]
    idle = [value for key, value in taken.items() if key.startswith("peer_") and key.endswith("_chain_p50_ms")]
    found = {"linear_best": max(own)} if own else {}
    return found | ({"peer_best": max(steps), "peer_idle_ms": min(idle)} if steps else {})
