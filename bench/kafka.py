"""Measures of workers with a real broker and PostgreSQL, and of what Faust costs of it.

Each figure comes from processes of their own: `tasker kafka worker`, and, as a ceiling, the same intake behind a plain
aiokafka consumer. The broker is the one of the tests.
"""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg

from bench.postgres import PostgresBench, plain
from bench.setting import PATIENCE, ROOT, Bench, Figures
from tasker.kafka import topics
from tasker.kafka.pages import PagePublisher
from tasker.kafka.publisher import Publisher
from tasker.kafka.publishing import outgoing
from tasker.kafka.relay import Relay
from tasker.log.open import open_store, upgrade_store
from tasker.settings import Settings
from tests import broker

_STEPS = 4
_EVENTS = 11  # of a task of four steps
_LOOK_SECONDS = 0.05
_STOP_SECONDS = 30.0
_IDLE_SECONDS = 10.0
_SETTLE_SECONDS = 3.0
_PACE = 100
_TICKS = os.sysconf("SC_CLK_TCK")
_COMPLETED = "SELECT count(*) FROM events JOIN event_types ON type = code WHERE position > %s AND name = %s"
_SPAN = "SELECT min(time), max(time) FROM events WHERE position > %s"
_RELAYED = "SELECT checkpoint FROM subscriptions WHERE name = 'relay'"
_DURATIONS = """
SELECT max(time) - min(time) FROM events JOIN event_types ON type = code
WHERE position > %s AND name IN ('task.created', 'task.completed') GROUP BY stream_id HAVING count(*) = 2
"""


class Place:
    """A log, topics of its own, and settings in a folder that name both."""

    def __init__(self, url: str, bootstrap: str, folder: Path) -> None:
        """Make all of it."""
        own = broker.prefix()
        names = {name: f"{own}.{name}" for name in ("requests", "dead_letters", "steps", "events")}
        kafka = {"bootstrap": [bootstrap], "group": own, "topics": names, "partitions": 4}
        values = {"url": url, "app": "bench.kafka_plans:register", "concurrency": 64, "kafka": kafka}
        values["telemetry"] = {"log_level": "warning"}  # a line for each event would be most of what is measured
        self.folder = folder
        self.url = url
        self.settings = Settings.of(values)
        (folder / "tasker.yaml").write_text(json.dumps(values))
        upgrade_store(url)
        topics.create(self.settings.kafka)
        self._log = psycopg.connect(plain(url), autocommit=True)

    def publish(self, number: int, rate: float | None = None) -> None:
        """Publish requests for chains of four steps, as quickly as it goes or so many a second."""
        settings = self.settings
        messages = [
            outgoing({"name": "chain", "context": {"n": n}}, settings.kafka.topics, settings.sizes)
            for n in range(number)
        ]
        with closing(Publisher(settings.kafka, linger=0.0 if rate else 0.005)) as publisher:
            if rate is None:
                publisher.publish(messages)
                return
            began = time.monotonic()
            for place, message in enumerate(messages):
                time.sleep(max(0.0, began + place / rate - time.monotonic()))
                publisher.publish([message])

    def head(self) -> int:
        """Give the position of the last event."""
        found = self._log.execute("SELECT coalesce(max(position), 0) FROM events").fetchone()
        return 0 if found is None else int(found[0])

    def completed(self, after: int, number: int) -> None:
        """Wait until so many tasks are complete; until they may be, by a look that costs the server nothing."""
        least = after + number * _EVENTS
        self.until(lambda: self.head() >= least and self._count(after, "task.completed") >= number)

    def relayed(self) -> None:
        """Wait until every event is on its topic, if there is a relay: its work is part of that of a step."""
        head = self.head()
        self.until(lambda: self._relay() >= head)

    def until(self, reached: Callable[[], bool]) -> None:
        """Wait for something."""
        deadline = time.monotonic() + PATIENCE
        while not reached():
            if time.monotonic() > deadline:
                raise RuntimeError(f"not within {PATIENCE:g} s")
            time.sleep(_LOOK_SECONDS)

    def span(self, after: int) -> float:
        """Give the seconds from the first to the last event behind a position."""
        found = self._log.execute(_SPAN, (after,)).fetchone()
        return 0.0 if found is None else (found[1] - found[0]) / 1e6

    def durations(self, after: int) -> list[float]:
        """Give, in order of size, the milliseconds from a task's creation to its end."""
        return sorted(float(row[0]) / 1000 for row in self._log.execute(_DURATIONS, (after,)).fetchall())

    def created(self) -> int:
        """Count the tasks."""
        return self._count(0, "task.created")

    def _relay(self) -> float:
        try:
            found = self._log.execute(_RELAYED).fetchone()
        except psycopg.errors.UndefinedTable:
            return math.inf
        return math.inf if found is None else int(found[0])

    def _count(self, after: int, name: str) -> int:
        found = self._log.execute(_COMPLETED, (after, name)).fetchone()
        return 0 if found is None else int(found[0])

    def process(self, *words: str) -> subprocess.Popen[bytes]:
        """Start Python in the folder."""
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        return subprocess.Popen([sys.executable, *words], cwd=self.folder, env=environment, stdout=subprocess.DEVNULL)

    def close(self) -> None:
        """Disconnect."""
        self._log.close()


