"""Sentry: the envelope, what makes an issue, and what is reported at all."""

from __future__ import annotations

import gzip
import json
import uuid
from datetime import datetime

import pytest
import sentry_sdk
from sentry_sdk.transport import Transport

from tasker import PermanentError, RetryableError, testing
from tasker.errors import InvalidDefinition
from tasker_subscribers import SentrySubscriber
from tasker_subscribers.traceback import frames
from tests.subscribers.endpoint import Endpoint, Reply, Seen
from tests.subscribers.history import HOSTILE, events, shop
from tests.subscribers.services import PUBLIC, at


def opened(seen: Seen) -> dict:
    """Read an envelope as Sentry documents it: a header, and for each item a header with its length and the bytes."""
    assert seen.path == "/api/42/envelope/"
    assert seen.headers["content-type"] == "application/x-sentry-envelope"
    scheme, _, fields = seen.headers["x-sentry-auth"].partition(" ")
    auth = dict(field.strip().split("=", 1) for field in fields.split(","))
    assert (scheme, auth["sentry_key"], auth["sentry_version"]) == ("Sentry", PUBLIC, "7")
    body = gzip.decompress(seen.body) if seen.headers.get("content-encoding") == "gzip" else seen.body
    head, _, rest = body.partition(b"\n")
    item, _, rest = rest.partition(b"\n")
    length = json.loads(item)["length"]
    assert json.loads(item)["type"] == "event"
    assert rest[length:] in {b"", b"\n"}
    event = json.loads(rest[:length])
    assert json.loads(head)["event_id"] == event["event_id"]
    assert len(body) <= 1_000_000
    check_event(event)
    return event


def check_event(event: dict) -> None:
    """Check an event against the form and the limits that Sentry documents."""
    assert uuid.UUID(event["event_id"]).hex == event["event_id"]
    assert datetime.fromisoformat(event["timestamp"])
    assert event["platform"] == "python"
    assert event["level"] in {"fatal", "error", "warning", "info", "debug"}
    assert all(isinstance(part, str) for part in event["fingerprint"])
    assert all(0 < len(key) <= 32 and len(value) <= 200 and "\n" not in value for key, value in event["tags"].items())
    for one in event["exception"]["values"]:
        assert one["type"]
        assert len(one["value"]) <= 8_192
    assert len(event["breadcrumbs"]["values"]) <= 100


def report(endpoint: Endpoint, name: str, context: dict | None = None, **config: object) -> dict:
    """Let a subscriber report an event of a run and give what came."""
    subscriber = at(endpoint, "sentry", **config)
    subscriber.handle(events(context)[name])
    subscriber.close()
    return opened(endpoint.seen[-1])


def test_the_report(endpoint):
    """A failure of a step is an event with our id, its error, its tags, and what makes it an issue."""
    event = events()["step.failed"]
    found = report(endpoint, "step.failed", environment="staging", task_url="https://tasker.example/{task_id}")
    assert found["event_id"] == event.event_id.replace("-", "")
    assert found["fingerprint"] == ["default.shop", "pay", "tasker.errors.PermanentError"]
    assert found["transaction"] == "shop/pay"
    assert (found["environment"], found["release"]) == ("staging", "1.0")
    (error,) = found["exception"]["values"]
    assert (error["type"], error["module"], error["value"]) == ("PermanentError", "tasker.errors", "card declined")
    (frame,) = error["stacktrace"]["frames"]
    assert (frame["function"], frame["in_app"]) == ("pay", True)
    assert frame["context_line"].startswith("raise PermanentError(")
    tags = found["tags"]
    assert (tags["task_id"], tags["correlation_id"]) == (event.stream_id, event.correlation_id)
    assert (tags["task_name"], tags["step"], tags["attempt"]) == ("shop", "pay", "1")
    assert tags["task_url"] == f"https://tasker.example/{event.stream_id}"
    assert found["contexts"]["tasker"]["Error"] == "tasker.errors.PermanentError"


@pytest.mark.parametrize("text", [HOSTILE, "x" * 200_000, "\n \n"], ids=["signs", "long", "blank"])
def test_hostile_texts(endpoint, text):
    """A text from outside fits the limits, without control characters."""
    found = report(endpoint, "step.failed", {"declined": text})
    assert not any(sign in found["exception"]["values"][0]["value"] for sign in "\x01\x1b\u202e")
    assert b"tok-12345" not in endpoint.seen[0].body
    assert b"pw-12345" not in endpoint.seen[0].body


def test_breadcrumbs(endpoint):
    """The history of the task comes along, up to the event and no further."""
    with shop() as app:
        subscriber = at(endpoint, "sentry")
        app.subscribe(subscriber)
        app.submit(name="shop", context={"declined": "no"})
        app.run_until_idle()
    subscriber.close()
    (seen,) = endpoint.seen
    crumbs = opened(seen)["breadcrumbs"]["values"]
    assert [one["category"] for one in crumbs] == [
        *("task.created", "task.started", "step.started", "order.sold", "step.completed", "step.started"),
    ]
    assert crumbs[2]["message"] == "shop: step look started"


