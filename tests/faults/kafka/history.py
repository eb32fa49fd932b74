"""One history: requests come over the broker, faults happen, everything ends; then the checks."""

from __future__ import annotations

import shutil
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from threading import Thread

import psycopg

from tasker import Tasker
from tasker.errors import ChainBroken, LogUnavailable
from tasker.kafka import topics
from tasker.kafka.client import load
from tasker.kafka.dead import DeadLetters
from tasker.kafka.errors import BrokerUnavailable
from tasker.kafka.progress import lags
from tasker.kafka.reading import Reason
from tasker.log.open import upgrade_store
from tasker.settings.sections import Kafka
from tests import broker, postgres
from tests.faults.kafka import checks
from tests.faults.kafka.checks import Evidence, Letter, Made
from tests.faults.kafka.script import NUMBER, Script
from tests.faults.kafka.stage import Stage, Workers, written
from tests.faults.kafka.weather import FAULTS
from tests.integration.kafka_kit import cloud, everything

load()

from kafka import KafkaProducer  # noqa: E402 - imported by `load` first, which keeps it quiet

PATIENCE = 240.0
"""Seconds after which a history that has not ended is a violation."""
_LOOK_SECONDS = 0.1
_RELAY = "relay"


@dataclass
class Outcome:
    """What a history was and what it found: a sentence for each violation."""

    seed: int
    seconds: float = 0.0
    faults: Counter[str] = field(default_factory=Counter)
    tasks: int = 0
    events: int = 0
    published: int = 0
    letters: int = 0
    violations: list[str] = field(default_factory=list)
    kept: Path | None = None


class Services:
    """A broker and a server, which all histories of a series use, one after the other."""

    def __init__(self) -> None:
        """Start both."""
        self.server = postgres.Server(postgres.binaries())
        try:
            self.broker = broker.Broker()
        except BaseException:
            self.server.close()
            raise

    def close(self) -> None:
        """Stop both."""
        self.broker.close()
        self.server.close()


class Producer(Thread):
    """Publishes the messages of a history; `problem` says what was not acknowledged."""

    def __init__(self, script: Script, kafka: Kafka) -> None:
        """Take what to publish, and where."""
        super().__init__(name="producer", daemon=True)
        self._script, self._kafka = script, kafka
        self.problem: str | None = None

    def run(self) -> None:
        """Publish all, and wait for the acknowledgements."""
        try:
            self._publish()
        except Exception as error:  # noqa: BLE001 - whatever it is, the history is told
            self.problem = f"{type(error).__name__}: {error}"

    def _publish(self) -> None:
        producer = KafkaProducer(
            bootstrap_servers=list(self._kafka.bootstrap), acks="all", enable_idempotence=True,
            delivery_timeout_ms=int(PATIENCE * 1000), max_block_ms=int(PATIENCE * 1000),
        )  # fmt: skip
        with closing(producer):
            sent = []
            for one in self._script.messages:
                headers = [(NUMBER, str(one.number).encode())]
                sent.append(producer.send(self._kafka.topics.requests, one.value, one.key, headers))
                time.sleep(self._script.pause)
            for future in sent:
                future.get(PATIENCE)


