"""What the watchdog of progress asks a real broker: how far a group has come, and whether anybody has partitions."""

from __future__ import annotations

from contextlib import closing

from tasker.kafka.client import load
from tasker.kafka.message import Outgoing
from tasker.kafka.progress import Lag, lags
from tasker.kafka.publisher import Publisher
from tests import broker
from tests.integration.cli_kit import wait_for
from tests.integration.kafka_kit import kafka_settings

load()

from kafka import KafkaConsumer  # noqa: E402 - imported by `load` first, which keeps it quiet


def test_a_group_whose_members_were_given_nothing():
    """Partitions that nobody was given count as everybody's; those that somebody has are his affair."""
    settings = kafka_settings(broker.shared(), partitions=2)
    topic = settings.topics.requests
    with closing(Publisher(settings)) as publisher:
        publisher.publish([Outgoing(topic, None, b"{}")])
    bootstrap = list(settings.bootstrap)
    with closing(KafkaConsumer(bootstrap_servers=bootstrap, group_id=settings.group)) as member:
        member.subscribe(pattern="^no-topic-has-this-name$")

        def found() -> dict[tuple[str, int], Lag]:
            member.poll(timeout_ms=100)
            return lags(settings, [], [topic])

        wait_for(lambda: len(found()) == 2)
        assert sum(lag.end for lag in found().values()) == 1
        assert {lag.acknowledged for lag in found().values()} == {-1}
        member.unsubscribe()
        member.subscribe([topic])
        wait_for(lambda: found() == {} and bool(member.assignment()))
        assert len(lags(settings, [(topic, 0), (topic, 1)], [topic])) == 2
