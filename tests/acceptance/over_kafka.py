"""A plugin of pytest with which the tests of an example run over Kafka, unchanged.

One `tasker kafka worker` with the example's own `tasker.yaml` runs the handlers; what the example submits is published
by `tasker kafka publish`, and what it reads is read from the log. The settings come from the environment.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import pytest

import tasker
from tasker.cli.demo.gateway import Gateway, Ledger
from tasker.handlers.views import Task
from tasker.settings.sections import Topics
from tests import broker
from tests.integration.cli_kit import Process, wait_for

ENDED = {"complete", "error", "cancelled", "resolved_manually"}
PATIENCE = 120.0
"""Seconds for one step of a test: machines are shared."""


def own_topics(url: str) -> dict[str, str]:
    """Give the variables of processes that use a log and topics that no other test knows."""
    own = broker.prefix()
    topics = {f"TASKER_KAFKA__TOPICS__{role.upper()}": f"{own}.{role}" for role in Topics.model_fields}
    kafka = {"TASKER_KAFKA__BOOTSTRAP": broker.shared(), "TASKER_KAFKA__GROUP": own, "TASKER_KAFKA__PARTITIONS": "2"}
    return {"TASKER_URL": url, **kafka, **topics}


def made_of(log: tasker.Tasker, correlation_id: str) -> str:
    """Wait until a request has become a task, and only one; give its id."""
    made: list[str] = []

    def found() -> bool:
        made[:] = [one.stream_id for one in log.events(types="task.created") if one.correlation_id == correlation_id]
        return bool(made)

    wait_for(found, seconds=PATIENCE)
    assert len(made) == 1, f"one request became the tasks {made}"
    return made[0]


def ended(log: tasker.Tasker, task_id: str, *, seconds: float = PATIENCE) -> Task:
    """Wait until a task has ended, and give it."""
    wait_for(lambda: log.task(task_id).status in ENDED, seconds=seconds)
    return log.task(task_id)


class OverKafka(tasker.Tasker):
    """A `Tasker` that asks for tasks through the broker and runs none."""

    def submit(self, **fields: object) -> Task:
        """Publish a request by the command, and wait until a worker has made a task of it."""
        own = uuid.uuid4().hex
        options = {"correlation_id": own, **{key: fields[key] for key in fields.keys() - {"name", "context"}}}
        context = json.dumps(fields.get("context", {}))
        _called("publish", str(fields["name"]), "--context", context, "--options", json.dumps(options))
        return self.task(made_of(self, own))

    def run_until_complete(self, task_id: str, *, timeout: float) -> Task:
        """Wait until the worker has ended a task; the bound of the example is one for a machine of its own."""
        return ended(self, task_id, seconds=max(timeout, PATIENCE))


class OneGateway(Gateway):
    """The gateway that the worker knows; each use of it has new books."""

    def __enter__(self) -> Self:
        """Begin new books."""
        self.ledger = Ledger()
        return self

    def __exit__(self, *_: object) -> None:
        """Stay."""


def pytest_configure() -> None:
    """Let the example reach the log through the broker."""
    sys.path.insert(0, str(Path.cwd()))
    example = importlib.import_module("app")
    example.Tasker = OverKafka
    gateway = OneGateway()
    Gateway.__enter__(gateway)
    example.Gateway = lambda: gateway
    os.environ["PAYMENT_URL"] = os.environ["SHOP_URL"] = gateway.url


@pytest.fixture(scope="session", autouse=True)
def worker() -> Iterator[None]:
    """Run one worker, from the settings of the example, until the tests are done; it must stop in order."""
    _called("topics")
    with tempfile.TemporaryDirectory() as folder:
        out, err = Path(folder, "out"), Path(folder, "err")
        with out.open("wb") as out_file, err.open("wb") as err_file:
            command = [sys.executable, "-m", "tasker", "kafka", "worker"]
            child = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=out_file, stderr=err_file, env=_environment()
            )
        process = Process(child, out, err)
        try:
            process.until(lambda: "runs on" in process.out, seconds=PATIENCE)
            yield
            assert process.stop(seconds=PATIENCE) == 0, process.err
            assert "Traceback" not in process.err
        finally:
            child.kill()
            child.wait()


def _called(*arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tasker", "kafka", *arguments, "--json"],
        env=_environment(), capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def _environment() -> dict[str, str]:
    """Give the variables of the command: those of this process without what only the tests read."""
    return {name: value for name, value in os.environ.items() if name != "TASKER_EXAMPLE_URL"}
