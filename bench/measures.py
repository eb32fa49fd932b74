"""What is measured, each in a process of its own: `python -m bench.measures NAME SIZE` prints one JSON object.

Rates are per second; times are milliseconds (`_ms`), microseconds (`_us`) or seconds (`_s`).
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable
from pathlib import Path

from bench import audit, engine, floor, history, http, kafka, logs, standing, subscriptions, telemetry, workers
from bench.pairs import PAIRED, pair
from bench.postgres import PostgresBench
from bench.setting import CACHE, SIZES, Bench, Figures

Measure = Callable[[Bench], Figures]


def disk(bench: Bench) -> Figures:
    """Measure the disk, and what commits cost on it."""
    found = {"fdatasync": floor.syncs(bench.folder, bench.pick(300, 1000))}
    for kind, one in bench.floors(bench.pick(400, 1000)).items():
        named = {"commit": one.one, "five": one.five, "five_p99": one.five_p99}
        found |= {f"{name}{kind}_ms": seconds * 1e3 for name, seconds in named.items()}
    return found


MEASURES: dict[str, Measure] = {
    one.__name__: one
    for one in (
        *(disk, engine.linear, engine.blocking, engine.idle_caller, engine.idle_started, engine.submit),
        *(engine.long_chain, engine.fan_out, history.history, history.folds, history.verify, history.rebuild),
        *(history.cold, standing.restart, standing.memory, standing.command, workers.workers, workers.idle_cost),
        *(subscriptions.deliveries, subscriptions.delivery_latency, subscriptions.subscribed),
        *(http.http_tasks, http.http_list, http.http_streams, telemetry.telemetry),
        *(kafka.kafka_speed, kafka.kafka_paced),
        *(audit.audit_verify, audit.audit_export, audit.audit_reads, audit.audit_proof),
    )
}


def main() -> None:
    """Measure one thing."""
    parser = argparse.ArgumentParser(prog="python -m bench.measures", description=__doc__)
    parser.add_argument("name", choices=sorted(MEASURES))
    parser.add_argument("size", choices=SIZES)
    parser.add_argument("--large", metavar="URL", help="measure on this log, and append to it")
    parser.add_argument("--live", type=Path, help="a log of live tasks; a copy of it is used")
    parser.add_argument("--postgres", metavar="URL", help="measure in databases of this server, not in files")
    asked = parser.parse_args()
    CACHE.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="run-", dir=CACHE) as folder:
        print(json.dumps(_measured(asked, Path(folder))))


def _measured(asked: argparse.Namespace, folder: Path) -> Figures:
    size = SIZES[asked.size]
    if asked.postgres:
        with PostgresBench(folder, size, server=asked.postgres, large=asked.large) as bench:
            return _taken(asked.name, bench)
    live = asked.live and logs.copy(asked.live, folder / "live.db")
    return _taken(asked.name, Bench(folder, size, large=asked.large, live=live))


def _taken(name: str, bench: Bench) -> Figures:
    paired = PAIRED.get(name) if bench.large else None
    return MEASURES[name](bench) if paired is None else pair(bench, paired)


if __name__ == "__main__":
    main()
