"""The webhook: a CloudEvent, and the headers of Standard Webhooks, checked as a receiver checks them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from datetime import datetime

import pytest

from tasker.errors import InvalidDefinition
from tasker_subscribers import WebhookSubscriber
from tests.subscribers.endpoint import Reply, Seen
from tests.subscribers.history import HOSTILE, events
from tests.subscribers.services import SIGNING, at


def verified(seen: Seen, secret: str) -> bool:
    """Check a signature as Standard Webhooks tells receivers to."""
    sent = int(seen.headers["webhook-timestamp"])
    assert abs(time.time() - sent) < 300
    key = base64.b64decode(secret.removeprefix("whsec_")) if secret.startswith("whsec_") else secret.encode()
    signed = b".".join([seen.headers["webhook-id"].encode(), str(sent).encode(), seen.body])
    expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    offered = [one.split(",", 1) for one in seen.headers["webhook-signature"].split(" ")]
    return any(version == "v1" and hmac.compare_digest(expected, text) for version, text in offered)


def check_cloudevent(event: dict) -> None:
    """Check a CloudEvent against the specification: what is required, and the names of attributes."""
    assert event["specversion"] == "1.0"
    assert all(isinstance(event[name], str) and event[name] for name in ("id", "source", "type"))
    assert datetime.fromisoformat(event["time"]).tzinfo is not None
    assert event["datacontenttype"] == "application/json"
    assert all(name.isascii() and name.isalnum() and name == name.lower() for name in event)
    assert all(value is not None for value in event.values())


def test_the_request(endpoint):
    """Every event is a CloudEvent under its own id, signed, with a key for receivers that remember."""
    event = events()["task.failed"]
    subscriber = at(endpoint, "webhook")
    subscriber.handle(event)
    subscriber.close()
    (seen,) = endpoint.seen
    assert seen.path == "/hook?token=query-secret"
    assert seen.headers["content-type"] == "application/cloudevents+json; charset=utf-8"
    assert seen.headers["webhook-id"] == seen.headers["idempotency-key"] == seen.json["id"] == event.event_id
    check_cloudevent(seen.json)
    assert seen.json == event.cloudevent()
    assert verified(seen, SIGNING)
    assert not verified(seen, SIGNING.replace("A", "B"))


def test_every_try_has_the_same_id(endpoint):
    """A repeated delivery differs in its time and signature alone."""
    event = events()["task.failed"]
    subscriber = at(endpoint, "webhook")
    subscriber.handle(event)
    subscriber.handle(event)
    subscriber.close()
    first, second = endpoint.seen
    assert (first.body, first.headers["webhook-id"]) == (second.body, second.headers["webhook-id"])
    assert verified(second, SIGNING)


@pytest.mark.parametrize("text", [HOSTILE, "x" * 200_000, "\x7f\r\n\t"], ids=["signs", "long", "controls"])
def test_hostile_texts(endpoint, text):
    """Whatever a text holds, the body is JSON that verifies, and secrets in it are masked."""
    subscriber = at(endpoint, "webhook")
    for event in events({"declined": text}).values():
        subscriber.handle(event)
    subscriber.close()
    for seen in endpoint.seen:
        check_cloudevent(seen.json)
        assert verified(seen, SIGNING)
        assert not any(secret in seen.body for secret in (b"key-12345", b"tok-12345", b"pw-12345"))


def test_two_secrets(endpoint, monkeypatch):
    """While secrets are exchanged, a receiver with either of them accepts the signature."""
    old = "an-older-secret-that-is-long-enough"
    monkeypatch.setenv("WEBHOOK_OLD_SECRET", old)
    subscriber = at(endpoint, "webhook")
    subscriber.handle(events()["task.failed"])
    subscriber.close()
    (seen,) = endpoint.seen
    assert verified(seen, SIGNING)
    assert verified(seen, old)


def test_further_headers(endpoint, monkeypatch):
    """Headers come from options, and from variables where they are secret; those of the subscriber stay its own."""
    monkeypatch.setenv("SHOP_AUTH", "Bearer very-secret")
    more = {"headers": {"X-Shop": "tea"}, "headers_env": {"Authorization": "SHOP_AUTH"}}
    subscriber = at(endpoint, "webhook", **more)
    subscriber.handle(events()["task.failed"])
    subscriber.close()
    (seen,) = endpoint.seen
    assert (seen.headers["x-shop"], seen.headers["authorization"]) == ("tea", "Bearer very-secret")


@pytest.mark.parametrize(
    ("more", "found"),
    [
        ({"headers": {"webhook-id": "x"}}, "does not set itself"),
        ({"headers": {"Content-Type": "x"}}, "does not set itself"),
        ({"headers": {"a b": "x"}}, "does not set itself"),
        ({"headers": {"X": "a\nb: c"}}, "a line of ASCII"),
        ({"headers": {"X": 7}}, "a mapping of texts"),
        ({"headers": ["X"]}, "a mapping of texts"),
        ({"headers_env": {"X": "NOT_SET"}}, "NOT_SET, which is not set"),
        ({"unsigned": True}, "found both"),
        ({"unsigned": "yes"}, "true or false, found 'yes'"),
        ({"secret": "short"}, "at least 24 bytes, found 5"),
        ({"secret": "whsec_%%%"}, "base64"),
        ({"url": "ftp://x/"}, "absolute URL"),
        ({"url": "/hook"}, "absolute URL"),
        ({"url": "http://[::1"}, "absolute URL"),
    ],
)
def test_wrong_options(more, found):
    """A wrong header, secret or address is refused when the subscriber is made."""
    with pytest.raises(InvalidDefinition, match=found) as raised:
        WebhookSubscriber(**{"url": "http://127.0.0.1:9/hook", "secret": SIGNING, **more})
    assert str(raised.value).startswith("WebhookSubscriber: expected")


def test_unsigned(endpoint):
    """Told so, it sends without a signature, still with the id."""
    subscriber = WebhookSubscriber(url=endpoint.url, unsigned=True)
    endpoint.usual = Reply(204, "")
    subscriber.handle(events()["task.failed"])
    subscriber.close()
    (seen,) = endpoint.seen
    assert "webhook-signature" not in seen.headers
    assert seen.headers["webhook-id"] == json.loads(seen.body)["id"]
