"""Where a measure runs on PostgreSQL: databases of its own on the server of the run, and what a commit costs there."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import psycopg

from bench import floor, handlers
from bench.floor import Commits
from bench.setting import BESIDE, Bench, Size
from tasker import Tasker
from tasker.clock import SystemIds, id_maker
from tasker.codec.rows import NewEvent, StoredEvent
from tasker.log.open import open_store, upgrade_store
from tasker.log.port import Append, Appended, Store

_TABLE = "CREATE TABLE rows (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, a bytea, b bytea, c bytea)"
_ROWS = "INSERT INTO rows (a, b, c) VALUES (%s, %s, %s), (%s, %s, %s)"
_RUN = "run_"
_numbers = itertools.count(1)


def log_url(server: str, name: str) -> str:
    """Name the log in a database of a server."""
    return urlsplit(server)._replace(scheme="postgresql+psycopg", path=f"/{name}").geturl()


def plain(url: str) -> str:
    """Write the URL of a log as the driver takes it."""
    return url.replace("+psycopg", "", 1)


def make(server: str, template: str = "template0") -> str:
    """Make a database that the run drops, empty or a copy; give its name."""
    name = f"{_RUN}{os.getpid()}_{next(_numbers)}"
    with psycopg.connect(server, autocommit=True) as connection:
        # A copy of files is on the disk when it is made, and its writes are in nobody's time.
        copied = template != "template0" and connection.info.server_version >= 150_000
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template} {'STRATEGY file_copy' if copied else ''}")
    return name


def drop(server: str, *names: str) -> None:
    """Drop databases, whoever is connected."""
    with psycopg.connect(server, autocommit=True) as connection:
        for name in names:
            connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


def leftovers(server: str) -> list[str]:
    """Name the databases that interrupted runs have left."""
    with psycopg.connect(server) as connection:
        rows = connection.execute("SELECT datname FROM pg_database WHERE starts_with(datname, %s)", (_RUN,)).fetchall()
    return [str(row[0]) for row in rows]


@contextmanager
def database(server: str) -> Iterator[str]:
    """Hold an empty database; gives its URL."""
    name = make(server)
    try:
        yield plain(log_url(server, name))
    finally:
        drop(server, name)


class PostgresBench(Bench):
    """The same on a PostgreSQL server; what it and its pairs make, it drops.

    Attributes:
        server: The URL of the server's database for maintenance.
    """

    def __init__(
        self, folder: Path, size: Size, *, server: str, large: str | None = None, paired: bool = False
    ) -> None:
        """Take all of it."""
        super().__init__(folder, size, large=large, paired=paired)
        self.server = server
        self._made: list[str] = []
        self._floor: list[str] = []

    def __enter__(self) -> Self:
        """Give itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        """Drop what was made."""
        drop(self.server, *self._made)

    def new(self) -> str:
        """Make a log."""
        self._made.append(make(self.server))
        url = log_url(self.server, self._made[-1])
        upgrade_store(url)
        return url

    def floors(self, times: int = BESIDE) -> dict[str, Commits]:
        """Measure appends of two events to a log, and commits of two rows in one statement without one."""
        url = self._floor_url()
        return {"": appends(url, times), "_bare": commits(url, times)}

    def _floor_url(self) -> str:
        """Give the log of the floor, one for all that this process compares."""
        if not self._floor:
            self._floor.append(self.new())
            with psycopg.connect(plain(self._floor[0])) as connection:
                connection.execute(_TABLE)
            with Tasker(self._floor[0], settings={}) as app:
                app.register(handlers.chain(4))
                app.submit(name="chain")
        return self._floor[0]


def commits(url: str, times: int) -> Commits:
    """Measure what the driver alone takes for a commit: one round trip, one durable transaction of two rows."""
    with psycopg.connect(plain(url), autocommit=True, prepare_threshold=0) as connection:
        return floor.summary([_timed(lambda: _commit(connection)) for _ in range(times)])


def _commit(connection: psycopg.Connection[tuple[object, ...]]) -> None:
    values = (os.urandom(16), os.urandom(64), os.urandom(200))
    connection.execute(_ROWS, (*values, *values), binary=True)


def appends(url: str, times: int) -> Commits:
    """Measure appends of two events to a stream, as the engine's log takes them, without the engine."""
    store = open_store(url)
    try:
        last = store.log.tail(store.log.head() - 1, limit=1)[0]
        write = Pairs(store, last)
        write.append()
        return floor.summary([_timed(write.append) for _ in range(times)])
    finally:
        store.close()


class Pairs:
    """Appends two events to a stream, again and again."""

    def __init__(self, store: Store, last: StoredEvent) -> None:
        """Take the log and the last event of the stream, which new ones resemble."""
        self._store = store
        self._last = last
        self._version = last.version
        self._id = id_maker(SystemIds())

    def append(self) -> None:
        """Append two events."""
        found = self._store.log.append([Append(self._last.stream_id, self._version, [self._event(), self._event()])])
        if not all(isinstance(one, Appended) for one in found):
            raise RuntimeError(f"expected an append that nobody disturbs, found {found[0]}")
        self._version += 2

    def _event(self) -> NewEvent:
        like = self._last
        return NewEvent(
            self._id(), like.code, like.type, like.schema_version, time.time_ns() // 1000, like.step, like.attempt,
            like.due, like.actor, like.event_id, like.metadata, like.data, like.payload,
        )  # fmt: skip


def _timed(work: Callable[[], None]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
