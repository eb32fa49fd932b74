"""The relay: every event of the log on the topic, at least once, in order per task, by one owner at a time."""

from __future__ import annotations

import time
from collections import defaultdict

import pytest

from tasker.kafka import topics
from tasker.kafka.pages import PagePublisher
from tasker.kafka.relay import Relay
from tasker.log.open import open_store
from tests import broker
from tests.integration.cli_kit import wait_for
from tests.integration.kafka_kit import cloud, consumed, everything, kafka_settings
from tests.unit.kafka.kit import app, order


@pytest.fixture(scope="module")
def bootstrap():
    """The address of a broker."""
    return broker.shared()


class Shop:
    """An application on a file, the topics of its events, and relays."""

    def __init__(self, url, bootstrap):
        """Make the topics."""
        self.url, self.bootstrap = url, bootstrap
        self.kafka = kafka_settings(bootstrap)
        self.app = app(url)
        self.relays, self.publishers, self.stores = [], [], []

    def run(self, number):
        """Run some tasks to their end."""
        self.app.submit_many([order(one) for one in range(number)])
        self.app.run_until_idle()

    @property
    def events(self):
        """The whole log."""
        return list(self.app.events())

    def relay(self, *, topic=None, lease=30.0, delivery=5.0) -> Relay:
        """A relay as a worker of its own would have it."""
        store = open_store(self.url)
        publisher = PagePublisher(self.kafka, delivery=delivery)
        made = Relay(store, publisher, topic or self.kafka.topics.events, lease=lease)
        self.relays.append(made)
        self.publishers.append(publisher)
        self.stores.append(store)
        return made

    def published(self):
        """Everything on the topic."""
        return everything(self.bootstrap, self.kafka.topics.events)

    def close(self):
        """Stop everything."""
        for relay in self.relays:
            relay.stop()
        for publisher in self.publishers:
            publisher.close()
        for store in self.stores:
            store.close()
        self.app.close()


@pytest.fixture
def shop(bootstrap, tmp_path):
    """An application with topics of its own."""
    made = Shop(f"sqlite:///{tmp_path}/shop.db", bootstrap)
    yield made
    made.close()


def in_order(messages) -> bool:
    """Whether, without repeats, the events of each task come by their version."""
    seen = defaultdict(int)
    for one in messages:
        event = cloud(one)
        if event["streamversion"] > seen[event["subject"]] + 1:
            return False
        seen[event["subject"]] = max(seen[event["subject"]], event["streamversion"])
    return True


def test_every_event_is_published_as_a_cloudevent(shop):
    """Each event of the log is there once, keyed by its task, as the CloudEvent that subscribers see."""
    shop.run(5)
    shop.app.pause(scope="namespace:other", reason="why", actor="me")
    relay = shop.relay()
    while relay.step():
        pass
    events = shop.events
    found = shop.published()
    assert {cloud(one)["id"]: cloud(one) for one in found} == {one.event_id: one.cloudevent() for one in events}
    assert len(found) == len(events)
    assert all(one.key.decode() == cloud(one)["subject"] for one in found)
    assert {one.header("content-type") for one in found} == {"application/cloudevents+json; charset=UTF-8"}
    assert in_order(found)
    assert relay.state == (True, events[-1].position, None)


def test_it_goes_on_where_another_stopped(shop):
    """A relay that stops in order gives its place up at once, and nothing is published twice."""
    shop.run(3)
    first = shop.relay()
    first.start()
    wait_for(lambda: first.state.position == shop.events[-1].position)
    assert first.stop()
    shop.run(3)
    second = shop.relay()
    while second.step():
        pass
    assert len(shop.published()) == len(shop.events)


def test_one_owner_at_a_time(shop):
    """While one owns the subscription another publishes nothing; a dead one's place is free when its lease ends."""
    shop.run(2)
    first, second = shop.relay(lease=1.0), shop.relay(lease=1.0)
    assert first.step()
    assert not second.step()
    assert not second.state.owner
    shop.run(2)
    wait_for(second.step)
    assert second.state.owner
    head = shop.events[-1].position
    wait_for(lambda: not second.step() and second.state.position == head)
    assert in_order(shop.published())


