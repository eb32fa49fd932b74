"""`PagePublisher` against a real broker: where messages go, what a broker refuses, and any compression."""

from __future__ import annotations

import asyncio
from contextlib import closing

import pytest
from aiokafka import AIOKafkaConsumer

from tasker.errors import TaskerError
from tasker.kafka import pages
from tasker.kafka.client import load
from tasker.kafka.errors import BrokerUnavailable, PublishRefused
from tasker.kafka.message import Outgoing
from tasker.kafka.pages import PagePublisher
from tasker.kafka.publisher import Publisher
from tasker.kafka.topics import LARGEST_EVENT
from tests import broker
from tests.integration.kafka_kit import everything, kafka_settings

load()

from kafka import KafkaAdminClient  # noqa: E402 - imported by `load` first, which keeps it quiet

HEADERS = (("content-type", b"text/plain"), ("empty", b""))
COMPRESSIONS = ("none", "gzip", "snappy", "lz4", "zstd")


@pytest.fixture(scope="module")
def bootstrap():
    """The address of a broker."""
    return broker.shared()


@pytest.fixture
def kafka(bootstrap):
    """Settings with topics of their own."""
    return kafka_settings(bootstrap, partitions=3)


async def read_by_aiokafka(bootstrap, topic, number):
    """Consume so many messages with a client that has every compression."""
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    try:
        async with asyncio.timeout(20):
            return [await consumer.getone() for _ in range(number)]
    finally:
        await consumer.stop()


def page(topic, number, size=10):
    """Messages of seven keys whose values tell their order."""
    return [
        Outgoing(topic, f"key{place % 7}".encode(), f"{place}".zfill(size).encode(), HEADERS) for place in range(number)
    ]


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_a_page_arrives_whole_and_in_order(kafka, compression):
    """All messages of many batches are there, with key, value and headers, and those of a key in their order."""
    sent = page(kafka.topics.events, 3_000, size=300)
    with closing(PagePublisher(kafka.model_copy(update={"compression": compression}))) as publisher:
        publisher.publish(sent[:1_700])
        publisher.publish(sent[1_700:])
    found = asyncio.run(read_by_aiokafka(kafka.bootstrap[0], kafka.topics.events, len(sent)))
    assert {(one.key, one.value, one.headers) for one in found} == {(one.key, one.value, HEADERS) for one in sent}
    assert len(found) == len(sent)
    for key in {one.key for one in sent}:
        assert [one.value for one in found if one.key == key] == [one.value for one in sent if one.key == key]


def test_keys_go_where_other_producers_send_them(kafka):
    """A key has one partition, whether kafka-python publishes it or the relay does."""
    sent = [Outgoing(kafka.topics.events, f"key {number}".encode(), b"") for number in range(100)]
    with closing(PagePublisher(kafka)) as relaying, closing(Publisher(kafka)) as publisher:
        relaying.publish(sent)
        publisher.publish(sent)
    places = {(one.key, one.partition) for one in everything(kafka.bootstrap[0], kafka.topics.events)}
    assert len(places) == len(sent)
    assert len({partition for _, partition in places}) == 3


def test_no_key_no_value_no_message(kafka):
    """A message without a key goes anywhere, one without a value stays one, and a page of none is no work."""
    with closing(PagePublisher(kafka)) as publisher:
        publisher.publish([])
        publisher.publish([Outgoing(kafka.topics.events, None, b"a"), Outgoing(kafka.topics.events, b"k", None)])
    found = everything(kafka.bootstrap[0], kafka.topics.events)
    assert {(one.key, one.value) for one in found} == {(None, b"a"), (b"k", None)}


def test_a_large_message_goes_alone_and_too_large_a_one_is_refused(kafka):
    """What the topic allows arrives between small ones; what it does not is refused, and the next page goes on."""
    large = bytes(LARGEST_EVENT - 1_000)
    around = page(kafka.topics.events, 2)
    kafka = kafka.model_copy(update={"compression": "none"})
    with closing(PagePublisher(kafka)) as publisher:
        publisher.publish([around[0], Outgoing(kafka.topics.events, b"key0", large), around[1]])
        with pytest.raises(PublishRefused, match=rf"Kafka at {kafka.bootstrap[0]} refuses: .*MessageSizeTooLarge"):
            publisher.publish([Outgoing(kafka.topics.events, b"key0", bytes(LARGEST_EVENT + 1_000))])
        publisher.publish(around)
    assert len(everything(kafka.bootstrap[0], kafka.topics.events)) == 5


def test_a_compression_whose_package_is_missing(kafka, monkeypatch):
    """What compresses is named, with the command that installs it and the way without; gzip needs nothing."""
    monkeypatch.setattr(pages, "find_spec", lambda name: None)
    with pytest.raises(TaskerError, match=r"kafka\.compression: lz4 needs cramjam.*pip install .*, or set gzip"):
        PagePublisher(kafka.model_copy(update={"compression": "lz4"}))
    with closing(PagePublisher(kafka)) as publisher:
        publisher.publish(page(kafka.topics.events, 1))


def test_a_missing_topic_is_not_made(bootstrap):
    """A topic that is not there is told, with what to do; the broker is not asked to make it."""
    kafka = kafka_settings(bootstrap, make=False)
    with (
        closing(PagePublisher(kafka, delivery=2.0)) as publisher,
        pytest.raises(BrokerUnavailable, match="tasker kafka topics"),
    ):
        publisher.publish(page(kafka.topics.events, 1))
    with closing(KafkaAdminClient(bootstrap_servers=bootstrap)) as client:
        assert kafka.topics.events not in client.list_topics()


def test_a_name_that_is_none_is_refused(kafka):
    """A topic that can never be there stops the page for good."""
    with closing(PagePublisher(kafka)) as publisher, pytest.raises(PublishRefused, match="not a topic"):
        publisher.publish(page("not a topic", 1))


def test_nobody_there():
    """Without a broker the error names the address, within the time that was given."""
    kafka = kafka_settings("127.0.0.1:9", make=False)
    with (
        closing(PagePublisher(kafka, delivery=1.0)) as publisher,
        pytest.raises(BrokerUnavailable, match=r"127\.0\.0\.1:9"),
    ):
        publisher.publish(page(kafka.topics.events, 1))


def test_the_event_loop_of_the_caller_stays(kafka):
    """A thread that has an event loop of its own, and does not run it now, has it afterwards."""
    own = asyncio.new_event_loop()
    asyncio.set_event_loop(own)
    try:
        with closing(PagePublisher(kafka)) as publisher:
            publisher.publish(page(kafka.topics.events, 1))
        assert asyncio.get_event_loop() is own
    finally:
        asyncio.set_event_loop(None)
        own.close()


@pytest.mark.slow
def test_a_broker_that_goes_and_comes():
    """One that restarted between pages gets the next as if nothing had been; what it could not take in time stays away.

    When it is back, the page after that arrives.
    """
    with broker.own() as own:
        kafka = kafka_settings(own.bootstrap)
        with closing(PagePublisher(kafka, delivery=3.0)) as publisher:
            publisher.publish(page(kafka.topics.events, 1))
            own.stop()
            own.start()
            publisher.publish(page(kafka.topics.events, 2))
            own.stop("KILL")
            with pytest.raises(BrokerUnavailable, match=own.bootstrap):
                publisher.publish(page(kafka.topics.events, 4))
            own.start()
            publisher.publish(page(kafka.topics.events, 8))
        assert len(everything(own.bootstrap, kafka.topics.events)) == 1 + 2 + 8
