"""A shell for tests of the command: a folder with settings, a few definitions, and a way to call `tasker` in it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = """\
url: sqlite:///shop.db
app: cli_shop:register
telemetry: {log_format: console}
"""
SHOP = '''\
"""A shop with a bad card and a signature."""
import time
from pathlib import Path

from tasker import BaseSubscriber, PermanentError, StepHandler, StepTemplate, TaskDefinition, Wait


def look(task, sequence, step):
    return {"item": task.context.get("item", "tea")}


def pay(task, sequence, step):
    if task.context.get("card") == "bad":
        raise PermanentError("card declined", code="DECLINED")
    return {"paid": True}


def sign(task, sequence, step):
    return Wait(3600, "needs a signature")


def nap(task, sequence, step):
    awake = time.monotonic() + task.context["seconds"]
    while time.monotonic() < awake and not Path("wake").exists():
        time.sleep(0.01)


class Seen(BaseSubscriber):
    name = "seen"
    subscribe_to = ("task.completed",)

    def __init__(self, path="seen.txt"):
        self.path = path

    def handle_task_completed(self, event):
        with open(self.path, "a") as file:
            file.write(f"{event.stream_id}\\n")


SHOP = {
    "type": "object",
    "properties": {"item": {"type": "string"}, "card": {"type": "string"}},
}


def register(app):
    app.register(TaskDefinition(name="shop", schema=SHOP, step_templates=[
        StepTemplate(name="look", handler_class=look, dependent_system="shelf"),
        StepTemplate(name="pay", handler_class=pay, depends_on_step="look", skippable=True),
    ]))
    app.register(TaskDefinition(name="nap", step_templates=[StepTemplate(name="nap", handler_class=nap)]))
    app.register(TaskDefinition(name="stuck", step_templates=[
        StepTemplate(name="nap", handler_class=nap, timeout_seconds=0.2, default_retryable=False),
    ]))
    app.register(TaskDefinition(name="contract", step_templates=[
        StepTemplate(name="sign", handler_class=sign),
        StepTemplate(name="file", handler_class=look, depends_on_step="sign"),
    ]))
'''


@dataclass(frozen=True)
class Done:
    """What a call of the command gave."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[dict]:
        """The JSON lines that were printed."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def one(self) -> dict:
        """The one JSON line that was printed."""
        (only,) = self.lines
        return only


class Shell:
    """A folder with `tasker.yaml` in which the command is called, in this process or in one of its own."""

    def __init__(self, folder: Path, capture: Callable[[], tuple[str, str]]) -> None:
        """Write the settings and the definitions."""
        self.folder, self._capture = folder, capture
        (folder / "tasker.yaml").write_text(SETTINGS)
        (folder / "cli_shop.py").write_text(SHOP)

    def __call__(self, *arguments: str) -> Done:
        """Call the command in this process."""
        from tasker.cli import run

        self._capture()
        code = run(list(arguments))
        return Done(code, *self._capture())

    def json(self, *arguments: str) -> Done:
        """Call the command for JSON lines; it must succeed."""
        done = self(*arguments, "--json")
        assert done.code == 0, done.err
        return done

    def submit(self, name: str = "shop", context: str = "{}", *more: str) -> str:
        """Submit a task and give its id."""
        return self.json("submit", name, "--context", context, *more).one["id"]

    @contextmanager
    def process(self, *arguments: str, name: str = "process"):
        """Start the command in a process of its own; its output goes to files, and it is gone afterwards."""
        out, err = self.folder / f"{name}.out", self.folder / f"{name}.err"
        with out.open("wb") as out_file, err.open("wb") as err_file:
            child = subprocess.Popen(
                [sys.executable, "-m", "tasker", *arguments],
                cwd=self.folder,
                env=own_environment(),
                stdin=subprocess.DEVNULL,
                stdout=out_file,
                stderr=err_file,
            )
        try:
            yield Process(child, out, err)
        finally:
            if child.poll() is None:
                child.kill()
            child.wait()


@dataclass(frozen=True)
class Process:
    """A command in a process of its own."""

    child: subprocess.Popen
    out_file: Path
    err_file: Path

    @property
    def out(self) -> str:
        """What it has printed so far."""
        return self.out_file.read_text()

    @property
    def err(self) -> str:
        """What it has complained about so far."""
        return self.err_file.read_text()

    def until(self, reached: Callable[[], bool], *, seconds: float = 60) -> None:
        """Wait for something; it is a failure if the process ends first, or the time does."""
        wait_for(lambda: reached() or self.child.poll() is not None, seconds=seconds)
        assert reached(), f"ended with {self.child.poll()}: {self.out}{self.err}"

    def stop(self, number: int = signal.SIGTERM, *, seconds: float = 60) -> int:
        """Send a signal and give the exit code."""
        self.child.send_signal(number)
        return self.child.wait(seconds)


def own_environment() -> dict[str, str]:
    """The variables without any setting of Tasker, with this checkout on the path; the fold is the one under test."""
    fold = {"TASKER_NATIVE"} & os.environ.keys()
    own = {name: value for name, value in os.environ.items() if name in fold or not name.startswith("TASKER_")}
    return own | {"PYTHONPATH": str(ROOT)}


def wait_for(reached: Callable[[], bool], *, seconds: float = 60) -> None:
    """Wait until something holds, within a bound."""
    deadline = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.02)
