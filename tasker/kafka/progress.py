"""`Progress`: says when a consumer that owns partitions no longer advances although there is something to consume."""

from __future__ import annotations

import time
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from tasker.kafka.client import admin, consumer, told

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator

    from tasker.settings.sections import Kafka

_LOOKS = 4
"""How often it looks in the time after which it speaks."""


class Lag(NamedTuple):
    """How far a group has come in a partition: the offset it acknowledged (-1 for none), and the end."""

    acknowledged: int
    end: int


Lags = dict[tuple[str, int], Lag]


def lags(settings: Kafka, places: Iterable[tuple[str, int]], topics: Collection[str] = ()) -> Lags:
    """Ask the broker how far the group of the workers has come in some partitions.

    Args:
        settings: Where the broker is, and the name of the group.
        places: The partitions.
        topics: All of their partitions instead, if there are no places and nobody in the group has any: then Faust has
            dealt while it knew nothing of the topics, as it may when the broker has just come back, and would leave it
            at that.

    Raises:
        BrokerUnavailable: It does not answer.
    """
    with closing(consumer(settings, settings.group)) as reading, told(settings):
        from kafka import TopicPartition  # noqa: PLC0415 - an extra

        asked: list[Any] = [TopicPartition(*place) for place in places]
        if not asked and topics and _nobody_has_any(settings):
            parts = {topic: reading.partitions_for_topic(topic) or () for topic in topics}
            asked = [TopicPartition(topic, part) for topic, found in parts.items() for part in found]
        ends = reading.end_offsets(asked) if asked else {}
        done = {place: reading.committed(place) for place in asked}
        return {
            (place.topic, place.partition): Lag(-1 if done[place] is None else done[place], ends[place])
            for place in asked
        }


def _nobody_has_any(settings: Kafka) -> bool:
    """Say whether the group has dealt its partitions, and no member was given one."""
    with admin(settings) as client:
        group = client.describe_groups([settings.group])[settings.group]
    given = [one["member_assignment"] for one in group["members"]]
    return group["group_state"] == "Stable" and all(
        isinstance(one, dict) and not one.get("assigned_partitions") for one in given
    )


class Progress:
    """Compares what was acknowledged with what there is, as the broker tells it and not the consumer.

    A batch that is in hand is no standstill, however long it takes. One that is suspected in vain, for instance because
    a partition ends with marks of transactions, is not suspected again.
    """

    def __init__(self, seconds: float, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Take after how many seconds without an advance it speaks, and a clock."""
        self._seconds = seconds
        self._monotonic = monotonic
        self._held = 0
        self._look_at = 0.0
        self._since: dict[tuple[str, int], tuple[Lag, float]] = {}
        self._suspected: set[tuple[tuple[str, int], Lag]] = set()

    def begin(self) -> None:
        """Forget what was seen of another consumer."""
        self._since = {}
        self._look_at = self._monotonic() + self._seconds / _LOOKS

    @property
    def due(self) -> bool:
        """Say whether it is time to ask the broker again."""
        return self._monotonic() >= self._look_at

    @contextmanager
    def holding(self) -> Iterator[None]:
        """Note that a batch is in hand."""
        self._held += 1
        try:
            yield
        finally:
            self._held -= 1
            self._since = {}

    def judge(self, found: Lags) -> str | None:
        """Take what the broker said; say what stands still, or None."""
        now = self._monotonic()
        self._look_at = now + self._seconds / _LOOKS
        if self._held:
            self._since = {}
            return None
        before, self._since = self._since, {}
        for place, lag in found.items():
            known = before.get(place)
            since = known[1] if known is not None and known[0].acknowledged == lag.acknowledged else now
            if lag.acknowledged >= lag.end or (place, lag) in self._suspected:
                continue
            self._since[place] = (lag, since)
            if now - since >= self._seconds:
                self._suspected.add((place, lag))
                topic, partition = place
                waiting = lag.end - max(lag.acknowledged, 0)
                return f"{topic}/{partition} has not advanced for {now - since:.0f} s, and {waiting} messages wait"
        return None
