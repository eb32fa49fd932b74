"""The commands in the READMEs of the examples run: on one machine, and over Kafka and PostgreSQL."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tasker import Tasker
from tests import samples
from tests.acceptance.over_kafka import PATIENCE, ended, own_topics
from tests.integration.cli_kit import ROOT, Process, own_environment, wait_for
from tests.integration.test_docs import blocks

NAMES = (
    *("cart_checkout", "data_transform", "dummy_task", "notifications"),
    *("order_change", "order_process", "order_shipped"),
)
OVER_KAFKA = ("dummy_task", "order_process")
"""Whose READMEs show the commands for Kafka; the others name the last of these."""
STUBS = ("python stub.py", "python stubs.py")
WORKERS = {"tasker worker": "runs on", "tasker kafka worker": "runs on", "tasker serve": "answers on"}
"""What goes on, and what it says when it is ready."""
ASKED = re.compile(r"^tasker (?:submit|kafka publish) (\w+)")
EXPORT = re.compile(r"^export (\w+)='?(.*?)'?$", re.MULTILINE)
PYTHONPATH = os.pathsep.join((str(ROOT), str(ROOT / "subscribers")))


def commands(name: str, worker: str) -> dict[str, int]:
    """Give the lines of the one console block of a README in which this worker is started, with their exit codes."""
    page = ROOT / "examples" / name / "README.md"
    consoles = [block.body for block in blocks(page) if block.language == "console"]
    found = [dict(_command(line) for line in body.splitlines()) for body in consoles]
    [lines] = [one for one in found if worker in one]
    return lines


def asked(lines: dict[str, int]) -> list[tuple[str, str]]:
    """Give the names of the tasks that lines ask for, and how they end: who waits for one that fails exits with 1."""
    return [(found[1], "error" if code else "complete") for line, code in lines.items() if (found := ASKED.match(line))]


def _command(line: str) -> tuple[str, int]:
    line, _, comment = line.removeprefix("$ ").partition("  #")
    return line.strip(), int("exits with 1" in comment)


class Terminal:
    """A copy of an example's folder in which lines are called; what goes on is gone afterwards."""

    def __init__(self, name: str, folder: Path, variables: dict[str, str]) -> None:
        """Copy the example."""
        self.folder = folder / name
        ignored = shutil.ignore_patterns("__pycache__", "*.db*")
        shutil.copytree(ROOT / "examples" / name, self.folder, ignore=ignored)
        tools = folder / "bin"
        tools.mkdir()
        for tool, arguments in (("tasker", "-m tasker"), ("python", "")):
            (tools / tool).write_text(f'#!/bin/sh\nexec "{sys.executable}" {arguments} "$@"\n')
            (tools / tool).chmod(0o755)
        path = os.pathsep.join((str(tools), os.environ["PATH"]))
        self.environment = own_environment() | {"PATH": path, "PYTHONPATH": PYTHONPATH} | variables
        if name == "dummy_task":
            self.environment["NATIVE_HANDLERS"] = str(samples.needed())

    @property
    def log(self) -> str:
        """The address of the one log in the folder."""
        [database] = self.folder.glob("*.db")
        return f"sqlite:///{database}"

    def call(self, lines: dict[str, int], stack: ExitStack) -> Process:
        """Call lines one after the other; give the worker, which runs on."""
        worker = None
        for line, code in lines.items():
            if line in STUBS:
                stub = stack.enter_context(self._started(line, "Ctrl-C"))
                self.environment |= dict(EXPORT.findall(stub.out))
            elif line in WORKERS:
                worker = stack.enter_context(self._started(line, WORKERS[line]))
            elif line.startswith("export "):
                names = re.findall(r"(\w+)=", line)
                assert self.environment.keys() >= set(names), f"the test sets no {names}"
            else:
                self.run(line, code)
        assert worker is not None
        return worker

    def run(self, lines: str, code: int = 0) -> str:
        """Run lines in one shell; they must end with this code. Gives what they print."""
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", lines], cwd=self.folder, env=self.environment,
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=2 * PATIENCE, check=False,
        )  # fmt: skip
        assert done.returncode == code, f"{lines}\n{done.stdout}{done.stderr}"
        return done.stdout

    @contextmanager
    def _started(self, line: str, ready: str) -> Iterator[Process]:
        name = line.replace(" ", "-")
        out, err = self.folder / f"{name}.out", self.folder / f"{name}.err"
        with out.open("wb") as out_file, err.open("wb") as err_file:
            child = subprocess.Popen(
                ["bash", "-c", f"exec {line}"], cwd=self.folder, env=self.environment,
                stdin=subprocess.DEVNULL, stdout=out_file, stderr=err_file,
            )  # fmt: skip
        process = Process(child, out, err)
        try:
            process.until(lambda: ready in process.out, seconds=PATIENCE)
            yield process
        finally:
            child.kill()
            child.wait()


@pytest.mark.parametrize("name", NAMES)
def test_its_commands_run_on_one_machine(name, tmp_path):
    """With a worker on SQLite each line ends as the page says, and so does what was submitted."""
    terminal, lines = Terminal(name, tmp_path, {}), commands(name, "tasker worker")
    with ExitStack() as stack:
        worker = terminal.call(lines, stack)
        assert _ended(terminal.log, len(asked(lines))) == asked(lines)
        assert worker.stop(seconds=PATIENCE) == 0


def test_somebody_approves_over_http(tmp_path):
    """The commands of `approval` run beside `tasker serve`: an expense waits, is approved with curl, and is paid."""
    missing = [tool for tool in ("curl", "jq") if shutil.which(tool) is None]
    if missing and not os.environ.get("CI"):
        pytest.skip(f"no {' and no '.join(missing)}: apt install {' '.join(missing)}")
    terminal = Terminal("approval", tmp_path, {"TASKER_HTTP__PORT": "0"})
    [shell] = [block.body for block in blocks(ROOT / "examples/approval/README.md") if block.language == "sh"]
    with ExitStack() as stack:
        server = terminal.call(commands("approval", "tasker serve"), stack)
        [address] = set(re.findall(r"http://127\.0\.0\.1:\d+", server.out))
        assert "the manager decides about 1200 EUR" in terminal.run(shell.replace("http://127.0.0.1:8000", address))
        assert _ended(terminal.log, 2) == [("approval", "complete")] * 2
        assert server.stop(seconds=PATIENCE) == 0


@pytest.mark.slow
@pytest.mark.parametrize("name", OVER_KAFKA)
def test_its_commands_run_over_kafka(name, tmp_path, bare_url):
    """With a broker and PostgreSQL each line succeeds, and what was published becomes one task, which completes."""
    terminal, lines = Terminal(name, tmp_path, own_topics(bare_url)), commands(name, "tasker kafka worker")
    with ExitStack() as stack:
        worker = terminal.call(lines, stack)
        assert _ended(bare_url, len(asked(lines))) == asked(lines)
        assert worker.stop(seconds=PATIENCE) == 0


def _ended(url: str, number: int) -> list[tuple[str, str]]:
    """Wait for so many tasks of a log to end; give their names, and how they did."""
    with Tasker(url, settings={}) as log:
        wait_for(lambda: len(list(log.events(types="task.created"))) >= number, seconds=PATIENCE)
        tasks = [ended(log, made.stream_id) for made in log.events(types="task.created")]
        return [(task.name, str(task.status)) for task in tasks]
