"""Settings with names of their own on a real broker, and a plain consumer that knows nothing of Tasker."""

from __future__ import annotations

import json
import time
from contextlib import closing

from tasker.kafka import topics
from tasker.kafka.client import load
from tasker.kafka.message import Incoming, headers_of
from tasker.settings.sections import Kafka
from tests import broker

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
