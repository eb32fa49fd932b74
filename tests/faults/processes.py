"""The processes of a history, which are killed: a worker and a submitter, forked from a server that holds no Tasker.

The server has imported the engine, so that a restart costs a fork and the opening of the log, and a kill within the
first milliseconds hits the take-over and not the start of Python.
"""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
import time
from multiprocessing import get_context
from pathlib import Path
from random import Random

from tasker import Tasker
from tests.faults import plans
from tests.faults.handlers import LEDGER

CONTEXT = get_context("forkserver")
CONTEXT.set_forkserver_preload(["tests.faults.processes", "tasker.log.sqlite", "sqlalchemy.dialects.sqlite"])


class Place:
    """Where a history lives: a folder with its log, its ledger, what was acknowledged, and what processes said."""

    def __init__(self, folder: Path, seed: int, concurrency: int) -> None:
        """Name the files."""
        self.folder = folder
        self.seed = seed
        self.concurrency = concurrency
        self.url = f"sqlite:///{folder / 'log.db'}"
        self.ledger = folder / "ledger"
        self.acknowledged = folder / "acknowledged"
        self.said = folder / "said"

    def tasker(self) -> Tasker:
        """Give an application over the log that knows the definitions."""
        app = Tasker(self.url, settings=plans.SETTINGS, concurrency=self.concurrency)
        for plan in plans.definitions(self.seed):
            app.register(plan)
        return app

    def worker(self):
        """Start a worker."""
        return _start(_work, self)

    def submitter(self):
        """Start a submitter."""
        return _start(_submit, self)

    def acknowledgements(self) -> list[tuple[str, str]]:
        """Read key and task id of every acknowledged request; a line that a kill cut off was not acknowledged."""
        if not self.acknowledged.exists():
            return []
        text = self.acknowledged.read_text()
        return [(key, task) for key, task in (line.split() for line in text.split("\n")[:-1])]


def _start(target, place):
    process = CONTEXT.Process(target=target, args=(place,), daemon=True)
    process.start()
    return process


def _speak_into(path: Path) -> None:
    said = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.dup2(said, sys.stdout.fileno())
    os.dup2(said, sys.stderr.fileno())


def _work(place: Place) -> None:
    """Run tasks until a signal; SIGUSR1 asks for the stacks of all threads."""
    _speak_into(place.said)
    faulthandler.register(signal.SIGUSR1)
    os.environ[LEDGER] = str(place.ledger)
    with place.tasker() as app:
        sys.exit(app.serve())


def _submit(place: Place) -> None:
    """Submit every request, alone or in groups; note each acknowledgement outside the log, durably."""
    _speak_into(place.said)
    rng = Random(os.getpid())
    left = [plans.delayed(one, rng) for one in plans.requests(place.seed, plans.definitions(place.seed))]
    noted = os.open(place.acknowledged, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    with place.tasker() as app:
        while left:
            size = rng.choice((1, 1, 4))
            group, left = left[:size], left[size:]
            tasks = [app.submit(group[0])] if size == 1 else app.submit_many(group)
            lines = [f"{request['idempotency_key']} {task.id}\n" for request, task in zip(group, tasks, strict=True)]
            os.write(noted, "".join(lines).encode())
            os.fsync(noted)
            time.sleep(rng.random() / 50)
