"""PagerDuty: the form of the Events API v2, and when an incident opens and closes."""

from __future__ import annotations

from datetime import datetime

import pytest

from tasker_subscribers import PagerDutySubscriber
from tests.subscribers.history import HOSTILE, events, shop
from tests.subscribers.services import KEY, at


def check_event(event: dict) -> None:
    """Check an event against the form and the limits that PagerDuty documents."""
    assert event["routing_key"] == KEY
    assert event["event_action"] in {"trigger", "acknowledge", "resolve"}
    assert 0 < len(event["dedup_key"]) <= 255
    assert set(event) <= {
        *("routing_key", "event_action", "dedup_key", "payload", "images", "links", "client", "client_url"),
    }
    if event["event_action"] != "trigger":
        return
    payload = event["payload"]
    assert set(payload) <= {
        *("summary", "source", "severity", "timestamp", "component", "group", "class", "custom_details"),
    }
    assert 0 < len(payload["summary"]) <= 1_024
    assert payload["source"]
    assert payload["severity"] in {"critical", "error", "warning", "info"}
    assert datetime.fromisoformat(payload["timestamp"]).tzinfo is not None
    assert isinstance(payload["custom_details"], dict)


def test_the_trigger(endpoint):
    """A failed task opens an incident under its id, with what people need to know."""
    event = events()["task.failed"]
    subscriber = at(endpoint, "pagerduty", severity="critical", task_url="https://tasker.example/tasks/{task_id}")
    subscriber.handle(event)
    subscriber.close()
    (seen,) = endpoint.seen
    assert (seen.path, seen.headers["content-type"]) == ("/v2/enqueue", "application/json")
    check_event(seen.json)
    assert seen.json["dedup_key"] == event.stream_id
    assert seen.json["client_url"] == seen.json["links"][0]["href"] == f"https://tasker.example/tasks/{event.stream_id}"
    payload = seen.json["payload"]
    assert payload["summary"] == "shop failed: card declined"
    assert (payload["severity"], payload["source"]) == ("critical", "default.shop")
    assert payload["class"] == "tasker.errors.PermanentError"
    assert payload["custom_details"]["failed_steps"] == "pay"
    assert payload["custom_details"]["event_id"] == event.event_id


@pytest.mark.parametrize(
    "text", [HOSTILE, "x" * 200_000, "\U0001f600" * 3_000, " "], ids=["signs", "long", "emoji", "blank"]
)
def test_hostile_texts(endpoint, text):
    """A text from outside fits the limits, in one line where a line is meant, and the whole stays below 512 KB."""
    subscriber = at(endpoint, "pagerduty", events="*")
    for event in events({"declined": text}).values():
        if subscriber.action(event):
            subscriber.handle(event)
    subscriber.close()
    assert endpoint.seen
    for seen in endpoint.seen:
        assert len(seen.body) <= 512_000
        check_event(seen.json)
        if "payload" in seen.json:
            assert "\n" not in seen.json["payload"]["summary"]
        assert b"key-12345" not in seen.body


def test_details_that_are_too_large_are_left_out(endpoint):
    """An event above the limit goes without its details rather than not at all."""

    class Chatty(PagerDutySubscriber):
        def details(self, event):
            return {"all": "x" * 600_000}

    subscriber = Chatty(routing_key=KEY, api_url=f"{endpoint.url}/v2/enqueue")
    subscriber.handle(events()["task.failed"])
    subscriber.close()
    (seen,) = endpoint.seen
    check_event(seen.json)
    assert "left_out" in seen.json["payload"]["custom_details"]


def _sent(endpoint) -> list[tuple[str, str]]:
    return [(seen.json["event_action"], seen.json["dedup_key"]) for seen in endpoint.seen]


@pytest.mark.parametrize("end", ["resolve", "retry", "cancel"])
def test_a_task_that_is_well_again_resolves(endpoint, end):
    """What was triggered is resolved when the task completes, is resolved by hand, or is cancelled."""
    with shop() as app:
        subscriber = at(endpoint, "pagerduty")
        app.subscribe(subscriber)
        task = app.submit(name="shop", context={"declined": "no"})
        app.run_until_idle()
        if end == "retry":
            app.resolve_step(task.id, "pay", reason="paid in cash")
        elif end == "cancel":
            app.retry(task.id)
            app.cancel(task.id)
        else:
            app.resolve(task.id)
        app.run_until_idle()
        assert app.subscriptions.list()[0].error is None
    subscriber.close()
    sent = _sent(endpoint)
    assert sent[:2] == [("trigger", task.id), ("trigger", task.id)]
    assert sent[-1] == ("resolve", task.id)


def test_a_task_that_was_always_well_says_nothing(endpoint):
    """A task that completes without an incident makes no request."""
    with shop() as app:
        subscriber = at(endpoint, "pagerduty")
        app.subscribe(subscriber)
        app.submit(name="shop")
        app.run_until_idle()
        assert app.subscriptions.list()[0].lag == 0
    subscriber.close()
    assert endpoint.seen == []


def test_an_event_that_does_nothing(endpoint):
    """What neither triggers nor resolves is not sent, even if it is handed over."""
    subscriber = at(endpoint, "pagerduty")
    event = events()["step.failed"]
    subscriber.handle(_Changed(event, {**event.body, "final": False}))
    subscriber.close()
    assert endpoint.seen == []


def test_a_very_long_history_is_not_read(endpoint):
    """After more events than are worth reading, or without an application, it resolves to be safe."""
    event = events({})["task.completed"]
    subscriber = at(endpoint, "pagerduty")
    assert subscriber.filter(event)
    subscriber.close()


def test_a_failure_that_is_tried_again_says_nothing(endpoint):
    """Only the failure of a step that is final triggers."""
    event = events()["step.failed"]
    subscriber = at(endpoint, "pagerduty")
    again = _Changed(event, {**event.body, "final": False})
    assert (subscriber.filter(event), subscriber.filter(again)) == (True, False)
    subscriber.close()


class _Changed:
    """An event with another body."""

    def __init__(self, event, body):
        self._event, self.body = event, body

    def __getattr__(self, name):
        return getattr(self._event, name)
