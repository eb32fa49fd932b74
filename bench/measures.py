"""What is measured, each in a process of its own: `python -m bench.measures NAME SIZE` prints one JSON object.

Rates are per second; times are milliseconds (`_ms`), microseconds (`_us`) or seconds (`_s`).
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable
from pathlib import Path

from bench import engine, floor, history, logs, standing
from bench.pairs import PAIRED, pair
from bench.setting import CACHE, SIZES, Bench, Figures

Measure = Callable[[Bench], Figures]


def disk(bench: Bench) -> Figures:
    """Measure the disk."""
    found = floor.commits(bench.folder, bench.pick(400, 1000))
    syncs = floor.syncs(bench.folder, bench.pick(300, 1000))
    commits = {"commit_ms": found.one * 1e3, "five_ms": found.five * 1e3, "five_p99_ms": found.five_p99 * 1e3}
    return {"fdatasync": syncs, **commits}


MEASURES: dict[str, Measure] = {
    one.__name__: one
    for one in (
        *(disk, engine.linear, engine.blocking, engine.idle_caller, engine.idle_started, engine.submit),
        *(engine.long_chain, engine.fan_out, history.history, history.folds, history.verify, history.rebuild),
        *(history.cold, standing.restart, standing.memory, standing.command),
    )
}


def main() -> None:
    """Measure one thing."""
    parser = argparse.ArgumentParser(prog="python -m bench.measures", description=__doc__)
    parser.add_argument("name", choices=sorted(MEASURES))
    parser.add_argument("size", choices=SIZES)
    parser.add_argument("--large", type=Path, help="measure on this log, and append to it")
    parser.add_argument("--live", type=Path, help="a log of live tasks; a copy of it is used")
    asked = parser.parse_args()
    CACHE.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="run-", dir=CACHE) as folder:
        live = asked.live and logs.copy(asked.live, Path(folder) / "live.db")
        bench = Bench(Path(folder), SIZES[asked.size], large=asked.large, live=live)
        paired = PAIRED.get(asked.name) if asked.large else None
        print(json.dumps(MEASURES[asked.name](bench) if paired is None else pair(bench, paired)))


if __name__ == "__main__":
    main()
