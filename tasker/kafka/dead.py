"""`DeadLetters`: look at what could not be accepted, and publish it again."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from tasker.errors import InvalidRequest
from tasker.kafka.client import consumer, told
from tasker.kafka.errors import WrongTopic
from tasker.kafka.letters import CUT, DIED_AT, ERROR, OFFSET, PARTITION, REASON, TOPIC, revived
from tasker.kafka.message import Incoming, headers_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from kafka import KafkaConsumer

    from tasker.kafka.publisher import Publisher
    from tasker.settings.sections import Kafka

_POLL_MS = 1_000
_IDLE_POLLS = 10
_AT_ONCE = 500


class Letter(NamedTuple):
    """One dead letter.

    Attributes:
        id: Its place in the topic of the dead letters, `partition/offset`.
        reason: Why it is one, in a word.
        error: Why, in a sentence.
        source: Where it was first, `topic/partition/offset`.
        died_at: When it was given up.
        replayed: True if it was published again since, together with everything before it.
        size: Bytes of its value.
        message: The message itself.
    """

    id: str
    reason: str
    error: str
    source: str
    died_at: datetime | None
    replayed: bool
    size: int
    message: Incoming


class DeadLetters:
    """Reads the topic of the dead letters; what was replayed is remembered as offsets of a group of its own."""

    def __init__(self, settings: Kafka) -> None:
        """Connect nothing."""
        self._settings = settings
        self._topic = settings.topics.dead_letters
        self._group = f"{settings.group}.dlq"

    def letters(self, *, everything: bool = False, limit: int | None = None) -> list[Letter]:
        """Give the dead letters in order.

        Args:
            everything: True for those too that were replayed.
            limit: How many at most.

        Raises:
            BrokerUnavailable: The broker does not answer.
            WrongTopic: There is no such topic.
        """
        found: list[Letter] = []
        with self._consumer() as reading:
            for letter in self._read(reading, everything=everything):
                if limit is not None and len(found) >= limit:
                    break
                found.append(letter)
        return found

    def replay(self, publisher: Publisher, *, ids: Sequence[str] = (), dry_run: bool = False) -> list[Letter]:
        """Publish requests again, each under the identity that it had: one that was accepted since stays one task.

        Args:
            publisher: Publishes them.
            ids: Which, as `partition/offset`; none for all that were not replayed yet, which count as replayed then.
            dry_run: True to publish nothing.

        Returns:
            What was published, or would be. A letter whose bytes were cut cannot be published again.

        Raises:
            InvalidRequest: There is no letter of such an id.
            BrokerUnavailable: The broker does not answer.
        """
        with self._consumer() as reading:
            letters = list(self._read(reading, everything=bool(ids)))
            if ids:
                letters = _chosen(letters, ids)
            whole = [one for one in letters if one.message.header(CUT) is None]
            if dry_run:
                return whole
            for first in range(0, len(whole), _AT_ONCE):
                batch = whole[first : first + _AT_ONCE]
                publisher.publish([revived(one.message, self._settings.topics) for one in batch])
            if letters and not ids:
                self._mark(reading, letters)
        return whole

    def _consumer(self) -> closing[KafkaConsumer]:
        return closing(consumer(self._settings, self._group))

    def _read(self, reading: KafkaConsumer, *, everything: bool) -> Iterator[Letter]:
        """Read from the beginning to the end as it is now."""
        with told(self._settings):
            from kafka import TopicPartition  # noqa: PLC0415 - an extra

            numbers = reading.partitions_for_topic(self._topic)
            if not numbers:
                raise WrongTopic(f"topic {self._topic} is missing; `tasker kafka topics` makes it")
            places = [TopicPartition(self._topic, number) for number in sorted(numbers)]
            reading.assign(places)
            first, last = reading.beginning_offsets(places), reading.end_offsets(places)
            marks = {place: reading.committed(place) or 0 for place in places}
            open_at = {place: first[place] if everything else max(first[place], marks[place]) for place in places}
            for place in places:
                reading.seek(place, open_at[place])
            for record in _records(reading, {place: last[place] for place in places if open_at[place] < last[place]}):
                place = TopicPartition(record.topic, record.partition)
                yield _letter(record, replayed=record.offset < marks[place])

    def _mark(self, reading: KafkaConsumer, letters: Sequence[Letter]) -> None:
        """Remember what was replayed."""
        with told(self._settings):
            from kafka import OffsetAndMetadata, TopicPartition  # noqa: PLC0415 - an extra

            ends: dict[int, int] = {}
            for one in letters:
                ends[one.message.partition] = max(one.message.offset + 1, ends.get(one.message.partition, 0))
            offsets = {
                TopicPartition(self._topic, number): OffsetAndMetadata(end, "", -1) for number, end in ends.items()
            }
            reading.commit(offsets)


def _records(reading: KafkaConsumer, ends: dict[Any, int]) -> Iterator[Any]:
    """Consume up to some ends."""
    idle = 0
    while ends and idle < _IDLE_POLLS:
        polled = reading.poll(timeout_ms=_POLL_MS)
        idle = 0 if polled else idle + 1
        for place, records in polled.items():
            for record in records:
                if place in ends and record.offset < ends[place]:
                    yield record
        for place in [place for place in ends if reading.position(place) >= ends[place]]:
            del ends[place]


def _letter(record: Any, *, replayed: bool) -> Letter:  # noqa: ANN401 - kafka-python has no types
    message = Incoming(
        record.topic, record.partition, record.offset, record.timestamp, record.key, record.value,
        headers_of(record.headers),
    )  # fmt: skip
    source = [message.header(name) or "?" for name in (TOPIC, PARTITION, OFFSET)]
    died = message.header(DIED_AT)
    return Letter(
        id=f"{message.partition}/{message.offset}",
        reason=message.header(REASON) or "unknown",
        error=message.header(ERROR) or "",
        source="/".join(source),
        died_at=datetime.fromtimestamp(int(died) / 1000, UTC) if died and died.isdecimal() else None,
        replayed=replayed,
        size=len(message.value or b""),
        message=message,
    )


def _chosen(letters: Sequence[Letter], ids: Sequence[str]) -> list[Letter]:
    known = {one.id: one for one in letters}
    for wish in ids:
        if wish not in known:
            msg = f"expected the id of a dead letter (partition/offset, see `tasker kafka dlq list`), found {wish!r}"
            raise InvalidRequest(msg)
    return [known[wish] for wish in dict.fromkeys(ids)]
