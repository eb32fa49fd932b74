"""A plugin of pytest with which the tests of examples run over Kafka, unchanged; it needs the plugin `together`.

One `tasker kafka worker` runs the handlers of all examples that pytest was given; what they submit is published to its
topic, and what they read is read from the log. The settings come from the environment.
"""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

import tasker
from tasker.handlers.views import Task
from tasker.kafka.publisher import Publisher
from tasker.kafka.publishing import outgoing
from tasker.settings import Settings
from tasker.settings.sections import Topics
from tests import broker
from tests.acceptance import together
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

    publisher: Publisher
    settings_of_worker: Settings

    def submit(self, **fields: object) -> Task:
        """Publish a request, and wait until a worker has made a task of it."""
        own, settings = uuid.uuid4().hex, self.settings_of_worker
        self.publisher.publish([outgoing({**fields, "correlation_id": own}, settings.kafka.topics, settings.sizes)])
        return self.task(made_of(self, own))

    def run_until_complete(self, task_id: str, *, timeout: float) -> Task:
        """Wait until the worker has ended a task; the bound of the example is one for a machine of its own."""
        return ended(self, task_id, seconds=max(timeout, PATIENCE))

    def start(self) -> None:
        """Leave the running to the worker."""


def pytest_configure(config: pytest.Config) -> None:
    """Let the examples reach the log through the broker, and their services be those that the worker knows."""
    folders = [Path(name).resolve() for name in config.args]
    os.environ[together.VARIABLE] = os.pathsep.join(map(str, folders))
    for folder in folders:
        together.enter(folder)
        example = importlib.import_module("app")
        example.Tasker = OverKafka
        if hasattr(example, "Services"):
            example.Services = _one_for_all(example.Services)


@pytest.fixture(scope="session", autouse=True)
def worker() -> Iterator[None]:
    """Run one worker until the tests are done; it must stop in order."""
    OverKafka.settings_of_worker = settings = Settings.load(_environment())
    _called("topics")
    with closing(Publisher(settings.kafka)) as OverKafka.publisher, _started("worker") as process:
        process.until(lambda: "runs on" in process.out, seconds=PATIENCE)
        yield
        assert process.stop(seconds=PATIENCE) == 0, process.err
        assert "Traceback" not in process.err


def _one_for_all(kind: type) -> type:
    """Start the services of an example for good, as the worker knows only these; each use of them has new books."""
    services = kind()
    services.__enter__()
    assert not services.variables.keys() & os.environ.keys(), "another example uses one of these variables"
    os.environ.update(services.variables)

    @contextmanager
    def again() -> Iterator[object]:
        services.begin()
        yield services

    return again


@contextmanager
def _started(*arguments: str) -> Iterator[Process]:
    """Run the command in an empty folder; it is gone afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        out, err = Path(folder, "out"), Path(folder, "err")
        with out.open("wb") as out_file, err.open("wb") as err_file:
            child = subprocess.Popen(
                [sys.executable, "-m", "tasker", "kafka", *arguments], cwd=folder, env=_environment(),
                stdin=subprocess.DEVNULL, stdout=out_file, stderr=err_file,
            )  # fmt: skip
        try:
            yield Process(child, out, err)
        finally:
            child.kill()
            child.wait()


def _called(*arguments: str) -> None:
    """Call the command; it must succeed."""
    with _started(*arguments) as process:
        assert process.child.wait(PATIENCE) == 0, process.out + process.err


def _environment() -> dict[str, str]:
    """Give the variables of the command: those of this process without what only the tests read."""
    own = {name: value for name, value in os.environ.items() if name != "TASKER_EXAMPLE_URL"}
    return own | {"TASKER_APP": "tests.acceptance.together:register"}
