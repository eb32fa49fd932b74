"""Requests of two kinds of producers, two workers of which one is killed, a broker that goes and comes: each done once.

`python -m tests.integration.test_kafka_thousand 1000 60` tells the story of as many as that, with a broker that is
away for so many seconds while requests go on being published.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path
from threading import Thread

import pytest

from tasker import Tasker
from tasker.kafka.client import admin, load
from tasker.kafka.errors import BrokerUnavailable
from tasker.settings.sections import Kafka
from tests import broker, postgres
from tests.integration.cli_kit import Process, Shell, own_environment, wait_for
from tests.integration.kafka_kit import cloud, consumed

load()

from kafka import KafkaProducer  # noqa: E402 - imported by `load` first, which keeps it quiet

STEPS = ("read", "charge", "pack", "send")
ORDERS = f"""\
import time

from tasker import StepTemplate, TaskDefinition

SECONDS = {{seconds}}


def work(task, sequence, step):
    time.sleep(SECONDS)
    return {{"order_id": task.context["order_id"]}}


def register(app):
    steps, before = [], None
    for name in {STEPS}:
        more = {{}} if before is None else {{"depends_on_step": before}}
        steps.append(StepTemplate(name=name, handler_class=work, **more))
        before = name
    app.register(TaskDefinition(name="order", step_templates=steps))
