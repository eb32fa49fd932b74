"""Settings with names of their own on a real broker, workers on them, and a consumer that knows nothing of Tasker."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tasker import Tasker
from tasker.kafka import topics
from tasker.kafka.client import load
from tasker.kafka.message import Headers, Incoming, Outgoing, headers_of
from tasker.kafka.publisher import Publisher
from tasker.settings import Settings
from tasker.settings.sections import Kafka, Topics
from tests import broker
from tests.integration.cli_kit import Process, Shell

load()

from kafka import KafkaConsumer, TopicPartition  # noqa: E402 - imported by `load` first, which keeps it quiet


def kafka_settings(bootstrap: str, *, partitions: int = 2, make: bool = True) -> Kafka:
    """Settings whose topics and groups no other test knows; the topics are made."""
    own = broker.prefix()
    names = {name: f"{own}.{name}" for name in ("requests", "dead_letters", "steps", "events")}
    made = Kafka(bootstrap=(bootstrap,), group=own, topics=names, partitions=partitions, start_timeout=10.0)
    if make:
        topics.create(made)
    return made


def consumed(bootstrap: str, topic: str, number: int, *, seconds: float = 20.0) -> list[Incoming]:
    """Consume a topic from its beginning until there are so many messages, within a bound; more are an error."""
    found: list[Incoming] = []
    with closing(KafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest")) as reading:
        reading.assign([TopicPartition(topic, part) for part in sorted(reading.partitions_for_topic(topic) or ())])
        deadline = time.monotonic() + seconds
        while len(found) < number and time.monotonic() < deadline:
            found += _messages(reading.poll(timeout_ms=500))
    assert len(found) >= number, f"{len(found)} of {number} messages on {topic} within {seconds} s"
    return found


def everything(bootstrap: str, topic: str) -> list[Incoming]:
    """Consume a topic from its beginning to its end as it is now."""
    with closing(KafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest")) as reading:
        places = [TopicPartition(topic, part) for part in sorted(reading.partitions_for_topic(topic) or ())]
        number = sum(reading.end_offsets(places).values())
    return consumed(bootstrap, topic, number) if number else []


def cloud(message: Incoming) -> dict[str, object]:
    """Read a CloudEvent."""
    return json.loads(message.value or b"")


def _messages(polled) -> list[Incoming]:
    return [
        Incoming(one.topic, one.partition, one.offset, one.timestamp, one.key, one.value, headers_of(one.headers))
        for records in polled.values()
        for one in records
    ]


@dataclass(frozen=True)
class Site:
    """A folder with settings for workers that are processes, and what tests look at from outside.

    Attributes:
        folder: Where `tasker.yaml` lies.
        settings: What it says.
        shell: Calls the command there.
        log: The log, opened beside the workers.
    """

    folder: Path
    settings: Settings
    shell: Shell
    log: Tasker

    @property
    def topics(self) -> Topics:
        """The names of the topics."""
        return self.settings.kafka.topics

    @contextmanager
    def worker(self, *arguments: str, name: str = "worker") -> Iterator[Process]:
        """A worker in a process of its own that runs; it is gone afterwards."""
        with self.shell.process("kafka", "worker", *arguments, name=name) as process:
            process.until(lambda: "runs on" in process.out, seconds=180)
            yield process

    def publish(self, *fields: Mapping[str, object], headers: Headers = ()) -> None:
        """Publish requests as any producer does, without a key."""
        self.raw(*(json.dumps(one).encode() for one in fields), headers=headers)

    def raw(self, *values: bytes | None, headers: Headers = ()) -> None:
        """Publish bytes where requests are expected."""
        with closing(Publisher(self.settings.kafka)) as publisher:
            publisher.publish(
                [Outgoing(self.topics.requests, b"k" if value is None else None, value, headers) for value in values]
            )

    def events(self) -> list[dict[str, object]]:
        """Everything on the topic of the events."""
        return [cloud(one) for one in everything(self.settings.kafka.bootstrap[0], self.topics.events)]


@contextmanager
def site(folder: Path, url: str, bootstrap: str, **more: object) -> Iterator[Site]:
    """Hold a folder with the shop of the command's tests, a log, and topics of its own."""
    own = broker.prefix()
    kafka = {
        "bootstrap": [bootstrap], "group": own, "partitions": 4, "session_timeout": 6.0, "start_timeout": 30.0,
        "topics": {name: f"{own}.{name}" for name in ("requests", "dead_letters", "steps", "events")},
        "definition_timeout": 0.5,
    }  # fmt: skip
    kafka |= more.pop("kafka", {})  # type: ignore[operator]
    values = {"url": url, "app": "cli_shop:register", "kafka": kafka, **more}
    shell = Shell(folder, lambda: ("", ""))
    (folder / "tasker.yaml").write_text(json.dumps(values))
    settings = Settings.of(values)
    with Tasker(settings=settings) as log:
        yield Site(folder, settings, shell, log)
