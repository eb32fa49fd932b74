"""The commands in the READMEs of the examples run: on one machine, and over Kafka and PostgreSQL."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tasker import Tasker
from tests.acceptance.over_kafka import PATIENCE, ended, own_topics
from tests.integration.cli_kit import ROOT, Process, own_environment, wait_for
from tests.integration.test_docs import blocks

NAMES = ("dummy_task", "order_process")
STUB, WORKERS = "python stub.py", ("tasker worker", "tasker kafka worker")
EXPORT = re.compile(r"^export (\w+)=(.*)$", re.MULTILINE)


def commands(name: str, worker: str) -> list[str]:
    """Give the lines of the one console block of a README in which this worker is started."""
    page = ROOT / "examples" / name / "README.md"
    found = [
        [line.removeprefix("$ ").partition("  #")[0].strip() for line in block.body.splitlines()]
        for block in blocks(page)
        if block.language == "console"
    ]
    [lines] = [one for one in found if worker in one]
    return lines


class Terminal:
    """A copy of an example's folder in which lines are called; what goes on is gone afterwards."""

    def __init__(self, name: str, folder: Path, variables: dict[str, str]) -> None:
        """Copy the example."""
        self.folder = folder / name
        ignored = shutil.ignore_patterns("__pycache__", "*.db*")
        shutil.copytree(ROOT / "examples" / name, self.folder, ignore=ignored)
        self.environment = own_environment() | variables

    def call(self, lines: list[str], stack: ExitStack) -> Process:
        """Call lines one after the other; give the worker, which runs on."""
        worker = None
        for line in lines:
            if line == STUB:
                stub = stack.enter_context(self._started(line, "PAYMENT_URL"))
                wait_for(lambda stub=stub: len(EXPORT.findall(stub.out)) == 2, seconds=PATIENCE)
                self.environment |= dict(EXPORT.findall(stub.out))
            elif line in WORKERS:
                worker = stack.enter_context(self._started(line, "runs on"))
            elif line.startswith("export "):
                names = re.findall(r"(\w+)=", line)
                assert self.environment.keys() >= set(names), f"the test sets no {names}"
            else:
                self._called(line)
        assert worker is not None
        return worker

    def _called(self, line: str) -> None:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", _own(line)], cwd=self.folder, env=self.environment,
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"

    @contextmanager
    def _started(self, line: str, ready: str) -> Iterator[Process]:
        name = line.replace(" ", "-")
        out, err = self.folder / f"{name}.out", self.folder / f"{name}.err"
        with out.open("wb") as out_file, err.open("wb") as err_file:
            child = subprocess.Popen(
                ["bash", "-c", f"exec {_own(line)}"], cwd=self.folder, env=self.environment,
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
    """With a worker on SQLite each line succeeds, and what was submitted completes."""
    terminal = Terminal(name, tmp_path, {})
    with ExitStack() as stack:
        worker = terminal.call(commands(name, "tasker worker"), stack)
        [database] = terminal.folder.glob("*.db")
        assert _completed(f"sqlite:///{database}") == name
        assert worker.stop(seconds=PATIENCE) == 0


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_its_commands_run_over_kafka(name, tmp_path, bare_url):
    """With a broker and PostgreSQL each line succeeds, and what was published becomes one task, which completes."""
    terminal = Terminal(name, tmp_path, own_topics(bare_url))
    with ExitStack() as stack:
        worker = terminal.call(commands(name, "tasker kafka worker"), stack)
        assert _completed(bare_url) == name
        assert worker.stop(seconds=PATIENCE) == 0


def _completed(url: str) -> str:
    """Wait for the one task of a log to complete, and give its name."""
    with Tasker(url, settings={}) as log:
        wait_for(lambda: list(log.events(types="task.created")), seconds=PATIENCE)
        [made] = log.events(types="task.created")
        task = ended(log, made.stream_id)
        assert task.status == "complete"
        return task.name


def _own(line: str) -> str:
    """Let `tasker` and `python` be these."""
    return re.sub(r"^(tasker|python) ", lambda found: f"{sys.executable} {'-m tasker ' * (found[1] == 'tasker')}", line)
