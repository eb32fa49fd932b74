"""The same work on DBOS: `python dbos_chain.py FOLDER wal|default|URL WORKFLOWS CHAINS THREADS...` prints JSON.

A workflow has four steps in a row that do nothing, called directly by as many threads as are given, which was quicker
than `start_workflow`. `wal` makes the SQLite file with a write-ahead log before DBOS opens it, `default` leaves that to
DBOS; the URL of a PostgreSQL database is used instead. What its durability rests on is asked for on a connection of
DBOS itself.
"""

from __future__ import annotations

import json
import sqlite3
import statistics
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path

from dbos import DBOS  # type: ignore[import-not-found]  # installed for this program alone, by bench/peer.py

_SYNCHRONOUS = ("OFF", "NORMAL", "FULL", "EXTRA")
_WARM_UP = 10


def nothing() -> dict[str, int]:
    """Do nothing."""
    return {}


step = DBOS.step()(nothing)


def four(_number: int) -> int:
    """Run four steps in a row."""
    for _ in range(4):
        step()
    return 4


workflow = DBOS.workflow()(four)


def main() -> None:
    """Measure."""
    url = _url(Path(sys.argv[1]) / "dbos.db", sys.argv[2])
    workflows, chains, *threads = map(int, sys.argv[3:])
    own = DBOS(config={"name": "bench", "system_database_url": url, "log_level": "ERROR"})
    DBOS.launch()
    try:
        found: dict[str, float | str] = {"version": version("dbos"), **_settings(own)}
        for number in range(_WARM_UP):
            workflow(number)
        for count in threads:
            found[f"steps{count}"] = _rate(workflows, count)
        found |= _idle(chains)
    finally:
        DBOS.destroy()
    print(json.dumps(found))


def _url(file: Path, where: str) -> str:
    """Give the URL of the database, made as it was asked for."""
    if "://" in where:
        return where
    if where == "wal":
        connection = sqlite3.connect(file)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.close()
    return f"sqlite:///{file}"


def _settings(own: DBOS) -> dict[str, str]:
    """Ask a connection of DBOS for its durability."""
    with own._sys_db.engine.connect() as connection:  # noqa: SLF001 - DBOS shows its engine nowhere else
        if connection.dialect.name == "postgresql":
            names = ("server_version", "fsync", "synchronous_commit")
            return {name: str(connection.exec_driver_sql(f"SHOW {name}").scalar()) for name in names}
        journal = connection.exec_driver_sql("PRAGMA journal_mode").scalar()
        synchronous = connection.exec_driver_sql("PRAGMA synchronous").scalar()
    return {"journal": str(journal), "synchronous": _SYNCHRONOUS[synchronous]}


def _rate(workflows: int, threads: int) -> float:
    """Give steps a second over all threads, from the first call to the last result."""
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(workflow, range(threads)))
        began = time.perf_counter()
        steps = sum(pool.map(workflow, range(workflows)))
        return float(steps / (time.perf_counter() - began))


def _idle(chains: int) -> dict[str, float]:
    """Give the milliseconds of one workflow while nothing else runs."""
    times = []
    for number in range(chains):
        began = time.perf_counter()
        workflow(number)
        times.append((time.perf_counter() - began) * 1e3)
    times.sort()
    return {
        "chain_p50_ms": statistics.median(times),
        "chain_p99_ms": times[min(len(times) - 1, len(times) * 99 // 100)],
    }


if __name__ == "__main__":
    main()
