"""What the faults of a history touch: its workers, the broker, the server of its log."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from random import Random

from tasker import Tasker
from tasker.settings.sections import Kafka
from tests import broker, postgres
from tests.faults.kafka.shop import EFFECTS
from tests.integration.cli_kit import Process, own_environment

MOST_WORKERS = 4
_STOP_SECONDS = 60.0
_SAID = 1500  # characters of what a worker said


class Workers:
    """The processes of `tasker kafka worker`."""

    def __init__(self, folder: Path) -> None:
        """Start none."""
        self._folder = folder
        self._made = 0
        self.living: list[Process] = []
        self.stopped_badly: list[str] = []

    def start(self) -> Process:
        """Start one more."""
        self._made += 1
        out, err = (self._folder / f"worker-{self._made}.{kind}" for kind in ("out", "err"))
        with out.open("wb") as out_file, err.open("wb") as err_file:
            child = subprocess.Popen(
                [sys.executable, "-m", "tasker", "kafka", "worker"], cwd=self._folder, stdin=subprocess.DEVNULL,
                stdout=out_file, stderr=err_file,
                env=own_environment() | {EFFECTS: str(self._folder / "effects"), "PYTHONFAULTHANDLER": "1"},
            )  # fmt: skip
        self.living.append(Process(child, out, err))
        return self.living[-1]

    def kill(self, worker: Process) -> None:
        """Kill one."""
        self.living.remove(worker)
        worker.child.kill()
        worker.child.wait()

    def stop(self, worker: Process) -> None:
        """Stop one; it must end in order, unless it is so new that it does not listen yet."""
        new = "runs on" not in worker.out
        worker.child.send_signal(signal.SIGTERM)
        self._await(worker, new=new)

    def stop_all(self) -> None:
        """Stop all at once."""
        told = [(worker, "runs on" not in worker.out) for worker in self.living]
        for worker, _ in told:
            worker.child.send_signal(signal.SIGTERM)
        for worker, new in told:
            self._await(worker, new=new)

    def _await(self, worker: Process, *, new: bool) -> None:
        self.living.remove(worker)
        try:
            code: object = worker.child.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            code = f"nothing within {_STOP_SECONDS:g} s"
            worker.child.kill()
            worker.child.wait()
        if code != 0 and not (new and code == -signal.SIGTERM) and not (code == 1 and self._may_end(worker)):
            self.stopped_badly.append(f"expected a worker to end with 0, found {code}: {worker.err[-_SAID:]}")

    def ended(self) -> list[str]:
        """Tell of those that ended by themselves; who may, and says why, is started again, as a supervisor does."""
        told = []
        for worker in [one for one in self.living if one.child.poll() is not None]:
            self.living.remove(worker)
            if worker.child.returncode == 1 and self._may_end(worker):
                self.start()
            else:
                told.append(f"a worker ended with {worker.child.returncode}: {worker.err[-_SAID:]}")
        return told

    @staticmethod
    def _may_end(worker: Process) -> bool:
        """Say whether it found no server when it started, or cannot go on consuming in its process."""
        return "runs on" not in worker.out or "start the worker again" in worker.out

    def betray(self) -> None:
        """Have all write down where their threads stand, which ends them."""
        for worker in self.living[:]:
            worker.child.send_signal(signal.SIGABRT)
            worker.child.wait(_STOP_SECONDS)
            self.living.remove(worker)

    def close(self) -> None:
        """Kill all."""
        for worker in self.living[:]:
            worker.child.send_signal(signal.SIGCONT)
            self.kill(worker)


@dataclass
class Stage:
    """One history, as its faults see it; `log` reads what is in the log."""

    rng: Random
    folder: Path
    broker: broker.Broker
    server: postgres.Server
    workers: Workers
    log: Tasker
    seconds: float = 0.0
    """How long the present fault lasts."""

    def say(self, text: str) -> None:
        """Leave a line in the story of the history, which is kept where something was found."""
        with (self.folder / "story").open("a") as story:
            story.write(f"{time.time():.3f} {text}\n")

    def anybody(self) -> Process:
        """Draw a worker."""
        return self.rng.choice(self.workers.living)


def written(folder: Path, url: str, kafka: Kafka) -> None:
    """Write the settings of the workers: leases, sessions and patience are short."""
    short = {"session_timeout": 6.0, "definition_timeout": 1.0, "progress_timeout": 20.0, "start_timeout": 120.0}
    settings = {
        "url": url, "app": "tests.faults.kafka.shop:register", "concurrency": 8, "shutdown_timeout": 5.0,
        "leases": {"heartbeat": 0.5, "timeout": 3.0},
        "kafka": {
            "bootstrap": list(kafka.bootstrap), "group": kafka.group, "topics": kafka.topics.model_dump(),
            "partitions": kafka.partitions, **short,
        },
        "telemetry": {
            "log_level": "warning", "log_format": "console", "events": [{"match": "*", "backends": ["metrics"]}],
        },
    }  # fmt: skip
    (folder / "tasker.yaml").write_text(json.dumps(settings))


def send(worker: Process, number: int) -> None:
    """Send a signal to a worker."""
    os.kill(worker.child.pid, number)