"""
REQUESTS, EVENTS = "tasker.task-requests", "tasker.events"
PATIENCE = 240.0
_LONGER = 1.5
"""How many times as long as the broker is away the plain producer takes: some of it comes while it is away."""


def consuming(bootstrap: str) -> int:
    """Give how many workers share the partitions; none while they are dealt, or the first group is made."""
    try:
        with admin(Kafka(bootstrap=(bootstrap,))) as client:
            group = client.describe_groups(["tasker"])["tasker"]
    except BrokerUnavailable:
        return 0
    return len(group["members"]) if group["group_state"] == "Stable" else 0


class Story:
    """One run; what happens is told line by line."""

    def __init__(self, number: int, folder: Path, tell: Callable[[str], None], away: float = 0.0) -> None:
        """Take how many requests, an empty folder, who listens, and how many seconds the broker is away."""
        self.number, self._tell, self._away = number, tell, away
        self._began = time.monotonic()
        self.shell = Shell(folder, lambda: ("", ""))
        (folder / "orders.py").write_text(ORDERS.replace("{seconds}", str(20 / number)))

    def tell(self, text: str) -> None:
        """Tell what happens, and when."""
        self._tell(f"{time.monotonic() - self._began:7.2f} s  {text}")

    def play(self, kafka: broker.Broker, url: str) -> None:
        """Publish, kill, restart, and see that everything was done once."""
        settings = {
            "url": url, "app": "orders:register", "leases": {"heartbeat": 0.5, "timeout": 5.0},
            "telemetry": {"log_level": "warning", "log_format": "console"},
            "kafka": {"bootstrap": [kafka.bootstrap], "partitions": 4},
        }  # fmt: skip
        (self.shell.folder / "tasker.yaml").write_text(json.dumps(settings))
        self._called("kafka", "topics")
        with ExitStack() as stack, closing(Tasker(url, settings={})) as log:
            first, second = (self._worker(stack, name) for name in ("first", "second"))
            wait_for(lambda: consuming(kafka.bootstrap) == 2, seconds=PATIENCE)
            plain, lines = Thread(target=self._plainly, args=(kafka.bootstrap,)), Thread(target=self._lines)
            plain.start()
            lines.start()
            self._reach(log, self.number // 10)
            first.child.kill()
            first.child.wait()
            self.tell(f"kill -9 {first.child.pid}: the first worker is gone")
            self._reach(log, self.number // 3)
            kafka.stop()
            self.tell("the broker is stopped")
            time.sleep(self._away)
            self._attempts(log)
            kafka.start()
            self.tell("the broker is back")
            plain.join()
            lines.join()
            self._lines()
            self._reach(log, self.number)
            self._published(kafka.bootstrap, log)
            assert second.stop(seconds=PATIENCE) == 0, second.err
            self.tell("SIGTERM: the second worker has ended with 0")
            self._once(log)

    # --- its parts ---

    def _called(self, *arguments: str) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "tasker", *arguments], cwd=self.shell.folder, env=own_environment(),
            capture_output=True, text=True, timeout=PATIENCE, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        self.tell(f"$ tasker {' '.join(arguments)}")
        for line in done.stdout.splitlines():
            self.tell(f"  {line}")

    def _worker(self, stack: ExitStack, name: str) -> Process:
        process = stack.enter_context(self.shell.process("kafka", "worker", name=name))
        process.until(lambda: "runs on" in process.out, seconds=PATIENCE)
        self.tell(f"$ tasker kafka worker &    # {name}, process {process.child.pid}")
        return process

    def _lines(self) -> None:
        """Publish one half by the command, with keys: a second time says nothing new."""
        requests = [
            {"name": "order", "context": {"order_id": number}, "idempotency_key": f"order-{number}"}
            for number in range(0, self.number, 2)
        ]
        (self.shell.folder / "half.jsonl").write_text("\n".join(map(json.dumps, requests)))
        self._called("kafka", "publish", "--lines", "half.jsonl")

    def _plainly(self, bootstrap: str) -> None:
        """Publish the other half by a plain producer, without keys."""
        producer = KafkaProducer(
            bootstrap_servers=bootstrap, acks="all", enable_idempotence=True, delivery_timeout_ms=int(PATIENCE * 1000)
        )
        with closing(producer):
            sent = []
            for number in range(1, self.number, 2):
                value = json.dumps({"name": "order", "context": {"order_id": number}}).encode()
                sent.append(producer.send(REQUESTS, value))
                time.sleep(_LONGER * self._away / (self.number / 2))
            places = {(place.partition, place.offset) for place in (one.get(PATIENCE) for one in sent)}
        self.tell(f"a plain producer has published {len(places)} requests without keys, all acknowledged")

    def _reach(self, log: Tasker, number: int) -> None:
        """Wait until so many tasks are complete."""
        position, done = 0, 0

        def reached() -> bool:
            nonlocal position, done
            for event in log.events(after=position, types="task.*"):
                position = event.position
                done += event.type == "task.completed"
            return done >= number

        wait_for(reached, seconds=PATIENCE)
        self.tell(f"{done} of {self.number} tasks are complete")

    def _attempts(self, log: Tasker) -> None:
        """Tell how far the tasks have come that were accepted before the broker went."""
        counts = Counter(event.type for event in log.events(types="task.*"))
        self.tell(f"without it {counts['task.completed']} of {counts['task.created']} accepted tasks are complete")

    def _published(self, bootstrap: str, log: Tasker) -> None:
        """Every event is on the topic, and in order within each task."""
        events = {event.event_id for event in log.events()}
        wait_for(lambda: self._relayed(log) >= len(events), seconds=PATIENCE)
        seen: set[str] = set()
        versions: defaultdict[str, int] = defaultdict(int)
        messages = consumed(bootstrap, EVENTS, len(events), seconds=PATIENCE)
        for event in map(cloud, messages):
            seen.add(event["id"])
            assert event["streamversion"] <= versions[event["subject"]] + 1, f"{event['subject']} is out of order"
            versions[event["subject"]] = max(versions[event["subject"]], event["streamversion"])
        assert seen == events
        self.tell(f"{EVENTS}: {len(messages)} messages, all {len(events)} events, in order within each task")

    def _relayed(self, log: Tasker) -> int:
        return next((one.checkpoint for one in log.subscriptions.list() if one.name == "relay"), 0)

    def _once(self, log: Tasker) -> None:
        """Every request is one task, and every step of it completed once."""
        counts = Counter(event.type for event in log.events())
        orders = Counter(log.task(event.stream_id).context["order_id"] for event in log.events(types="task.created"))
        assert orders == dict.fromkeys(range(self.number), 1)
        completed = Counter((event.stream_id, event.step) for event in log.events(types="step.completed"))
        assert set(completed.values()) == {1}
        assert len(completed) == len(STEPS) * self.number
        assert counts["task.completed"] == self.number
        self.tell(f"{self.number} requests are {len(orders)} tasks, {len(completed)} steps completed, each once")
        self.tell(f"{counts['step.started']} attempts, of which {counts['step.abandoned']} died with the first worker")
        verified = log.audit.verify()
        self.tell(f"the chain holds: {verified.events} events of {verified.streams} streams")


@pytest.mark.slow
def test_every_request_is_done_once(tmp_path, postgres_url):
    """Whoever published it, and whatever dies meanwhile: a request is one task, whose steps complete once."""
    told: list[str] = []
    with broker.own() as kafka:
        Story(100, tmp_path, told.append).play(kafka, postgres_url)
    assert "the chain holds" in told[-1]


def main(number: int, away: float) -> None:
    """Tell the story of so many requests."""
    with tempfile.TemporaryDirectory() as folder, broker.own() as kafka, postgres.database() as url:
        Story(number, Path(folder), lambda line: print(line, flush=True), away).play(kafka, url)
    postgres.stop()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000, float(sys.argv[2]) if len(sys.argv) > 2 else 0.0)