def test_a_task_is_reported_once(endpoint):
    """A failed task is not reported beside its failed steps; alone, or without failed steps, it is."""
    found = events()
    both, alone = at(endpoint, "sentry"), at(endpoint, "sentry", events="task.failed")
    assert both.filter(found["step.failed"])
    assert not both.filter(found["task.failed"])
    assert alone.filter(found["task.failed"])
    both.close()
    alone.close()


def test_a_task_without_time_is_reported(endpoint):
    """A task whose time ran out has no failed step, and is reported itself."""
    clock = testing.FrozenClock()
    with shop(clock=clock) as app:
        subscriber = at(endpoint, "sentry")
        app.subscribe(subscriber)
        app.submit(name="slow")
        app.run_until_idle()
        clock.advance(6)
        app.run_until_idle()
        status = [event.type for event in app.events()]
    subscriber.close()
    reports = [opened(seen) for seen in endpoint.seen]
    assert status.count("task.failed") == 1
    assert len(reports) == 1


def test_too_many_by_category(endpoint):
    """The seconds in X-Sentry-Rate-Limits that count for errors win over Retry-After; without any, a minute."""
    subscriber = at(endpoint, "sentry")
    waits = []
    for headers in (
        (("X-Sentry-Rate-Limits", "2700:transaction:key, 40:error;default:organization"), ("Retry-After", "2700")),
        (("X-Sentry-Rate-Limits", "50::organization"),),
        (("X-Sentry-Rate-Limits", "rubbish, :, x:error"), ("Retry-After", "7")),
        (),
    ):
        endpoint.answer(Reply(429, "", headers), Reply())
        with pytest.raises(RetryableError) as raised:
            subscriber.handle(events()["step.failed"])
        waits.append(raised.value.retry_after)
        subscriber.handle(events()["step.failed"])
    subscriber.close()
    assert waits == [40, 50, 7, 60]


def test_the_host_is_left_alone(endpoint):
    """Making and using the subscriber does not touch the application's client or scope."""
    name = sentry_sdk.client.SDK_INFO["name"]
    report(endpoint, "step.failed")
    assert not sentry_sdk.get_client().is_active()
    assert not sentry_sdk.is_initialized()
    assert sentry_sdk.client.SDK_INFO["name"] == name


class Kept(Transport):
    """Keeps envelopes."""

    def __init__(self):
        """Keep nothing yet."""
        super().__init__()
        self.kept = []

    def capture_envelope(self, envelope):
        """Keep one."""
        self.kept.append(envelope)


def test_the_client_of_the_host():
    """Asked to, it hands events to the application's client; as long as there is none they are tried again."""
    subscriber = SentrySubscriber(client="host")
    event = events()["step.failed"]
    with pytest.raises(RetryableError, match=r"sentry_sdk\.init"):
        subscriber.handle(event)
    transport = Kept()
    client = sentry_sdk.Client(dsn=f"http://{PUBLIC}@127.0.0.1:9/1", transport=transport, default_integrations=False)
    scope = sentry_sdk.get_global_scope()
    scope.set_client(client)
    try:
        subscriber.handle(event)
    finally:
        scope.set_client(None)
    (envelope,) = transport.kept
    assert envelope.get_event()["event_id"] == event.event_id.replace("-", "")


@pytest.mark.parametrize("option", ["dsn", "environment", "release"])
def test_the_client_of_the_host_has_its_own_options(option):
    """Options of a client of its own are refused beside `host`, where they would do nothing."""
    with pytest.raises(InvalidDefinition, match=f"expected no {option} with client='host'"):
        SentrySubscriber(**{"client": "host", option: "https://key@host/1"})


def test_a_filter_of_ones_own(endpoint):
    """The option `filter` comes before what the subscriber itself leaves out."""
    subscriber = at(endpoint, "sentry", filter={"task_name": "other"})
    assert not subscriber.filter(events()["step.failed"])
    subscriber.close()


def test_refused(endpoint):
    """A wrong key parks; the error names what to look at and shows no key."""
    subscriber = at(endpoint, "sentry")
    endpoint.answer(Reply(403, '{"detail":"ProjectId mismatch"}'))
    with pytest.raises(PermanentError, match="Check the DSN") as raised:
        subscriber.handle(events()["step.failed"])
    subscriber.close()
    assert PUBLIC not in str(raised.value)


@pytest.mark.parametrize("text", [None, 7, "", "nothing", 'File "x", line', 'File "' * 50_000], ids=repr)
def test_what_is_no_traceback(text):
    """A text that is no traceback of Python gives no frames."""
    assert frames(str(text)[:1_000_000] if isinstance(text, str) else text) == []


def test_frames_are_bounded():
    """Of a deep recursion the innermost frames are kept."""
    text = "".join(f'  File "a.py", line {n}, in f\n    f()\n    ^^^\n' for n in range(1, 1_001))
    found = frames(text)
    assert (len(found), found[-1]["lineno"], found[-1]["context_line"]) == (100, 1_000, "f()")