@contextmanager
def placed(bench: Bench, bootstrap: str) -> Iterator[Place]:
    """Hold a place of one's own."""
    if not isinstance(bench, PostgresBench):
        raise TypeError("expected a bench on PostgreSQL: any number of workers share its logs only")
    with tempfile.TemporaryDirectory(dir=bench.folder) as folder:
        place = Place(bench.new(), bootstrap, Path(folder))
        try:
            yield place
        finally:
            place.close()


@contextmanager
def running(place: Place, number: int, *command: str) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Hold so many processes that work, warm and at rest."""
    processes = [place.process(*(command or ("-m", "tasker", "kafka", "worker"))) for _ in range(number)]
    try:
        place.publish(100 * number)
        place.completed(0, 100 * number)
        yield processes
    finally:
        for process in processes:
            process.send_signal(signal.SIGTERM)
        for process in processes:
            process.wait(_STOP_SECONDS)


def kafka_speed(bench: Bench) -> Figures:
    """Let one worker, two, and a plain consumer make tasks of requests and run them; then publish the events anew."""
    tasks, found = bench.pick(1_000, 5_000), Figures()
    with closing(broker.Broker()) as kafka:
        for name, number, command in (
            ("kafka1", 1, ()), ("kafka2", 2, ()), ("kafka_plain", 1, ("-m", "bench.kafka_plain")),
        ):  # fmt: skip
            with placed(bench, kafka.bootstrap) as place:
                if name == "kafka1":
                    found["kafka_start_s"] = _first_message(place)
                found |= _throughput(place, name, tasks, number, *command)
                if name == "kafka1":
                    found["kafka_relay"] = _relayed(place)
    found["kafka_two_over_one"] = found["kafka2"] / found["kafka1"]
    found["kafka_over_plain"] = found["kafka1"] / found["kafka_plain"]
    return found


def kafka_paced(bench: Bench) -> Figures:
    """Give how long tasks take at a hundred a second, and what a worker costs that has nothing to do."""
    number = _PACE * bench.pick(5, 20)
    with (
        closing(broker.Broker()) as kafka,
        placed(bench, kafka.bootstrap) as place,
        running(place, 1) as [process],
    ):
        time.sleep(_SETTLE_SECONDS)
        before = _cpu(process)
        time.sleep(_IDLE_SECONDS)
        idle = (_cpu(process) - before) / _IDLE_SECONDS
        mark = place.head()
        place.publish(number, _PACE)
        place.completed(mark, number)
        taken = place.durations(mark)
    p50, p99 = taken[len(taken) // 2], taken[int(len(taken) * 0.99)]
    return {"kafka_idle_cpu": idle, "kafka_task_p50_ms": p50, "kafka_task_p99_ms": p99}


def _throughput(place: Place, name: str, tasks: int, number: int, *command: str) -> Figures:
    """Give the steps a second of so many processes, from the first task's creation to the last task's end."""
    with running(place, number, *command) as processes:
        mark, before = place.head(), sum(map(_cpu, processes))
        place.publish(tasks)
        place.completed(mark, tasks)
        place.relayed()
        cpu = sum(map(_cpu, processes)) - before
        return {name: tasks * _STEPS / place.span(mark), f"{name}_cpu_us": cpu / (tasks * _STEPS) * 1e6}


def _first_message(place: Place) -> float:
    """Give the seconds from the start of a process to the first task of a request that was there before."""
    place.publish(1)
    began = time.monotonic()
    process = place.process("-m", "tasker", "kafka", "worker")
    try:
        place.until(lambda: place.created() > 0)
        return time.monotonic() - began
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(_STOP_SECONDS)


def _relayed(place: Place) -> float:
    """Give how many events a second a relay publishes that has the machine for itself."""
    store, publisher = open_store(place.url), PagePublisher(place.settings.kafka)
    relay = Relay(store, publisher, place.settings.kafka.topics.events, name="bench")
    try:
        began = time.monotonic()
        while relay.step():
            pass
        return relay.state.position / (time.monotonic() - began)
    finally:
        relay.release()
        publisher.close()
        store.close()


def _cpu(process: subprocess.Popen[bytes]) -> float:
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS
