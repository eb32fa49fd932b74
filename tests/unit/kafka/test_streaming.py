"""The Faust app: which release, how it is set up, and how it proves itself to a broker."""

from __future__ import annotations

import asyncio
from importlib.metadata import PackageNotFoundError
from types import SimpleNamespace

import pytest

from tasker.errors import InvalidDefinition, TaskerError
from tasker.kafka import streaming
from tasker.settings.sections import Kafka


@pytest.fixture
def fresh():
    """What was found out about Faust is forgotten before and after."""
    streaming.load.cache_clear()
    yield
    streaming.load.cache_clear()


def missing(name):
    """No such distribution."""
    raise PackageNotFoundError(name)


@pytest.mark.parametrize(
    ("version", "says"), [(lambda _: "0.11.3", "found 0.11.3"), (missing, "found faust, an older project")]
)
def test_another_faust_is_refused(fresh, monkeypatch, version, says):
    """Another release, or the older project of the same name, is an error that names the line which installs it."""
    monkeypatch.setattr(streaming, "version", version)
    with pytest.raises(TaskerError, match=says) as told:
        streaming.load()
    assert "pip install 'tasker-engine[kafka]'" in str(told.value)


def test_no_faust_is_said(fresh, monkeypatch):
    """Without any, the same line."""
    monkeypatch.setattr(streaming, "version", missing)
    monkeypatch.setattr(streaming, "find_spec", lambda _: None)
    with pytest.raises(TaskerError, match="found none"):
        streaming.load()


def built(**values):
    """An app, built in a loop of its own."""

    async def build():
        return streaming.build(Kafka(bootstrap=("h1:9092", "h2:9092"), **values), {"requests": asyncio.sleep})

    return asyncio.run(build())


def test_an_app_is_set_up_as_the_contract_asks():
    """No web server, no tables, nothing declared; it waits for what is in hand, one batch at a time."""
    app = built(group="shop", session_timeout=8.0)
    conf = app.conf
    assert (conf.id, [url.host for url in conf.broker]) == ("shop", ["h1", "h2"])
    assert (conf.web_enabled, conf.topic_allow_declare, conf.topic_disable_leader) == (False, False, True)
    assert (conf.stream_wait_empty, conf.broker_session_timeout, conf.broker_credentials) == (True, 8.0, None)
    assert [agent.concurrency for agent in app.agents.values()] == [1]


def test_credentials():
    """User and password go to Faust as they go to kafka-python; with TLS comes a context."""
    plain = {"protocol": "SASL_PLAINTEXT", "mechanism": "SCRAM-SHA-256", "username": "u", "password": "p"}
    found = built(security=plain).conf.broker_credentials
    assert (found.protocol.value, found.mechanism.value) == ("SASL_PLAINTEXT", "SCRAM-SHA-256")
    assert (found.username, found.password) == ("u", "p")
    assert built(security={**plain, "protocol": "SASL_SSL"}).conf.broker_credentials.ssl_context is not None
    assert built(security={"protocol": "SSL"}).conf.broker_credentials.protocol.value == "SSL"
    with pytest.raises(InvalidDefinition, match="no-such-file"):
        built(security={"protocol": "SSL", "ca_file": "no-such-file"})


class Stream:
    """Stands for a stream of Faust: gives events one after the other, and notes what is acknowledged."""

    def __init__(self, number):
        """Take how many events there are."""
        self.number, self.acknowledged, self.given, self.enable_acks = number, [], 0, True

    async def events(self):
        """Give the events, then wait."""
        for place in range(self.number):
            self.given += 1
            yield SimpleNamespace(
                message=SimpleNamespace(
                    topic="requests", partition=0, offset=place, timestamp=1.5, key=None, value=b"", headers=None
                )
            )
        await asyncio.Event().wait()

    async def ack(self, event):
        """Acknowledge an event."""
        self.acknowledged.append(event.message.offset)


def run(stream, taker, reached):
    """Run an agent's body until something holds; then cancel it."""

    async def until():
        body = asyncio.create_task(streaming._body(taker)(stream))
        while not reached():  # noqa: ASYNC110 - nobody tells when it holds
            await asyncio.sleep(0)
        body.cancel()
        with pytest.raises(asyncio.CancelledError):
            await body

    asyncio.run(until())


def test_what_comes_while_a_batch_is_in_hand_is_the_next_batch():
    """In order, none too large, none lost, and each acknowledged only when it was settled."""
    number = 2 * streaming.MOST_MESSAGES + 7
    stream, sizes = Stream(number), []

    async def taker(messages):
        assert [one.offset for one in messages] == list(range(sum(sizes), sum(sizes) + len(messages)))
        assert stream.acknowledged == list(range(sum(sizes)))
        assert {one.timestamp for one in messages} == {1500}
        for _ in range(3 * streaming.MOST_MESSAGES):
            await asyncio.sleep(0)
        sizes.append(len(messages))

    run(stream, taker, lambda: len(stream.acknowledged) == number)
    assert max(sizes) <= streaming.MOST_MESSAGES
    assert len(sizes) < 6
    assert not stream.enable_acks


def test_what_is_cancelled_is_not_acknowledged():
    """An agent cancelled while a batch is in hand acknowledges nothing of it, and has read not far beyond it."""
    stream, taken = Stream(10 * streaming.MOST_MESSAGES), []

    async def taker(messages):
        taken.extend(messages)
        await asyncio.Event().wait()

    run(stream, taker, lambda: stream.given > streaming.MOST_MESSAGES)
    assert taken
    assert stream.acknowledged == []
    assert stream.given <= 2 * streaming.MOST_MESSAGES
