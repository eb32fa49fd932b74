"""docs/OPERATIONS.md runs: its SQL on a PostgreSQL log, its shell blocks in a shell, its Python in an empty folder."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from tasker.log.open import open_store, upgrade_store
from tasker.log.workers import Arrival, Vitals
from tests import postgres
from tests.integration import test_docs
from tests.integration.cli_kit import Shell, own_environment, wait_for
from tests.integration.test_docs import ROOT, Block, blocks, syntax_fault

PAGE = ROOT / "docs/OPERATIONS.md"
MOST_SECONDS = 120


@pytest.fixture(scope="module")
def server():
    """Give a server of our own: its tools have its version, and it lets in who copies it."""
    made = postgres.Server(postgres.binaries())
    yield made
    made.close()


@pytest.fixture
def database(server, tmp_path):
    """Give the URL of a log on it on which a task has run, with a subscriber and read models; and that task's id."""
    name = f"shop_{os.getpid()}"
    with psycopg.connect(server.url, autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C'")
    url = server.url.rpartition("/")[0] + f"/{name}"
    upgrade_store(url)
    shell = Shell(tmp_path, lambda: ("", ""))
    path = shell.folder / "tasker.yaml"
    lines = "leases: {heartbeat: 0.2, timeout: 1.5}\nsubscribers:\n- {class: 'cli_shop:Seen'}\n"
    path.write_text(path.read_text().replace("sqlite:///shop.db", url.replace("://", "+psycopg://")) + lines)
    with shell.process("worker", name="first") as worker:
        worker.until(lambda: "runs on" in worker.out)
        with shell.process("submit", "shop", "--wait", "--timeout", "30", "--json", name="submit") as submitted:
            assert submitted.child.wait(40) == 0, submitted.err
        with shell.process("tasks", name="tasks") as listed:
            assert listed.child.wait(40) == 0, listed.err
        assert worker.stop() == 0
    task_id = re.search(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", submitted.out)[0]
    yield shell, url, task_id
    with psycopg.connect(server.url, autocommit=True) as admin:
        for one in (name, "restored"):
            admin.execute(f"DROP DATABASE IF EXISTS {one} WITH (FORCE)")


def test_its_sql_runs(database):
    """Every SQL block runs as it stands on a log with a subscription and read models."""
    _, url, _ = database
    found = [block for block in blocks(PAGE) if block.language == "sql"]
    assert len(found) > 5
    with psycopg.connect(url, autocommit=True) as connection:
        for block in found:
            try:
                connection.execute(block.body)
            except psycopg.Error as error:
                pytest.fail(f"{PAGE.name}:{block.line}: {error}")


@pytest.mark.slow
def test_its_shell_blocks_run(server, database):
    """Every shell block runs as it stands, in the order of the page; the worker that it drains ends with 0."""
    shell, url, task_id = database
    found = [block for block in blocks(PAGE) if block.language == "sh"]
    assert len(found) > 5
    with shell.process("worker") as worker:
        worker.until(lambda: "runs on" in worker.out)
        [name] = _ask(url, f"SELECT worker_id FROM workers WHERE pid = {worker.child.pid} AND state = 'alive'")
        variables = {
            "TASKER_URL": url.replace("://", "+psycopg://"), "DATABASE": url, "SERVER": server.url,
            "TASK": task_id, "WORKER": name, "PYTHONPATH": f"{shell.folder}{os.pathsep}{ROOT}",
        }  # fmt: skip
        environment = own_environment() | {"PATH": _path(shell.folder)} | variables
        for block in found:
            _run(block, shell.folder, environment)
        assert worker.child.wait(30) == 0
    assert (shell.folder / "base/backup_manifest").exists()


def test_its_python_runs(tmp_path):
    """The Python of the page runs, as that of other pages does; YAML and Python are well-formed."""
    test_docs.test_the_python_of_a_page_runs(PAGE, tmp_path)
    assert not [f"{PAGE.name}:{b.line}: {fault}" for b in blocks(PAGE) if (fault := syntax_fault(b))]


def test_its_alarms_ring(database):
    """The queries find what they are for: a worker that went silent, late work, and a step that nobody can run."""
    shell, url, _ = database
    with shell.process("submit", "nap", name="late") as late:
        assert late.child.wait(40) == 0, late.err
    store = open_store(url)
    try:
        for name, seconds in (("gone", 0.01), ("here", 60.0)):
            arrival = Arrival(name, "host", 1, "1.0", 4, Vitals(("cli_shop:look",), ("TOKEN",)))
            store.workers.register(arrival, lease_seconds=seconds)
        wait_for(lambda: store.workers.all()[-2].lease_left < 0)
    finally:
        store.close()
    assert _rows(url, "Too few workers live", 0) == [(1, 4)]
    assert [row[0] for row in _rows(url, "Too few workers live", 1)] == ["gone"]
    assert [row[0] for row in _rows(url, "Heartbeats get late", 0)] == ["gone", "here"]
    assert _rows(url, "Work is not started", 0) == [(1,)]
    assert len(_rows(url, "Work is not started", 1)) == 1
    assert _rows(url, "Steps that no living worker can run", 0) == [("cli_shop:nap", 1)]
    assert len(_rows(url, "Steps that no living worker can run", 1)) == 2
    assert [row[:2] for row in _rows(url, "Readers fall behind", 0)] == [("seen", "active")]
    assert len(_rows(url, "Readers fall behind", 1)) == 1
    assert _rows(url, "Tasks that a person has to look at", 0) == [("task.completed", 1)]


def _rows(url: str, title: str, place: int) -> list[tuple[object, ...]]:
    """Give what a query finds: the one at a place in the first SQL block behind a title in bold."""
    line = PAGE.read_text("utf-8").partition(f"**{title}")[0].count("\n")
    body = next(block.body for block in blocks(PAGE) if block.language == "sql" and block.line > line)
    with psycopg.connect(url, autocommit=True) as connection:
        return connection.execute(body.split(";\n")[place]).fetchall()


def _ask(url: str, query: str) -> list[object]:
    with psycopg.connect(url, autocommit=True) as connection:
        return [row[0] for row in connection.execute(query)]


def _path(folder: Path) -> str:
    """Put this Tasker and the server's own tools in front of the PATH."""
    tools = folder / "bin"
    tools.mkdir()
    (tools / "tasker").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m tasker "$@"\n')
    (tools / "tasker").chmod(0o755)
    return os.pathsep.join((str(tools), str(postgres.binaries() / "bin"), os.environ["PATH"]))


def _run(block: Block, folder: Path, environment: dict[str, str]) -> None:
    bash = shutil.which("bash")
    assert bash is not None
    done = subprocess.run(
        [bash, "-euo", "pipefail", "-c", block.body], cwd=folder, env=environment, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=MOST_SECONDS, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{PAGE.name}:{block.line}:\n{done.stdout}{done.stderr}"
