"""Which measures a run takes, on which logs, in which order; what it must make first; what it cannot take, and why."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import NamedTuple

from bench import logs, peer
from bench.setting import CACHE, QUICK, Size
from tasker.fold.native import native

DISK, PEER = "disk", "peer"

_ROUND = (
    *("disk", "linear", "peer", "idle_caller", "idle_started", "submit", "disk", "linear@large", "idle_caller@large"),
    *("submit@large", "fan_out@large", "disk", "blocking", "fan_out", "long_chain", "history", "restart", "command"),
    *("disk",),
)
"""One round; the disk is measured several times within it, for a disk changes its mind."""

_ONCE = ("verify@large", "rebuild@large", "memory")
_LARGE_ROUND = (
    *("disk", "linear", "linear@large", "idle_caller", "idle_caller@large", "submit", "submit@large"),
    *("fan_out", "fan_out@large", "disk"),
)
_LARGE_ONCE = ("cold@huge", "folds@huge", "verify@huge", "rebuild@huge")
_EVERYTHING = {"quick": (_ROUND, ("memory",)), "full": (_ROUND, _ONCE), "large": (_LARGE_ROUND, _LARGE_ONCE)}
EVENTS = {"quick": 2_000_000, "full": 2_000_000, "large": 5_000_000}
_HUGE_EVENTS = 10_000_000
_LIVE_TASKS = {"quick": 2_000, "full": 100_000, "large": 100_000}


class One(NamedTuple):
    """One measure and the log it runs on."""

    name: str
    log: str = ""


class Plan(NamedTuple):
    """What a run does.

    Attributes:
        size: Its size.
        round: The measures of each round.
        once: The measures that are taken once, after the first round.
        files: The logs that measures run on, by name.
        missing: What is left out, and why, by name.
    """

    size: Size
    round: tuple[One, ...]
    once: tuple[One, ...]
    files: dict[str, Path]
    missing: dict[str, str]


def plan(size: Size, names: list[str] | None, folder: Path) -> Plan:
    """Make what a run needs and say what it does.

    Args:
        size: The size of the run.
        names: Take these measures only, each once a round; None for all.
        folder: Where copies of logs live for as long as the run.
    """
    wanted = (names, ()) if names else _EVERYTHING[size.name]
    rounds, once = ([_one(name) for name in some] for some in wanted)
    files, missing = _files(size, {one.log for one in (*rounds, *once)} | {one.name for one in rounds}, folder)
    if any(one.name == PEER for one in rounds):
        missing[PEER] = peer.install(size)
    if native() is None:
        missing["compiled"] = "no compiled fold: TASKER_NATIVE=0, or it was not built"
    missing = {name: why for name, why in missing.items() if why}
    return Plan(size, _possible(rounds, missing), _possible(once, missing), files, missing)


def _one(name: str) -> One:
    measure, _, log = name.partition("@")
    return One(measure, log)


def _possible(some: list[One], missing: dict[str, str]) -> tuple[One, ...]:
    return tuple(one for one in some if one.log not in missing and one.name not in missing)


def _files(size: Size, needed: set[str], folder: Path) -> tuple[dict[str, Path], dict[str, str]]:
    """Make, or find, the logs that measures run on; those to which measures append are copies."""
    files: dict[str, Path] = {}
    missing: dict[str, str] = {}
    if "large" in needed:
        kept = logs.done(EVENTS[size.name], make=size is not QUICK)
        if kept is None:
            missing["large"] = "no large log: a quick run uses the one that `make bench` has made"
        else:
            files["large"] = logs.copy(kept, folder / "large.db")
    if "huge" in needed and (huge := logs.done(_HUGE_EVENTS)) is not None:
        files["huge"] = huge
    if "restart" in needed and (live := logs.live(_LIVE_TASKS[size.name])) is not None:
        files["live"] = live
    return files, missing


def announce(found: Plan) -> None:
    """Say what is left out."""
    for name, why in found.missing.items():
        print(f"without {name}: {why}", file=sys.stderr)


def space(size: Size) -> str:
    """Give why the disk is too full for the logs of a run, or the empty text."""
    CACHE.mkdir(exist_ok=True)
    free = os.statvfs(CACHE)
    needed = {"quick": 1, "full": 4, "large": 20}[size.name]
    found = free.f_bavail * free.f_frsize / 1e9
    return "" if found >= needed else f"{CACHE} needs {needed} GB for the logs of this run, found {found:.1f} GB free"
