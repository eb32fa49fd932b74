"""Topics are made, checked and never changed; a broker that does not answer is said to be so."""

from __future__ import annotations

import re
import time

import pytest

from tasker.kafka import topics
from tasker.kafka.client import admin, cluster_id
from tasker.kafka.errors import BrokerUnavailable, WrongTopic
from tasker.settings.sections import Kafka
from tests import broker
from tests.integration.kafka_kit import kafka_settings


@pytest.fixture(scope="module")
def bootstrap():
    """The address of a broker."""
    return broker.shared()


def test_topics_are_made_once(bootstrap):
    """What is missing is made as the settings ask, and a second time nothing changes."""
    settings = kafka_settings(bootstrap, partitions=3, make=False)
    assert {one.state for one in topics.look(settings)} == {topics.MISSING}
    with pytest.raises(WrongTopic, match="tasker kafka topics"):
        topics.require(settings)
    made = topics.create(settings)
    assert [(one.role, one.partitions, one.state) for one in made] == [
        ("requests", 3, topics.CREATED), ("dead_letters", 1, topics.CREATED),
        ("steps", 3, topics.CREATED), ("events", 3, topics.CREATED),
    ]  # fmt: skip
    assert {one.state for one in topics.create(settings)} == {topics.READY}
    topics.require(settings)


def test_too_few_partitions_are_a_problem(bootstrap):
    """A topic with fewer partitions than the settings ask for is not changed; what to do is said."""
    settings = kafka_settings(bootstrap, partitions=2)
    more = settings.model_copy(update={"partitions": 4})
    found = {one.role: one for one in topics.create(more)}
    assert found["dead_letters"].state == topics.READY
    assert found["requests"].state == topics.WRONG
    assert "expected at least 4 partitions" in (found["requests"].problem or "")
    assert "found 2" in (found["requests"].problem or "")


def test_a_compacted_topic_is_a_problem(bootstrap):
    """Compaction would throw events of a task away, for they share its key."""
    settings = kafka_settings(bootstrap, partitions=1, make=False)
    with admin(settings) as client:
        compacted = {"num_partitions": 1, "replication_factor": 1, "configs": {"cleanup.policy": "compact"}}
        client.create_topics({settings.topics.events: compacted}, wait_for_metadata=True)
    found = {one.role: one for one in topics.create(settings)}
    assert found["events"].state == topics.WRONG
    assert "compact" in (found["events"].problem or "")


def test_no_broker_is_said_in_time():
    """Where nothing answers, the error names the address, after the time that was given and no more."""
    settings = Kafka(bootstrap=("127.0.0.1:1",))
    began = time.monotonic()
    with pytest.raises(BrokerUnavailable, match=re.escape("127.0.0.1:1")):
        cluster_id(settings, seconds=1.0)
    assert time.monotonic() - began < 30


def test_credentials_that_the_broker_does_not_know_are_an_error(bootstrap):
    """A broker that asks for no credentials, or other ones, ends the wait with an error; the password is not in it."""
    security = {"protocol": "SASL_PLAINTEXT", "mechanism": "PLAIN", "username": "me", "password": "hunter2"}
    with pytest.raises(BrokerUnavailable) as raised:
        cluster_id(Kafka(bootstrap=(bootstrap,), security=security), seconds=2.0)
    assert "hunter2" not in str(raised.value)
