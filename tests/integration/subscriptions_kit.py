"""Workers as real processes with a durable subscriber that notes what it is told, and the checks of their notes."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tasker import StepTemplate, TaskDefinition, Tasker
from tests.integration.cli_kit import Process, own_environment, wait_for

MOST_AT_ONCE = 500
"""How many events a batch has at most: what may arrive twice after a crash."""
SETTINGS = """\
url: {url}
app: noted:register
leases: {{heartbeat: {heartbeat}, timeout: {lease}}}
telemetry: {{log_format: console}}
subscribers:
- {{class: 'noted:Notes', name: notes, events: ['task.*', 'step.*'], config: {{{config}}}}}
"""
NOTED = '''\
"""A task of three steps, and a subscriber that notes what it is told, and is killed, slow or late where it is asked."""
import os
import signal
import time
from pathlib import Path

from tasker import BaseSubscriber, StepTemplate, TaskDefinition


class Notes(BaseSubscriber):
    def __init__(self, kill_at=0, pause=0.0, long_at=0, long=0.0):
        self.file = os.open("notes.txt", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        self.kill_at, self.pause, self.long_at, self.long = kill_at, pause, long_at, long

    def handle(self, event):
        os.write(self.file, f"{os.getpid()} {event.position} {event.stream_id}\\n".encode())
        time.sleep(self.long if event.position == self.long_at else self.pause)
        if event.position == self.kill_at and not Path("killed").exists():
            Path("killed").touch()
            os.kill(os.getpid(), signal.SIGKILL)

    def close(self):
        Path(f"closed-{os.getpid()}").touch()


def work(task, sequence, step):
    return {}


work.name = "noted.work"


def register(app):
    app.register(TaskDefinition(name="noted", step_templates=[
        StepTemplate(name=name, handler_class=work) for name in ("one", "two", "three")
    ]))
'''


def work(task, sequence, step):
    """Stand for the handler of the workers; it never runs here."""


work.name = "noted.work"


class Note(NamedTuple):
    """One line of the notes: which process was told of which event, and of which task that is."""

    pid: int
    position: int
    task: str


class Stage:
    """A folder with settings, and a log that its workers and this process share."""

    def __init__(self, folder: Path, url: str, *, lease: float = 30.0, config: str = "") -> None:
        """Write the settings and the subscriber.

        Args:
            folder: Where workers run.
            url: The log.
            lease: Seconds.
            config: What the subscriber is made with, as in `{…}` of YAML.
        """
        self.folder = folder
        self.lease = lease
        settings = SETTINGS.format(url=url, lease=lease, heartbeat=lease / 4, config=config)
        (folder / "tasker.yaml").write_text(settings)
        (folder / "noted.py").write_text(NOTED)
        self.app = Tasker(url, settings={})
        steps = [StepTemplate(name=name, handler_class=work) for name in ("one", "two", "three")]
        self.app.register(TaskDefinition(name="noted", step_templates=steps))
        self.submitted = 0
        self.checkpoints: list[int] = []
        self._watching = threading.Event()

    @contextmanager
    def worker(self, name: str) -> Iterator[Process]:
        """Start a worker and wait until it runs; it is gone afterwards, however it is left."""
        out, err = self.folder / f"{name}.out", self.folder / f"{name}.err"
        with out.open("wb") as out_file, err.open("wb") as err_file:
            child = subprocess.Popen(
                [sys.executable, "-m", "tasker", "worker"],
                cwd=self.folder, env=own_environment(), stdin=subprocess.DEVNULL, stdout=out_file, stderr=err_file,
            )  # fmt: skip
        found = Process(child, out, err)
        try:
            found.until(lambda: "runs on" in found.out)
            yield found
        finally:
            if child.poll() is None:
                child.send_signal(signal.SIGCONT)
                child.kill()
            child.wait()

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Note the checkpoint again and again meanwhile, and then check that it never went back."""
        self._watching.clear()
        thread = threading.Thread(target=self._watch)
        thread.start()
        try:
            yield
        finally:
            self._watching.set()
            thread.join(10)
        assert self.checkpoints == sorted(self.checkpoints)

    def submit(self, tasks: int) -> None:
        """Submit tasks for the workers to run."""
        self.app.submit_many({"name": "noted"} for _ in range(tasks))
        self.submitted += tasks

    def owner(self) -> int:
        """Give the process that owns the subscription; 0 if none does."""
        found = [one.owner for one in self.app.subscriptions.list() if one.owner]
        return int(found[0].rsplit("-", 2)[1]) if found else 0

    def notes(self) -> list[Note]:
        """Give what was noted so far."""
        path = self.folder / "notes.txt"
        lines = path.read_text().splitlines() if path.exists() else []
        return [Note(int(pid), int(position), task) for pid, position, task in map(str.split, lines)]

    def until(self, reached: Callable[[], bool], *, seconds: float = 60) -> None:
        """Wait for something."""
        wait_for(reached, seconds=seconds)

    def until_told(self, *, seconds: float = 60) -> None:
        """Wait until all tasks have ended, and the subscriber was told of everything."""
        self.until(self._is_told, seconds=seconds)

    def check(self) -> list[Note]:
        """Check that every event arrived, each task's in order; give the notes of what arrived again."""
        wanted = {event.position for event in self.app.events(types=["task.*", "step.*"])}
        notes, last, seen, again = self.notes(), {}, set(), []
        for note in notes:
            if note.position in seen:
                again.append(note)
                continue
            assert note.position > last.get(note.task, 0), f"{note} came behind {last[note.task]} of its task"
            last[note.task] = note.position
            seen.add(note.position)
        assert seen == wanted
        return again

    def close(self) -> None:
        """Close the log of this process."""
        self.app.close()

    def _is_told(self) -> bool:
        ended = sum(1 for _ in self.app.events(types="task.completed"))
        return ended == self.submitted and all(one.lag == 0 for one in self.app.subscriptions.list())

    def _watch(self) -> None:
        while not self._watching.wait(0.02):
            self.checkpoints += [one.checkpoint for one in self.app.subscriptions.list()]