class History:
    """The processes of one history and what is done to them."""

    def __init__(self, script: Script, services: Services, folder: Path) -> None:
        """Make the log and the topics; nothing is started yet."""
        self.script, self.outcome = script, Outcome(script.seed)
        name = broker.prefix()
        with psycopg.connect(services.server.url, autocommit=True) as admin:
            admin.execute(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C'")
        self.url = services.server.url.replace("://", "+psycopg://").rpartition("/")[0] + f"/{name}"
        upgrade_store(self.url)
        names = {role: f"{name}.{role}" for role in ("requests", "dead_letters", "steps", "events")}
        self.kafka = Kafka(bootstrap=(services.broker.bootstrap,), group=name, topics=names, partitions=3)
        topics.create(self.kafka)
        written(folder, self.url, self.kafka)
        rng = Random(f"history {script.seed}")
        log = Tasker(self.url, settings={})
        self.stage = Stage(rng, folder, services.broker, services.server, Workers(folder), log)
        self.producer = Producer(script, self.kafka)
        self._position, self._counts = 0, Counter[str]()
        self.letters = DeadLetters(self.kafka)

    def run(self) -> None:
        """Play until everything has ended, then check."""
        for _ in range(self.script.workers):
            self.stage.workers.start()
        self.producer.start()
        for fault in self.script.faults:
            if not self._until(lambda share=fault.share: self._created() >= share * self.script.expected):
                return
            self.stage.say(f"{fault.kind} {fault.seconds:.1f}")
            self.stage.seconds = fault.seconds
            FAULTS[fault.kind](self.stage)
            self.stage.say("over")
            self.outcome.faults[fault.kind] += 1
        if self._until(self._everything_ended):
            self._stop()
            self.outcome.violations += checks.violations(self.script, self._evidence())

    def close(self) -> None:
        """End what still runs."""
        self.stage.workers.close()
        self.stage.log.close()

    def _until(self, reached: Callable[[], bool]) -> bool:
        """Wait for something; False if the time is over first, or if a worker ends by itself."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            self.outcome.violations += [f"nobody_ends_by_itself: {text}" for text in self.stage.workers.ended()]
            if self.producer.problem is not None:
                self.outcome.violations.append(f"requests_are_acknowledged: {self.producer.problem}")
            if self.outcome.violations:
                return False
            with suppress(LogUnavailable):  # the server was away: the first connection afterwards is an old one
                if reached():
                    return True
            time.sleep(_LOOK_SECONDS)
        said = " | ".join(worker.err[-300:] for worker in self.stage.workers.living)
        self.outcome.violations.append(f"everything_ended: after {PATIENCE:g} s: {self._standing()}; said: {said}")
        self.stage.workers.betray()
        return False

    def _seen(self) -> Counter[str]:
        """Count the events by their types; each look reads what is new."""
        for event in self.stage.log.events(after=self._position):
            self._position = event.position
            self._counts[event.type] += 1
        return self._counts

    def _created(self) -> int:
        return self._seen()["task.created"]

    def _everything_ended(self) -> bool:
        if self.producer.is_alive():
            return False
        counts = self._seen()
        if counts["task.completed"] + counts["task.failed"] < self.script.expected:
            return False
        if self._relayed() < counts.total():
            return False
        wanted = len(self.script.poison) + len(self.script.rivals)
        return len(self._written()) >= wanted

    def _written(self) -> set[str | None]:
        """Name the requests that are dead letters."""
        return {one.message.header(NUMBER) for one in self.letters.letters(everything=True)}

    def _relayed(self) -> int:
        return next((one.checkpoint for one in self.stage.log.subscriptions.list() if one.name == _RELAY), 0)

    def _standing(self) -> str:
        """Say what there is of what was waited for."""
        script, topic = self.script, self.kafka.topics.requests
        with suppress(LogUnavailable, BrokerUnavailable):
            told = {
                "tasks expected": script.expected,
                "events": dict(self._seen()),
                "relayed": self._relayed(),
                "letters expected": [*script.poison, *script.rivals],
                "letters": self._written(),
                "the group": lags(self.kafka, [(topic, place) for place in range(self.kafka.partitions)]),
                "the producer works": self.producer.is_alive(),
            }
            return ", ".join(f"{name}: {value}" for name, value in told.items())
        return "the log or the broker cannot be read"

    def _stop(self) -> None:
        self.stage.workers.stop_all()
        self.outcome.violations += [f"a_worker_stops: {text}" for text in self.stage.workers.stopped_badly]

    def _evidence(self) -> Evidence:
        log = self.stage.log
        try:
            log.audit.verify()
        except ChainBroken as error:
            self.outcome.violations.append(f"the_chain_holds: {error}")
        events = list(log.events())
        tasks = [log.task(event.stream_id) for event in events if event.type == "task.created"]
        made = [Made(task.id, task.name, task.context["number"], str(task.status)) for task in tasks]
        letters = [
            Letter(int(one.message.header(NUMBER) or -1), Reason(one.reason))
            for one in self.letters.letters(everything=True)
        ]
        published = [cloud(one) for one in everything(self.kafka.bootstrap[0], self.kafka.topics.events)]
        lines = (self.stage.folder / "effects").read_text().splitlines()
        effects = frozenset((task, step) for task, step in map(str.split, lines))
        outcome = self.outcome
        outcome.tasks, outcome.events, outcome.published = len(made), len(events), len(published)
        outcome.letters = len(letters)
        return Evidence(made, [dict(event.cloudevent()) for event in events], published, letters, effects)


def play(script: Script, services: Services, *, keep: bool = False) -> Outcome:
    """Play a history; its folder is kept if something was found, or if it is asked for."""
    folder = Path(tempfile.mkdtemp(prefix=f"tasker-faults-kafka-{script.seed}-"))
    history = History(script, services, folder)
    outcome, began = history.outcome, time.monotonic()
    try:
        history.run()
    except Exception:  # noqa: BLE001 - the other histories of a series go on
        outcome.violations.append(f"the harness failed: {traceback.format_exc()}")
    finally:
        history.close()
        outcome.seconds = time.monotonic() - began
    if outcome.violations or keep:
        outcome.kept = folder
    else:
        shutil.rmtree(folder)
    return outcome
