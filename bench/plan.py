"""Which measures a run takes, on which logs, in which order; what it must make first; what it cannot take, and why."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from bench import logs, peer, postgres, postgres_logs
from bench.server import Server
from bench.setting import CACHE, QUICK, Size, url_of
from tasker.fold.native import native

PEER, PG = "peer", "pg"
_PG_LARGE = f"{PG}-large"

_ROUND = (
    *("disk", "linear", "peer", "idle_caller", "idle_started", "submit", "disk", "linear@large", "idle_caller@large"),
    *("submit@large", "fan_out@large", "disk", "blocking", "fan_out", "long_chain", "history", "restart", "command"),
    *("disk", "disk@pg", "linear@pg", "peer@pg", "idle_caller@pg", "idle_started@pg", "submit@pg", "disk@pg"),
    *("linear@pg-large", "idle_caller@pg-large", "workers@pg", "disk@pg"),
)
"""One round; the disk is measured several times within it, for a disk changes its mind."""

_ONCE = ("verify@large", "rebuild@large", "memory", "idle_cost@pg")
_LARGE_ROUND = (
    *("disk", "linear", "linear@large", "idle_caller", "idle_caller@large", "submit", "submit@large"),
    *("fan_out", "fan_out@large", "disk"),
)
_LARGE_ONCE = ("cold@huge", "folds@huge", "verify@huge", "rebuild@huge")
_EVERYTHING = {
    "quick": (_ROUND, ("memory", "idle_cost@pg")),
    "full": (_ROUND, _ONCE),
    "large": (_LARGE_ROUND, _LARGE_ONCE),
}
EVENTS = {"quick": 2_000_000, "full": 2_000_000, "large": 5_000_000}
_HUGE_EVENTS = 10_000_000
_NO_LARGE = "no large log: a quick run uses the one that `make bench` has made"
_LIVE_TASKS = {"quick": 2_000, "full": 100_000, "large": 100_000}


SUBSCRIPTIONS = "subscriptions"
_SUBSCRIPTIONS = ("deliveries", "delivery_latency", "subscribed")
HTTP = "http"
TELEMETRY = "telemetry"
KAFKA = "kafka"
AUDIT = "audit"
_AUDIT = ("audit_verify", "audit_export", "audit_reads", "audit_proof")
SECTIONS: dict[str, tuple[str, ...]] = {
    SUBSCRIPTIONS: (*_SUBSCRIPTIONS, *(f"{name}@{PG}" for name in _SUBSCRIPTIONS)),
    TELEMETRY: ("telemetry",),
    HTTP: ("http_tasks", "http_list", "http_streams"),
    KAFKA: (f"kafka_speed@{PG}", f"kafka_paced@{PG}"),
    AUDIT: (*(f"{name}@large" for name in _AUDIT), *(f"{name}@{_PG_LARGE}" for name in _AUDIT)),
}
"""Runs of their own, by name: what each measures."""

_EVERY = (*_ROUND, *_ONCE, *(name for names in SECTIONS.values() for name in names))
ON_POSTGRES = frozenset(one.partition("@")[0] for one in _EVERY if f"@{PG}" in one)
"""The measures that PostgreSQL knows."""


class One(NamedTuple):
    """One measure and where it runs.

    Attributes:
        name: The measure.
        where: The log it runs on: empty for new ones, `large`, `huge`; on PostgreSQL `pg` for new ones, `pg-large`.
    """

    name: str
    where: str = ""

    @property
    def postgres(self) -> bool:
        """Tell whether it runs on PostgreSQL."""
        return self.where.partition("-")[0] == PG

    @property
    def log(self) -> str:
        """Name the kept log that it runs on; empty for new ones."""
        return self.where.removeprefix(PG).removeprefix("-") if self.postgres else self.where


class Plan(NamedTuple):
    """What a run does.

    Attributes:
        size: Its size.
        round: The measures of each round.
        once: The measures that are taken once, after the first round.
        logs: The URLs of the logs that measures run on, by name.
        missing: What is left out, and why, by name.
        server: The URL of the PostgreSQL server; empty without one.
    """

    size: Size
    round: tuple[One, ...]
    once: tuple[One, ...]
    logs: dict[str, str]
    missing: dict[str, str]
    server: str


def plan(size: Size, names: Sequence[str] | None, folder: Path, server: Server) -> Plan:
    """Make what a run needs and say what it does.

    Args:
        size: The size of the run.
        names: Take these measures only, each once a round; None for all.
        folder: Where copies of logs live for as long as the run.
        server: Started if a measure needs it.
    """
    wanted = (names, ()) if names else _EVERYTHING[size.name]
    rounds, once = ([_one(name) for name in some] for some in wanted)
    every = [*rounds, *once]
    kept, missing = _files(size, {one.where for one in every} | {one.name for one in rounds}, folder)
    if any(one.postgres for one in every):
        missing[PG] = server.start()
    if server.url:
        found, lacking = _databases(size, {one.where for one in every}, server.url)
        kept, missing = {**kept, **found}, {**missing, **lacking}
    if any(one.name == PEER for one in rounds):
        missing[PEER] = peer.install(size)
    if native() is None:
        missing["compiled"] = "no compiled fold: TASKER_NATIVE=0, or it was not built"
    missing = {name: why for name, why in missing.items() if why}
    return Plan(size, _possible(rounds, missing), _possible(once, missing), kept, missing, server.url)


def _one(name: str) -> One:
    measure, _, where = name.partition("@")
    one = One(measure, where)
    if one.postgres and (measure not in ON_POSTGRES or one.log not in {"", "large"}):
        known = ", ".join(sorted(ON_POSTGRES))
        raise SystemExit(
            f"bench: {name} is no measure on PostgreSQL; expected @{PG} or @{PG}-large after one of {known}"
        )
    return one


def _possible(some: list[One], missing: dict[str, str]) -> tuple[One, ...]:
    return tuple(
        one
        for one in some
        if one.where not in missing and one.name not in missing and not (one.postgres and PG in missing)
    )


def _files(size: Size, needed: set[str], folder: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Make, or find, the logs that measures run on; those to which measures append are copies."""
    files: dict[str, Path] = {}
    missing: dict[str, str] = {}
    if "large" in needed:
        kept = logs.done(EVENTS[size.name], make=size is not QUICK)
        if kept is None:
            missing["large"] = _NO_LARGE
        else:
            files["large"] = logs.copy(kept, folder / "large.db")
    if "huge" in needed and (huge := logs.done(_HUGE_EVENTS)) is not None:
        files["huge"] = huge
    if "restart" in needed and (live := logs.live(_LIVE_TASKS[size.name])) is not None:
        files["live"] = live
    return {name: url_of(file) for name, file in files.items()}, missing


def _databases(size: Size, needed: set[str], server: str) -> tuple[dict[str, str], dict[str, str]]:
    """Do the same on PostgreSQL, after what interrupted runs have left is dropped."""
    postgres.drop(server, *postgres.leftovers(server))
    if _PG_LARGE not in needed:
        return {}, {}
    kept = postgres_logs.done(server, EVENTS[size.name], make=size is not QUICK)
    return ({}, {_PG_LARGE: _NO_LARGE}) if kept is None else ({_PG_LARGE: postgres_logs.copy(server, kept)}, {})


def announce(found: Plan) -> None:
    """Say what is left out."""
    for name, why in found.missing.items():
        print(f"without {name}: {why}", file=sys.stderr)


def space(size: Size) -> str:
    """Give why the disk is too full for the logs of a run, or the empty text."""
    CACHE.mkdir(exist_ok=True)
    free = os.statvfs(CACHE)
    needed = {"quick": 2, "full": 10, "large": 20}[size.name]
    found = free.f_bavail * free.f_frsize / 1e9
    return "" if found >= needed else f"{CACHE} needs {needed} GB for the logs of this run, found {found:.1f} GB free"
