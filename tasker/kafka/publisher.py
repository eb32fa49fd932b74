"""`Publisher`: messages go out together and are acknowledged together, by all replicas, in order."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING, NamedTuple

from tasker.kafka.client import producer, told
from tasker.kafka.errors import PublishRefused

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kafka import KafkaProducer

    from tasker.kafka.message import Outgoing
    from tasker.settings.sections import Kafka

DELIVERY_SECONDS = 20.0


class Place(NamedTuple):
    """Where a message was stored."""

    topic: str
    partition: int
    offset: int


class Publisher:
    """Publishes through one idempotent producer, which is connected at the first use. Thread-safe."""

    def __init__(self, settings: Kafka, *, linger: float = 0.005, delivery: float = DELIVERY_SECONDS) -> None:
        """Connect nothing.

        Args:
            settings: Where the broker is.
            linger: Seconds for which messages wait for company.
            delivery: Seconds after which a message that was not acknowledged has failed.
        """
        self._settings = settings
        self._linger, self._delivery = linger, delivery
        self._producer: KafkaProducer | None = None
        self._using = Lock()

    def publish(self, messages: Iterable[Outgoing]) -> list[Place]:
        """Publish messages, and return when all of them are acknowledged.

        Messages with the same topic and key keep their order. After an error some may have been published; whoever
        sends them again publishes those twice.

        Raises:
            BrokerUnavailable: The broker does not answer, or the topic has no leader.
            PublishRefused: It will not take one of the messages.
        """
        with self._using:
            try:
                with told(self._settings):
                    return self._publish(messages)
            except BaseException:
                self._forget()  # what it still holds must not go out behind what is sent next
                raise

    def close(self) -> None:
        """Disconnect; what was not acknowledged by now is given up. Safe to repeat."""
        with self._using:
            self._forget()

    def _publish(self, messages: Iterable[Outgoing]) -> list[Place]:
        if self._producer is None:
            self._producer = producer(self._settings, linger=self._linger, delivery=self._delivery)
        sending = self._producer
        try:
            futures = [sending.send(one.topic, one.value, one.key, list(one.headers)) for one in messages]
        except (ValueError, TypeError) as error:
            raise PublishRefused(f"kafka-python refuses a message: {error}") from error
        if not futures:
            return []
        sending.flush(timeout=self._delivery)
        found = [future.get(timeout=1) for future in futures]
        return [Place(one.topic, one.partition, one.offset) for one in found]

    def _forget(self) -> None:
        """Give the producer up at once, with what it still holds."""
        gone, self._producer = self._producer, None
        if gone is not None:
            # Its `close` first waits for what it holds and, without a broker, fails before it has ended its thread.
            gone.flush = _nothing
            gone.close(timeout=0)


def _nothing(timeout: float | None = None) -> None:
    """Wait for nothing."""
