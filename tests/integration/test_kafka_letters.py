"""Requests over a real broker: published, taken, dead letters written, listed and replayed."""

from __future__ import annotations

import os

import pytest

from tasker.errors import InvalidRequest
from tasker.kafka.client import cluster_id
from tasker.kafka.dead import DeadLetters
from tasker.kafka.errors import BrokerUnavailable, PublishRefused
from tasker.kafka.intake import Intake
from tasker.kafka.letters import CUT, Letters
from tasker.kafka.message import IDENTITY, UNKNOWN_SINCE, Incoming, Outgoing
from tasker.kafka.publisher import Publisher
from tasker.kafka.publishing import outgoing
from tasker.settings import Settings
from tests import broker
from tests.integration.kafka_kit import consumed, everything, kafka_settings
from tests.unit.kafka.kit import app, order


@pytest.fixture(scope="module")
def bootstrap():
    """The address of a broker."""
    return broker.shared()


class Line:
    """Everything from a topic of requests to a log in memory."""

    def __init__(self, bootstrap):
        """Make the topics."""
        self.bootstrap = bootstrap
        self.kafka = kafka_settings(bootstrap)
        self.cluster = cluster_id(self.kafka)
        self.publisher = Publisher(self.kafka)
        self.shop = app()
        self.intake = Intake(self.shop, Settings.of({}), self.cluster)
        self.letters = Letters(self.publisher, self.kafka.topics, self.cluster)
        self.dead = DeadLetters(self.kafka)

    def request(self, fields):
        """Publish a request as the command does."""
        self.publisher.publish([outgoing(fields, self.kafka.topics, Settings.of({}).sizes)])

    def raw(self, *values, headers=()):
        """Publish bytes as any producer does."""
        self.publisher.publish([Outgoing(self.kafka.topics.requests, b"key", value, headers) for value in values])

    def take(self):
        """Take everything that was ever requested, as after a rebalance that forgot all offsets."""
        taken = self.intake.take(everything(self.bootstrap, self.kafka.topics.requests))
        self.letters.write(taken)
        return taken


@pytest.fixture
def line(bootstrap):
    """Topics of its own, and an application."""
    made = Line(bootstrap)
    yield made
    made.publisher.close()
    made.shop.close()


def test_a_published_request_becomes_one_task(line):
    """Value and header are as any producer gives them; the key is the identity or none; taken twice it is one task."""
    line.request(order(1, idempotency_key="k1", correlation_id="c-1"))
    line.request(order(2))
    [keyed] = [one for one in everything(line.bootstrap, line.kafka.topics.requests) if one.key == b"k1"]
    assert keyed.header("X-Correlation-ID") == "c-1"
    assert {one.key for one in everything(line.bootstrap, line.kafka.topics.requests)} == {b"k1", None}
    first, second = line.take(), line.take()
    assert {task.id for _, task in first.accepted} == {task.id for _, task in second.accepted}
    assert {task.correlation_id for _, task in first.accepted} > {"c-1"}
    assert len(line.shop.tasks().items) == 2


def test_a_dead_letter_has_its_bytes_its_headers_and_its_reason(line):
    """What was sent is kept as it was, a tombstone too; what we know is in headers of our own."""
    line.raw(b"\xff\x00", None, headers=(("shop", b"7"),))
    line.take()
    found = line.dead.letters()
    assert sorted((one.reason, one.message.value) for one in found) == [("not_utf8", b"\xff\x00"), ("tombstone", None)]
    for one in found:
        assert one.message.header("shop") == "7"
        assert one.message.key == b"key"
        assert one.source.startswith(f"{line.kafka.topics.requests}/")
        assert one.message.header(IDENTITY).startswith(f"kafka:{line.cluster}/{line.kafka.topics.requests}/")
        assert one.died_at is not None
        assert not one.replayed


def test_a_replayed_letter_becomes_one_task(line):
    """Letters that were written twice and replayed, one by one and all, make one task; what was replayed is noted."""
    line.raw(b'{"name": "refund", "context": {}}', headers=((UNKNOWN_SINCE, b"1"),))
    line.take()
    line.take()
    [one, two] = line.dead.letters()
    from tasker import StepTemplate, TaskDefinition
    from tests.unit.kafka.kit import nothing

    line.shop.register(TaskDefinition(name="refund", step_templates=[StepTemplate(name="x", handler_class=nothing)]))
    assert line.dead.replay(line.publisher, dry_run=True) == [one, two]
    assert [letter.id for letter in line.dead.replay(line.publisher, ids=[two.id])] == [two.id]
    assert len(line.dead.letters()) == 2
    assert len(line.dead.replay(line.publisher)) == 2
    assert line.dead.letters() == []
    assert [letter.replayed for letter in line.dead.letters(everything=True)] == [True, True]
    again = line.intake.take(everything(line.bootstrap, line.kafka.topics.requests))
    assert len({task.id for _, task in again.accepted}) == 1
    with pytest.raises(InvalidRequest, match="7/7"):
        line.dead.replay(line.publisher, ids=["7/7"])


def test_an_unknown_definition_comes_again(line):
    """It is published again with the time since when it is unknown, under its identity, and the bytes as they were."""
    line.raw(b'{"name": "refund"}')
    line.take()
    first, again = consumed(line.bootstrap, line.kafka.topics.requests, 2)
    first, again = (first, again) if again.header(UNKNOWN_SINCE) else (again, first)
    assert again.value == first.value
    assert again.header(IDENTITY) == first.source(line.cluster)
    assert again.source(line.cluster) == first.source(line.cluster)
    assert line.dead.letters() == []


def test_a_letter_too_large_for_the_broker_is_cut(line):
    """If the broker takes no letter of its size, its beginning is kept, and it is not replayed."""
    from tasker.kafka.client import admin

    names = line.kafka.topics
    small = names.model_copy(update={"dead_letters": f"{names.dead_letters}.small"})
    with admin(line.kafka) as client:
        wish = {"num_partitions": 1, "replication_factor": 1, "configs": {"max.message.bytes": "400000"}}
        client.create_topics({small.dead_letters: wish}, wait_for_metadata=True)
    line.kafka = line.kafka.model_copy(update={"topics": small})
    line.letters, line.dead = Letters(line.publisher, small, line.cluster), DeadLetters(line.kafka)
    line.raw(os.urandom(900_000))
    line.take()
    [one] = line.dead.letters()
    assert (one.size, one.message.header(CUT)) == (262_144, "900000")
    assert line.dead.replay(line.publisher) == []


def test_what_the_broker_refuses_is_an_error(line):
    """A message over the topic's limit is refused at once; a topic that is not there is no broker's fault."""
    with pytest.raises(PublishRefused):
        line.raw(os.urandom(2_000_000))
    line.raw(b"the publisher goes on")
    with pytest.raises(BrokerUnavailable):
        line.publisher.publish([Outgoing("no-such-topic", None, b"x")])


def test_a_message_with_neither_key_nor_value_is_a_letter(line):
    """Other producers can publish nothing at all; that too is written away, and holds nobody up."""
    nothing = Incoming(line.kafka.topics.requests, 0, 0, 0, None, None)
    taken = line.intake.take([nothing])
    line.letters.write(taken)
    [letter] = line.dead.letters()
    assert (letter.reason, letter.message.value) == ("tombstone", None)
