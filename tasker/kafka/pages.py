"""`PagePublisher`: a page of messages goes out as a few batches, which compiled code fills, checks and compresses.

By way of kafka-python a message costs some 40 µs of plain Python, which a relay pays for every event of the log. The
batches of aiokafka, which comes with Faust, are filled by hand for one or two.
"""

from __future__ import annotations

import asyncio
import random
from contextlib import contextmanager
from functools import lru_cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from tasker.errors import TaskerError
from tasker.instrument import logger
from tasker.kafka.client import INSTALL, KEYS_REMEMBERED, admin, connection, told
from tasker.kafka.errors import BrokerUnavailable, PublishRefused
from tasker.kafka.publisher import DELIVERY_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from aiokafka import AIOKafkaProducer
    from aiokafka.producer.message_accumulator import BatchBuilder

    from tasker.kafka.message import Outgoing
    from tasker.settings.sections import Kafka

_BATCH_BYTES = 131_072
"""How much a batch holds before it is compressed; a larger message has one for itself."""
_STOP_SECONDS = 0.5
_REFUSALS = (
    "InvalidTopicError", "MessageSizeTooLargeError", "PolicyViolationError", "RecordListTooLargeError",
    "TopicAuthorizationFailedError",
)  # fmt: skip
"""What a broker will answer again however often it is asked; whatever else goes wrong, a new producer may mend."""
_log = logger("kafka")


class PagePublisher:
    """Publishes through one idempotent producer, connected at the first use; for one thread at a time."""

    def __init__(self, settings: Kafka, *, delivery: float = DELIVERY_SECONDS) -> None:
        """Connect nothing.

        Args:
            settings: Where the broker is, and how batches are compressed.
            delivery: Seconds after which a page that was not acknowledged has failed.

        Raises:
            TaskerError: The package that compresses as the settings say is not installed.
        """
        compression = settings.compression
        if compression not in {"none", "gzip"} and find_spec("cramjam") is None:
            msg = f"kafka.compression: {compression} needs cramjam, which is not installed; run {INSTALL}, or set gzip"
            raise TaskerError(msg)
        self._settings = settings
        self._delivery = delivery
        self._where = ", ".join(settings.bootstrap)
        self._runner: asyncio.Runner | None = None
        self._producer: AIOKafkaProducer | None = None
        self._looked_at: set[str] = set()

    def publish(self, messages: Sequence[Outgoing]) -> None:
        """Publish messages, and return when all of them are acknowledged by all replicas.

        Messages with the same topic and key keep their order. After an error some may have been published; whoever
        sends them again publishes those twice.

        Raises:
            BrokerUnavailable: The broker does not answer, or the topic is missing or has no leader.
            PublishRefused: It will not take one of the messages.
        """
        try:
            with told(self._settings):
                for topic in {one.topic for one in messages} - self._looked_at:
                    self._look(topic)
            with self._told():
                self._run(asyncio.wait_for(self._sent(messages), self._delivery))
        except BaseException:
            self.close()  # what it still holds must not go out behind what is sent next
            raise

    def close(self) -> None:
        """Disconnect; what was not acknowledged by now is given up. Safe to repeat."""
        runner, self._runner = self._runner, None
        producer, self._producer = self._producer, None
        self._looked_at.clear()
        if runner is not None:
            with runner:
                if producer is not None:
                    runner.run(_stopped(producer))

    def _look(self, topic: str) -> None:
        """Refuse a topic that is not there: aiokafka would have the broker make it."""
        from kafka.errors import for_code  # noqa: PLC0415 - an extra

        with admin(self._settings, seconds=self._delivery) as client:
            [found] = client.describe_topics([topic])
        if found["error_code"]:
            raise for_code(found["error_code"])(f"the topic {topic}")
        self._looked_at.add(topic)

    def _run(self, sending: Any) -> None:  # noqa: ANN401 - a coroutine of whatever it awaits
        if self._runner is None:
            self._runner = asyncio.Runner(loop_factory=asyncio.new_event_loop)  # a thread keeps the loop it has
        self._runner.run(sending)

    async def _sent(self, messages: Sequence[Outgoing]) -> None:
        producer = await self._connected()
        partitions = {topic: sorted(await producer.partitions_for(topic)) for topic in {one.topic for one in messages}}
        futures = [
            await producer.send_batch(batch, topic, partition=partition)
            for (topic, partition), batch in _batches(producer, messages, partitions)
        ]
        for answer in await asyncio.gather(*futures, return_exceptions=True):
            if isinstance(answer, BaseException):
                raise answer

    async def _connected(self) -> AIOKafkaProducer:
        if self._producer is None:
            from aiokafka import AIOKafkaProducer  # noqa: PLC0415 - an extra

            compression = self._settings.compression
            self._producer = AIOKafkaProducer(
                **connection(self._settings), enable_idempotence=True, acks="all", max_batch_size=_BATCH_BYTES,
                compression_type=None if compression == "none" else compression,
                request_timeout_ms=int(self._delivery * 1000),
            )  # fmt: skip
            await self._producer.start()
        return self._producer

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Turn errors of aiokafka into ours, and its absence too."""
        try:
            from aiokafka import errors  # noqa: PLC0415 - an extra
        except ImportError as error:
            raise TaskerError(
                f"publishing events needs aiokafka, which is not installed ({error}); run {INSTALL}"
            ) from error
        try:
            yield
        except tuple(getattr(errors, name) for name in _REFUSALS) as error:
            raise PublishRefused(f"Kafka at {self._where} refuses: {error}") from error
        except (errors.KafkaError, OSError) as error:
            found = str(error) or "silence"
            msg = f"expected Kafka at {self._where} to acknowledge events within {self._delivery:g} s, found {found}"
            raise BrokerUnavailable(f"{msg}; is it running, and are its topics there?") from error


def _batches(
    producer: AIOKafkaProducer, messages: Sequence[Outgoing], partitions: Mapping[str, Sequence[int]]
) -> list[tuple[tuple[str, int], BatchBuilder]]:
    """Fill batches with messages in their order; give them in an order that keeps it within each partition."""
    filled: list[tuple[tuple[str, int], BatchBuilder]] = []
    filling: dict[tuple[str, int], BatchBuilder] = {}
    for one in messages:
        place = one.topic, _partition(one.key, partitions[one.topic])
        batch = filling.get(place)
        if batch is None or not _appended(batch, one):
            batch = filling[place] = producer.create_batch()
            filled.append((place, batch))
            _appended(batch, one)  # the first message of a batch may be of any size
    return filled


def _appended(batch: BatchBuilder, one: Outgoing) -> bool:
    return batch.append(timestamp=None, key=one.key, value=one.value, headers=list(one.headers)) is not None


def _partition(key: bytes | None, partitions: Sequence[int]) -> int:
    """Choose a partition as every other producer does; messages without a key go to any."""
    if key is None:
        return random.choice(partitions)  # noqa: S311 - spreads load, hides nothing
    return partitions[(_hashed(key) & 0x7FFFFFFF) % len(partitions)]


@lru_cache(maxsize=KEYS_REMEMBERED)
def _hashed(key: bytes) -> int:
    """Remember hashes: they are plain Python, and a task has a dozen events."""
    from aiokafka.partitioner import murmur2  # noqa: PLC0415 - an extra

    return int(murmur2(key))


async def _stopped(producer: AIOKafkaProducer) -> None:
    """Stop a producer, which first waits for what it holds: but not for long."""
    try:
        await asyncio.wait_for(producer.stop(), _STOP_SECONDS)
    except TimeoutError:
        _log.debug("a producer holds what the broker does not take, and is given up")
        await producer.client.close()
