"""`tasker kafka worker` on a real broker: what it takes, refuses and publishes, how it starts and stops."""

from __future__ import annotations

import json
import signal
from contextlib import closing

import pytest

from tasker.kafka import topics
from tasker.kafka.client import admin
from tasker.kafka.dead import DeadLetters
from tasker.kafka.message import Outgoing
from tasker.kafka.pages import PagePublisher
from tests import broker
from tests.integration.cli_kit import wait_for
from tests.integration.kafka_kit import everything, site

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
LARGEST = 4 * 1024 * 1024


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """One worker over a file, for all tests of this module; its topic of requests lets large messages in."""
    folder = tmp_path_factory.mktemp("shop")
    with site(folder, f"sqlite:///{folder}/shop.db", broker.shared()) as made:
        with admin(made.settings.kafka) as client:
            large = {"num_partitions": 4, "replication_factor": 1, "configs": {"max.message.bytes": str(LARGEST)}}
            client.create_topics({made.topics.requests: large})
        topics.create(made.settings.kafka)
        with made.worker() as process:
            yield made
            assert process.stop() == 0, process.err
            assert "Stopped" in process.out
            assert "Traceback" not in process.err


def tasks(shop, tag):
    """The tasks of one test."""
    return [shop.log.task(one.id) for one in shop.log.tasks(tag=tag).items]


def ended(shop, tag, number):
    """Wait until a test's tasks have ended; give them."""
    wait_for(lambda: sum(one.completed_at is not None for one in tasks(shop, tag)) >= number)
    return tasks(shop, tag)


def letters(shop, mark):
    """The dead letters of one test, by their mark."""
    found = DeadLetters(shop.settings.kafka).letters()
    return [one for one in found if one.message.header("mark") == mark]


def test_a_request_runs_to_its_end(shop):
    """A request from any producer becomes a task that runs here; its ids come from the headers, its context from it."""
    headers = (("X-Correlation-ID", b"order-7"), ("traceparent", PARENT.encode()), ("tracestate", b"a=b"))
    shop.publish({"name": "shop", "context": {"item": "tea"}, "tags": ["one"]}, headers=headers)
    [task] = ended(shop, "one", 1)
    assert (task.status, task.step("look").results, task.correlation_id) == ("complete", {"item": "tea"}, "order-7")
    created, *others = shop.log.events(task.id)
    assert dict(created.metadata) == {"traceparent": PARENT, "tracestate": "a=b"}
    assert not any(one.metadata for one in others)
    assert all(one.correlation_id == "order-7" for one in (created, *others))


def test_the_body_wins_over_headers_and_a_wrong_trace_is_none(shop):
    """The request's own correlation id counts; a `traceparent` that is none is passed over and refuses nothing."""
    headers = (("x-correlation-id", b"header"), ("traceparent", b"00-zz-1-01"), ("tracestate", b"a=b"))
    shop.publish({"name": "shop", "tags": ["body"], "correlation_id": "body"}, headers=headers)
    [task] = ended(shop, "body", 1)
    assert task.correlation_id == "body"
    assert dict(next(iter(shop.log.events(task.id))).metadata) == {}


@pytest.mark.parametrize("compression", ["gzip", "snappy", "lz4", "zstd"])
def test_requests_are_taken_in_any_compression(shop, compression):
    """Whatever a producer compresses its requests with, they become tasks."""
    request = json.dumps({"name": "shop", "tags": [compression]}).encode()
    kafka = shop.settings.kafka.model_copy(update={"compression": compression})
    with closing(PagePublisher(kafka)) as publisher:
        publisher.publish([Outgoing(shop.topics.requests, None, request)] * 20)
    assert len(ended(shop, compression, 20)) == 20


def test_good_requests_behind_bad_ones_go_on(shop):
    """Whatever is wrong with a message, it becomes a letter with its reason, and the good ones between them run."""
    mark = (("mark", b"bad"),)
    large = json.dumps({"name": "shop", "context": {"item": "x" * 2_000_000}}).encode()
    bad = {
        "tombstone": None,
        "not_json": b"{",
        "not_utf8": b'{"name": "\xff"}',
        "invalid_request": b'{"name": "shop", "context": {"item": 7}}',
        "too_large": large,
        "unknown_definition": b'{"name": "nobody-knows"}',
    }
    for number, value in enumerate(bad.values()):
        shop.raw(value, headers=mark)
        shop.publish({"name": "shop", "tags": ["good"], "context": {"item": str(number)}})
    assert {one.status for one in ended(shop, "good", len(bad))} == {"complete"}
    wait_for(lambda: len(letters(shop, "bad")) >= len(bad))
    found = {one.reason: one for one in letters(shop, "bad")}
    assert found.keys() == bad.keys()
    assert {reason: one.message.value for reason, one in found.items()} == bad
    assert all(one.error and one.source.startswith(shop.topics.requests) for one in found.values())


