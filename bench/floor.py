"""What the disk allows: the cost of making bytes durable in a folder, without and with SQLite."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from bench.sums import middle, percentile

_ROW = "INSERT INTO rows (a, b, c) VALUES (?, ?, ?)"


def syncs(folder: Path, times: int) -> float:
    """Give ordered writes of 4 KiB, each followed by fdatasync, a second."""
    block = os.urandom(4096)
    file = os.open(folder / "syncs", os.O_WRONLY | os.O_CREAT)
    try:
        began = time.perf_counter()
        for place in range(times):
            os.pwrite(file, block, place * 4096)
            os.fdatasync(file)
        return times / (time.perf_counter() - began)
    finally:
        os.close(file)


class Commits(NamedTuple):
    """Seconds of one commit of two rows and of five in order: medians, and the 99th percentile of the five."""

    one: float
    five: float
    five_p99: float


def commits(folder: Path, times: int) -> Commits:
    """Measure commits, with WAL and synchronous=FULL."""
    connection = sqlite3.connect(folder / "floor.db", isolation_level=None)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("CREATE TABLE IF NOT EXISTS rows (id INTEGER PRIMARY KEY, a BLOB, b BLOB, c BLOB)")
        taken = [_commit(connection) for _ in range(times)]
    finally:
        connection.close()
    return summary(taken)


def summary(taken: Sequence[float]) -> Commits:
    """Sum up the seconds of commits that followed each other."""
    fives = [sum(taken[place : place + 5]) for place in range(0, len(taken) - 4, 5)]
    return Commits(middle(taken), middle(fives), percentile(fives, 0.99))


def _commit(connection: sqlite3.Connection) -> float:
    values = (os.urandom(16), os.urandom(64), os.urandom(200))
    began = time.perf_counter()
    connection.execute("BEGIN IMMEDIATE")
    connection.execute(_ROW, values)
    connection.execute(_ROW, values)
    connection.execute("COMMIT")
    return time.perf_counter() - began
