"""Dead letters and messages that come again: what is written where, with which headers."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tasker.kafka.errors import PublishRefused
from tasker.kafka.message import IDENTITY, UNKNOWN_SINCE, Outgoing, foreign

if TYPE_CHECKING:
    from collections.abc import Callable

    from tasker.kafka.intake import Taken
    from tasker.kafka.message import Headers, Incoming
    from tasker.kafka.publisher import Publisher
    from tasker.kafka.reading import Refusal
    from tasker.settings.sections import Topics

REASON, ERROR, DIED_AT, CUT = "tasker-reason", "tasker-error", "tasker-died-at", "tasker-cut"
TOPIC, PARTITION, OFFSET, TIMESTAMP = "tasker-topic", "tasker-partition", "tasker-offset", "tasker-timestamp"
_KEPT_BYTES = 262_144


class Letters:
    """Writes what intake could not accept."""

    def __init__(
        self, publisher: Publisher, topics: Topics, cluster_id: str, *, now: Callable[[], float] = time.time
    ) -> None:
        """Take the publisher, the names of the topics, the cluster's id, and the time of the day in seconds."""
        self._publisher = publisher
        self._topics = topics
        self._cluster = cluster_id
        self._now = now

    def write(self, taken: Taken) -> None:
        """Publish the dead and the late messages of a batch; they are acknowledged when this returns.

        Raises:
            BrokerUnavailable: The broker does not answer; write them again.
            PublishRefused: It will not take one of them.
        """
        dead = [self._letter(message, why) for message, why in taken.dead]
        later = [self._again(message) for message in taken.later]
        if not dead and not later:
            return
        try:
            self._publisher.publish([*dead, *later])
        except PublishRefused:
            if not any(one.value is not None and len(one.value) > _KEPT_BYTES for one in dead):
                raise
            self._publisher.publish([*map(_cut, dead), *later])

    def _letter(self, message: Incoming, why: Refusal) -> Outgoing:
        own = {
            IDENTITY: message.source(self._cluster),
            REASON: why.reason.value,
            ERROR: why.text,
            TOPIC: message.topic,
            PARTITION: str(message.partition),
            OFFSET: str(message.offset),
            TIMESTAMP: str(message.timestamp),
            DIED_AT: str(int(self._now() * 1000)),
        }
        key = b"" if message.key is None and message.value is None else message.key  # no producer of ours takes neither
        return Outgoing(self._topics.dead_letters, key, message.value, _with(message.headers, own))

    def _again(self, message: Incoming) -> Outgoing:
        """Publish without a key: another partition, perhaps one of a worker that knows the definition."""
        since = message.header(UNKNOWN_SINCE) or str(int(self._now() * 1000))
        own = {IDENTITY: message.source(self._cluster), UNKNOWN_SINCE: since}
        return Outgoing(self._topics.requests, None, message.value, _with(message.headers, own))


def revived(letter: Incoming, topics: Topics) -> Outgoing:
    """Give the request of a dead letter, to be published again under the identity that it had."""
    identity = letter.header(IDENTITY)
    own = {} if identity is None else {IDENTITY: identity}
    return Outgoing(topics.requests, letter.key, letter.value, _with(letter.headers, own))


def _with(headers: Headers, own: dict[str, str]) -> Headers:
    """Lay our headers over those that others gave."""
    return (*foreign(headers), *((name, value.encode()) for name, value in own.items()))


def _cut(letter: Outgoing) -> Outgoing:
    """Keep the beginning of what is too large for the broker."""
    value = letter.value
    if value is None or len(value) <= _KEPT_BYTES:
        return letter
    return letter._replace(value=value[:_KEPT_BYTES], headers=(*letter.headers, (CUT, str(len(value)).encode())))
