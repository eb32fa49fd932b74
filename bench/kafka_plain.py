"""A worker whose intake stands behind a plain aiokafka consumer: the same without Faust, relay and dispatch."""

from __future__ import annotations

import asyncio
import signal
from typing import Any

from aiokafka import AIOKafkaConsumer

from bench.kafka_plans import register
from tasker import Tasker
from tasker.kafka.client import cluster_id
from tasker.kafka.intake import Intake
from tasker.kafka.message import Incoming, headers_of
from tasker.settings import Settings

_MOST = 500


async def _consume(app: Tasker, settings: Settings) -> None:
    kafka = settings.kafka
    intake = Intake(app, settings, cluster_id(kafka))
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, ended.set)
    consumer = AIOKafkaConsumer(
        kafka.topics.requests, bootstrap_servers=list(kafka.bootstrap), group_id=kafka.group, enable_auto_commit=False,
        auto_offset_reset="earliest",
    )  # fmt: skip
    await consumer.start()
    while not ended.is_set():
        found = await consumer.getmany(timeout_ms=200, max_records=_MOST)
        messages = [_incoming(record) for records in found.values() for record in records]
        if messages:
            await loop.run_in_executor(None, intake.take, messages)
            await consumer.commit()
    await consumer.stop()


def _incoming(record: Any) -> Incoming:
    return Incoming(
        record.topic, record.partition, record.offset, record.timestamp, record.key, record.value,
        headers_of(record.headers),
    )  # fmt: skip


def main() -> None:
    """Work until SIGTERM."""
    settings = Settings.load()
    with Tasker(settings=settings) as app:
        register(app)
        app.start()
        asyncio.run(_consume(app, settings))


if __name__ == "__main__":
    main()