def test_what_was_not_stored_as_published_comes_again(shop):
    """A relay that dies between acknowledgement and checkpoint: its page comes twice, complete and in order."""
    shop.run(4)
    first = shop.relay(lease=1.0)
    first._moved = lambda row, position: None
    assert first.step()
    second = shop.relay(lease=1.0)
    wait_for(second.step)
    while second.step():
        pass
    found, events = shop.published(), shop.events
    assert len(found) == 2 * len(events)
    assert {cloud(one)["id"] for one in found} == {one.event_id for one in events}
    assert in_order(found)


def test_a_refused_event_stops_it_with_its_position(shop):
    """What the broker will never take stops the subscription for everybody, and says where; a person resumes it."""
    shop.run(2)
    relay = shop.relay(topic="not a topic")
    assert not relay.step()
    [row] = [one for one in shop.app.subscriptions.list() if one.name == "relay"]
    assert (row.state, row.checkpoint) == ("failed", 0)
    assert "position 0" in row.error
    assert relay.state.problem == row.error
    shop.app.subscriptions.resume("relay")
    wait_for(shop.relay().step)
    assert len(shop.published()) == len(shop.events)


def test_a_paused_relay_rests(shop):
    """`subscriptions pause` stops it behind the page at hand, `resume` lets it go on."""
    shop.run(1)
    relay = shop.relay(lease=1.0)
    assert relay.step()
    shop.app.subscriptions.pause("relay")
    shop.run(1)
    relay.step()
    shop.run(1)
    before = len(shop.published())
    wait_for(lambda: not relay.step() and not relay.state.owner)
    assert len(shop.published()) == before < len(shop.events)
    shop.app.subscriptions.resume("relay")
    wait_for(lambda: not relay.step() and relay.state.position == shop.events[-1].position)


@pytest.mark.slow
def test_it_outlives_the_broker(tmp_path):
    """The broker stops and comes back, in order and by force: nothing is lost, and the order of a task holds."""
    with broker.own() as kafka:
        shop = Shop(f"sqlite:///{tmp_path}/shop.db", kafka.bootstrap)
        try:
            relay = shop.relay(delivery=6.0)
            relay.start()
            for how in ("TERM", "KILL"):
                shop.run(10)
                kafka.stop(how)
                shop.run(10)
                wait_for(lambda: relay.state.problem is not None, seconds=40)
                assert kafka.bootstrap in relay.state.problem
                kafka.start()
                shop.run(5)
                head = shop.events[-1].position
                wait_for(lambda head=head: relay.state.position == head, seconds=60)
                assert relay.state.problem is None
            found = consumed(kafka.bootstrap, shop.kafka.topics.events, len(shop.events))
            assert {cloud(one)["id"] for one in found} >= {one.event_id for one in shop.events}
            assert in_order(found)
        finally:
            shop.close()


@pytest.mark.slow
def test_a_stop_without_a_broker_ends_in_time(tmp_path):
    """A relay whose broker is gone stops within its bound."""
    with broker.own() as kafka:
        shop = Shop(f"sqlite:///{tmp_path}/shop.db", kafka.bootstrap)
        try:
            shop.run(1)
            relay = shop.relay(delivery=3.0)
            relay.start()
            wait_for(lambda: relay.state.position > 0)
            kafka.stop("KILL")
            shop.run(1)
            wait_for(lambda: relay.state.problem is not None, seconds=40)
            began = time.monotonic()
            relay.stop(8.0)
            assert time.monotonic() - began < 20
        finally:
            shop.close()


def test_the_topic_is_as_the_settings_say(shop):
    """The topic of events is never compacted: the events of a task share a key."""
    found = {one.role: one for one in topics.look(shop.kafka)}
    assert found["events"].state == topics.READY
