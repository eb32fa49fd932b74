"""Where a history lives: a SQLite file, or a database on a PostgreSQL server that belongs to the harness alone."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from threading import Thread
from typing import Protocol

import psycopg

from tasker.log.open import upgrade_store
from tests import postgres
from tests.faults.network import Network

SQLITE, POSTGRES = "sqlite", "postgres"
BACKENDS = (SQLITE, POSTGRES)
_TEMPLATE = "empty_log"
_QUIET_SECONDS = 20.0
_FORGETFUL = {"wal_writer_delay": "10s"}
"""A crash of the server loses whatever it need not keep, unless something that it must keep came behind it."""
_OTHERS = "FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()"


class Place(Protocol):
    """A log, and how processes reach it.

    Attributes:
        backend: Which back end it is.
        url: How the harness reaches it, past everything that it puts in the way of others.
    """

    backend: str
    url: str

    def url_for(self, name: str) -> str:
        """Give the URL by which a process reaches the log."""
        ...

    def hold(self, seconds: float) -> None:
        """Keep everybody from writing for a while."""
        ...

    def terminate(self) -> int:
        """End every session; give how many there were."""
        ...

    def settle(self) -> None:
        """Wait until nothing that processes left behind when they died changes the log any more."""
        ...

    def describe(self) -> str:
        """Say who is connected, and what they do."""
        ...

    def close(self) -> None:
        """Give everything back that is no file."""
        ...


class SqlitePlace:
    """A file, which one runner and other processes share."""

    backend = SQLITE

    def __init__(self, folder: Path) -> None:
        """Name the file."""
        self.file = folder / "log.db"
        self.url = f"sqlite:///{self.file}"

    def url_for(self, name: str) -> str:
        """Give the same to everybody."""
        return self.url

    def hold(self, seconds: float) -> None:
        """Hold the lock of the writer."""
        connection = sqlite3.connect(self.file, timeout=2.0, isolation_level=None, check_same_thread=False)
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            connection.close()
            raise

        def release() -> None:
            time.sleep(seconds)
            connection.rollback()
            connection.close()

        Thread(target=release, daemon=True).start()

    def terminate(self) -> int:
        """Do nothing: sessions end with their processes."""
        return 0

    def settle(self) -> None:
        """Do nothing: the transactions of a dead process died with it."""

    def describe(self) -> str:
        """Say nothing: nobody is connected to a file."""
        return ""

    def close(self) -> None:
        """Do nothing."""


class PostgresPlace:
    """A database of its own, which each process reaches through a network of its own."""

    backend = POSTGRES

    def __init__(self, server: postgres.Server, name: str) -> None:
        """Make the database, with an empty log in it."""
        self.server = server
        self.networks: dict[str, Network] = {}
        self._name = name
        with self.admin() as admin:
            admin.execute(f"CREATE DATABASE {name} TEMPLATE {_TEMPLATE}")
        self.url = _url(server, name)

    @contextlib.contextmanager
    def admin(self) -> Iterator[psycopg.Connection]:
        """Hold a connection for maintenance."""
        with psycopg.connect(self.server.url, autocommit=True, connect_timeout=5) as connection:
            yield connection

    def url_for(self, name: str) -> str:
        """Give the URL that leads through the network of this process."""
        if name not in self.networks:
            self.networks[name] = Network(self.url)
        return self.networks[name].url

    def hold(self, seconds: float) -> None:
        """Hold the head of the log."""
        connection = psycopg.connect(self.url.replace("+psycopg", ""), connect_timeout=5)
        try:
            connection.execute("SET LOCAL lock_timeout = '2s'")
            connection.execute("SELECT 1 FROM log_head FOR UPDATE")
        except psycopg.Error:
            connection.close()
            raise

        def release() -> None:
            time.sleep(seconds)
            with contextlib.suppress(psycopg.Error):
                connection.rollback()
            connection.close()

        Thread(target=release, daemon=True).start()

    def terminate(self) -> int:
        """End every session; give how many there were."""
        with self.admin() as admin:
            return len(admin.execute(f"SELECT pg_terminate_backend(pid) {_OTHERS}", (self._name,)).fetchall())

    def crash(self) -> None:
        """Stop the server as if it crashed."""
        self.server.stop("QUIT")

    def restart(self) -> None:
        """Start it again, on its port."""
        self.server.start()

    def settle(self) -> None:
        """End every session, and wait until they are gone."""
        until = time.monotonic() + _QUIET_SECONDS
        while self.terminate():
            if time.monotonic() > until:
                raise TimeoutError(f"sessions do not end:\n{self.describe()}")
            time.sleep(0.005)

    def describe(self) -> str:
        """List the sessions of the server and the connections of the networks."""
        what = "pid, client_port, state, wait_event, now() - state_change, left(query, 80)"
        with self.admin() as admin:
            sessions = [str(row) for row in admin.execute(f"SELECT {what} {_OTHERS}", (self._name,))]
        links = [f"{name}: {line}" for name, network in self.networks.items() for line in network.describe()]
        return "\n".join([*sessions, *links])

    def close(self) -> None:
        """End the networks and drop the database."""
        for network in self.networks.values():
            network.close()
        with self.admin() as admin:
            admin.execute(f"DROP DATABASE IF EXISTS {self._name} WITH (FORCE)")


class Backends:
    """The servers of one run: a PostgreSQL is started when the first history needs it.

    It does not sync to disk: what is killed here are processes and not machines, and their writes survive them.
    """

    def __init__(self) -> None:
        """Start nothing."""
        self._server: postgres.Server | None = None
        self._numbers = count(1)

    def place(self, backend: str, folder: Path) -> Place:
        """Make an empty log."""
        if backend == SQLITE:
            return SqlitePlace(folder)
        return PostgresPlace(self._started(), f"history_{next(self._numbers)}")

    def close(self) -> None:
        """Stop the server, if there is one; safe to repeat."""
        server, self._server = self._server, None
        if server is not None:
            server.close()

    def _started(self) -> postgres.Server:
        if self._server is None:
            self._server = postgres.Server(postgres.binaries(), _FORGETFUL)
            with psycopg.connect(self._server.url, autocommit=True) as admin:
                admin.execute(f"CREATE DATABASE {_TEMPLATE} TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C'")
            upgrade_store(_url(self._server, _TEMPLATE))
        return self._server


def _url(server: postgres.Server, name: str) -> str:
    return server.url.replace("postgresql:", "postgresql+psycopg:", 1).rpartition("/")[0] + f"/{name}"