def test_events_go_out_once_and_in_order(shop):
    """What the log holds is on the topic of the events: keyed by task, each task's events by their versions."""
    shop.publish(*({"name": "shop", "tags": ["out"], "idempotency_key": f"out-{n}"} for n in range(20)))
    ids = {one.id for one in ended(shop, "out", 20)}
    known = {one.event_id for one in shop.log.events() if one.stream_id in ids}
    wait_for(lambda: known <= {one["id"] for one in shop.events()})
    versions: dict[object, list[object]] = {}
    for message in everything(broker.shared(), shop.topics.events):
        event = json.loads(message.value)
        assert message.key.decode() == event["subject"]
        versions.setdefault(event["subject"], []).append(event["streamversion"])
    assert all(found == list(range(1, len(found) + 1)) for found in versions.values())


@pytest.mark.parametrize(
    ("kafka", "says"),
    [
        ({"bootstrap": ["127.0.0.1:1"], "start_timeout": 1.0}, "127.0.0.1:1"),
        ({"bootstrap": []}, "TASKER_KAFKA__BOOTSTRAP"),
        ({}, "tasker kafka topics"),
    ],
)
def test_a_start_that_cannot_succeed_ends(tmp_path, monkeypatch, capfd, kafka, says):
    """No broker, none named, no topics: one clear line and exit code 1, never a process that lives and does nothing."""
    with site(tmp_path, "sqlite:///shop.db", broker.shared(), kafka=kafka) as made:
        monkeypatch.chdir(tmp_path)
        assert made.shell("kafka", "worker").code == 1
    told = capfd.readouterr().err
    assert says in told
    assert len(told.strip().splitlines()) == 1
    assert "Traceback" not in told


def test_a_broker_that_goes_and_comes(tmp_path):
    """A worker outlives its broker and loses nothing; without one it stops all the same."""
    url = f"sqlite:///{tmp_path}/shop.db"
    with broker.own() as kafka, site(tmp_path, url, kafka.bootstrap) as made:
        topics.create(made.settings.kafka)
        with made.worker() as process:
            made.publish({"name": "shop", "tags": ["before"]})
            ended(made, "before", 1)
            kafka.stop()
            with made.shell.process("submit", "shop", "--tag", "beside", name="beside") as beside:
                assert beside.child.wait(60) == 0, beside.err
            ended(made, "beside", 1)
            kafka.start()
            made.publish({"name": "shop", "tags": ["after"]})
            ended(made, "after", 1)
            wait_for(lambda: sum(one["type"] == "tasker.task.completed" for one in made.events()) == 3)
            kafka.stop()
            process.child.send_signal(signal.SIGTERM)
            assert process.child.wait(90) == 0, process.err
            assert "Stopped" in process.out
            assert "a fault of the program" not in process.err  # what Faust's own threads print is not ours


def test_a_second_signal_ends_a_worker_at_once(tmp_path):
    """While it waits for a handler a second signal ends it, not with 0; what ran is made good later."""
    with site(tmp_path, f"sqlite:///{tmp_path}/shop.db", broker.shared()) as made:
        topics.create(made.settings.kafka)
        with made.worker() as process:
            made.publish({"name": "nap", "context": {"seconds": 600}, "tags": ["nap"]})
            wait_for(lambda: [one.step("nap").status for one in tasks(made, "nap")] == ["in_progress"])
            process.child.send_signal(signal.SIGTERM)
            wait_for(lambda: "leaves the group" in process.err)
            assert process.stop() == 128 + signal.SIGTERM


def test_credentials(tmp_path, monkeypatch, capfd):
    """With the right password a worker runs; with a wrong one it names the user, never the password, and ends."""
    with broker.own(password="correct-horse") as kafka:
        url = f"sqlite:///{tmp_path}/shop.db"
        with site(tmp_path, url, kafka.bootstrap, kafka={"security": kafka.security}) as made:
            topics.create(made.settings.kafka)
            with made.worker() as process:
                made.publish({"name": "shop", "tags": ["right"]})
                ended(made, "right", 1)
                assert process.stop() == 0
        wrong = {"security": {**kafka.security, "password": "battery-staple"}, "start_timeout": 5.0}
        with site(tmp_path, url, kafka.bootstrap, kafka=wrong) as made:
            monkeypatch.chdir(tmp_path)
            assert made.shell("kafka", "worker").code == 1
    told = capfd.readouterr().err
    assert "refused the credentials of 'tasker'" in told
    assert "battery-staple" not in told
    assert "Traceback" not in told
