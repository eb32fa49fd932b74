"""What `tasker init` and `tasker new` write: linted, tested, and run by real processes, from an empty folder."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tasker.cli.new.names import LONGEST
from tests.integration.cli_kit import Process, own_environment, wait_for

pytestmark = pytest.mark.slow  # each test starts ten processes and more

LONG = "o" + "x_" * (LONGEST // 2 - 1) + "x"
LONGEST_EVENT = f"order.{'x' * 122}"
EVENTS = "task.completed,task.failed,step.retry_scheduled,control.paused,order.paid"


class Folder:
    """A folder in which commands are called as people do, each in a process of its own."""

    def __init__(self, path: Path) -> None:
        """Take the folder."""
        self.path = path

    def call(self, *command: str, code: int = 0) -> str:
        """Run a module of Python, and give what it printed; it must end with this code."""
        done = subprocess.run(
            [sys.executable, "-m", *command],
            cwd=self.path,
            env=own_environment(),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout

    def tasker(self, *arguments: str, code: int = 0) -> str:
        """Call the command."""
        return self.call("tasker", *arguments, code=code)

    def check(self, *, tests: int) -> None:
        """Lint, check the format, and run the tests, of which there are so many and none is skipped."""
        self.call("ruff", "check", "--no-cache", ".")
        self.call("ruff", "format", "--no-cache", "--check", ".")
        out = self.call("pytest", "-q", "-p", "no:cacheprovider")
        assert out.splitlines()[-1].startswith(f"{tests} passed in"), out

    def worker(self) -> Process:
        """Start a worker."""
        out, err = self.path / "worker.out", self.path / "worker.err"
        with out.open("wb") as out_file, err.open("wb") as err_file:
            child = subprocess.Popen(
                [sys.executable, "-m", "tasker", "worker"],
                cwd=self.path,
                env=own_environment(),
                stdin=subprocess.DEVNULL,
                stdout=out_file,
                stderr=err_file,
            )
        return Process(child, out, err)


@pytest.fixture
def folder(tmp_path):
    """Give an empty folder."""
    return Folder(tmp_path)


def test_a_project_runs(folder):
    """A new project is clean, its tests pass, its worker runs its task, and its subscriber is told."""
    folder.tasker("new", "project", "my-shop")
    project = Folder(folder.path / "my-shop")
    project.check(tests=7)
    worker = project.worker()
    try:
        worker.until(lambda: "runs on" in worker.out)
        submitted = ("submit", "order_process", "--context", '{"id": 7}')
        task = json.loads(project.tasker(*submitted, "--wait", "--timeout", "60", "--json"))
        assert (task["status"], [step["results"] for step in task["steps"]]) == ("complete", [{"id": 7}] * 3)
        wait_for(lambda: f"task.completed of task {task['id']}" in worker.err)
        assert worker.stop(signal.SIGTERM) == 0
    finally:
        worker.child.kill()
        worker.child.wait()
    assert "Traceback" not in worker.err
    assert json.loads(project.tasker("subscriptions", "list", "--json"))["name"] == "team"
    project.tasker("audit", "verify")


def test_a_prepared_folder_runs(folder):
    """In an empty folder `init` and `new` lead to tests that pass and a task that runs, without a worker too."""
    folder.tasker("init")
    named = ("--namespace", "shop", "--version", "1.2.0")
    folder.tasker("new", "task", "OrderProcess", *named, "--steps", "fetch,charge,no")
    folder.tasker("new", "subscriber", "pager_duty", "--events", EVENTS)
    folder.check(tests=4 + 6)
    submitted = ("submit", "order_process", "--namespace", "shop", "--context")
    assert json.loads(folder.tasker(*submitted, '{"id": 7}', "--wait", "--json"))["status"] == "complete"
    folder.tasker(*submitted, "{}", code=1)


def test_a_task_alone_runs(folder):
    """Without settings and without anything else in the folder the tests of a task pass, from inside `tests` too."""
    folder.tasker("new", "task", "refund", "--steps", "only")
    folder.check(tests=4)
    Folder(folder.path / "tests").check(tests=4)


@pytest.mark.parametrize(
    "events", ["task.*", "task.paused", "order.*", f"{LONGEST_EVENT},a.b_c,a.b.c", "*,task.failed"]
)
def test_a_subscriber_of_any_events_runs(folder, events):
    """Globs, rare events, the longest names, and those that share a method: clean code that runs, a test for each."""
    folder.tasker("new", "subscriber", "x", "--events", events)
    folder.check(tests=1 + len(events.split(",")))


def test_the_longest_names_are_formatted(folder):
    """Also with the longest names, and with one step or with twenty, no formatter has anything to change."""
    folder.tasker("init")
    long_steps = ",".join(f"{LONG[:-2]}{number:02}" for number in range(20))
    folder.tasker("new", "task", LONG, "--steps", long_steps, "--description", "It's ${long}: é" + " x" * 60)
    folder.tasker("new", "subscriber", LONG, "--events", EVENTS)
    folder.check(tests=4 + 6)
    folder.tasker("doctor")


def test_a_project_that_is_there_goes_on_working(folder):
    """What a project has stays as it is: modules that tests import beside themselves, its settings and its fixtures."""
    tests = folder.path / "tests"
    tests.mkdir()
    (tests / "helper.py").write_text('VALUE = 7\n"""Helps."""\n')
    (tests / "conftest.py").write_text('"""Fixtures of the project."""\n')
    (tests / "test_mine.py").write_text(
        '"""Mine."""\n\nimport helper\n\n\ndef test_it():\n    """It helps."""\n    assert helper.VALUE == 7\n'
    )
    folder.tasker("init")
    folder.tasker("new", "task", "refund")
    folder.check(tests=5)
