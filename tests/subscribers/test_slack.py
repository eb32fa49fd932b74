"""Slack: what is posted, and what its own errors mean."""

from __future__ import annotations

import json

import pytest

from tasker import PermanentError, RetryableError
from tasker_subscribers import SlackSubscriber
from tasker_subscribers.slack_blocks import escaped
from tests.subscribers.endpoint import Reply
from tests.subscribers.history import HOSTILE, events
from tests.subscribers.services import HOOK, TOKEN, at

LIMITS = {"header": 150, "section": 3_000, "fields": 2_000, "context": 2_000}


def check_message(message: dict) -> None:
    """Check a message against the limits that Slack documents for messages and blocks."""
    assert 0 < len(message["text"]) <= 40_000
    assert len(message["blocks"]) <= 50
    for block in message["blocks"]:
        kind = block["type"]
        assert kind in {"header", "section", "context"}
        if kind == "header":
            assert block["text"]["type"] == "plain_text"
        texts = [block["text"]] if "text" in block else block.get("fields") or block["elements"]
        assert 1 <= len(texts) <= 10
        limit = LIMITS["fields" if "fields" in block else kind]
        for text in texts:
            assert text["type"] in {"plain_text", "mrkdwn"}
            assert 0 < len(text["text"]) <= limit
            assert ("emoji" in text) is (text["type"] == "plain_text")


def test_the_web_api(endpoint):
    """With a token, chat.postMessage gets the channel, the blocks, and the event's id as metadata."""
    event = events()["task.failed"]
    subscriber = at(endpoint, "slack", task_url="https://tasker.example/tasks/{task_id}")
    subscriber.handle(event)
    (seen,) = endpoint.seen
    assert seen.path == "/api/chat.postMessage"
    assert seen.headers["authorization"] == f"Bearer {TOKEN}"
    assert seen.headers["content-type"].startswith("application/json")
    message = seen.json
    check_message(message)
    assert message["channel"] == "#orders"
    assert message["text"] == "shop failed: card declined"
    payload = {"event_id": event.event_id, "event_type": "task.failed", "task_id": event.stream_id, "position": 9}
    payload["position"] = event.position
    assert message["metadata"] == {"event_type": "tasker_event", "event_payload": payload}
    assert (message["unfurl_links"], message["unfurl_media"]) == (False, False)
    assert f"<https://tasker.example/tasks/{event.stream_id}|{event.stream_id}>" in json.dumps(message)


def test_the_incoming_webhook(endpoint):
    """With a webhook, the same message goes to its URL, without a token or a channel."""
    subscriber = at(endpoint, "slack_hook")
    subscriber.handle(events()["task.failed"])
    (seen,) = endpoint.seen
    assert seen.path == HOOK
    assert "authorization" not in seen.headers
    assert "channel" not in seen.json
    check_message(seen.json)


@pytest.mark.parametrize(
    "text", [HOSTILE, "<&>" * 30_000, "\n\n", "a" * 200_000], ids=["signs", "entities", "empty", "long"]
)
def test_hostile_texts(endpoint, text):
    """A text from outside mentions nobody, links nowhere, and fits."""
    subscriber = at(endpoint, "slack")
    for event in events({"declined": text}).values():
        subscriber.handle(event)
    for seen in endpoint.seen:
        check_message(seen.json)
        marked = [seen.json["text"], *_marked(seen.json["blocks"])]
        assert not any(sign in one for one in marked for sign in ("<!", "<http", "\x01", "\x1b", "\u202e"))


def _marked(blocks: list[dict]) -> list[str]:
    texts = [text for block in blocks for text in block.get("fields", [])]
    return [text["text"] for text in texts if text["type"] == "mrkdwn"]


def test_secrets_of_the_body_are_masked(endpoint):
    """What stands under a telling key, or in the query of a URL, is masked."""
    subscriber = at(endpoint, "slack")
    found = events()
    subscriber.handle(found["order.sold"])
    subscriber.handle(found["step.failed"])
    sent = b"".join(seen.body for seen in endpoint.seen)
    assert b"[FILTERED]" in sent
    assert not any(secret in sent for secret in (b"key-12345", b"tok-12345", b"pw-12345"))


def test_a_template(endpoint):
    """A template replaces the blocks; its values are escaped and masked, its own marks stay."""
    subscriber = at(endpoint, "slack", template="<!here> *{task_name}* {api_key} {note} {nothing}")
    subscriber.handle(events()["order.sold"])
    (seen,) = endpoint.seen
    assert "blocks" not in seen.json
    assert seen.json["text"].startswith("<!here> *shop* [FILTERED] &lt;!channel&gt;")
    assert seen.json["text"].endswith(" -")


def test_a_message_of_ones_own(endpoint):
    """A method for an event posts what it likes, and small methods change the words."""

    class Orders(SlackSubscriber):
        def handle_order_sold(self, event):
            self.post(event, {"text": f"sold {self.safe_get(event, 'order_id')}", "channel": "#sales"})

        def headline(self, event):
            return f"oh no, {event.task_name}"

    subscriber = Orders(token=TOKEN, channel="#orders", api_url=f"{endpoint.url}/api/", events="*")
    endpoint.usual = Reply(body='{"ok":true}')
    found = events()
    subscriber.deliver(found["order.sold"])
    subscriber.deliver(found["task.failed"])
    own, usual = (seen.json for seen in endpoint.seen)
    assert (own["text"], own["channel"], "metadata" in own) == ("sold 7", "#sales", True)
    assert (usual["text"], usual["channel"]) == ("oh no, shop: card declined", "#orders")


@pytest.mark.parametrize("code", ["invalid_auth", "token_revoked", "channel_not_found", "invalid_blocks", "brand_new"])
def test_errors_for_good(endpoint, code):
    """An answer that is not ok for a reason that stays parks the event; the code is Slack's."""
    subscriber = at(endpoint, "slack")
    endpoint.answer(Reply(body=json.dumps({"ok": False, "error": code})))
    with pytest.raises(PermanentError, match=code) as raised:
        subscriber.handle(events()["task.failed"])
    assert raised.value.code == code.upper()
    assert ("Check the bot token" in str(raised.value)) is (code in {"invalid_auth", "token_revoked"})


@pytest.mark.parametrize("code", ["internal_error", "service_unavailable", "fatal_error"])
def test_errors_that_pass(endpoint, code):
    """An answer that is not ok because Slack fails is tried again."""
    subscriber = at(endpoint, "slack")
    endpoint.answer(Reply(body=json.dumps({"ok": False, "error": code})))
    with pytest.raises(RetryableError, match=code):
        subscriber.handle(events()["task.failed"])


def test_rate_limited_in_the_body(endpoint):
    """`ratelimited` with status 200 counts as 429."""
    subscriber = at(endpoint, "slack")
    endpoint.answer(Reply(body='{"ok":false,"error":"ratelimited"}', headers=(("Retry-After", "4"),)))
    with pytest.raises(RetryableError) as raised:
        subscriber.handle(events()["task.failed"])
    assert raised.value.retry_after == 4


@pytest.mark.parametrize("name", ["slack", "slack_hook"])
def test_somebody_in_between(endpoint, name):
    """A page with status 200 that is not Slack's answer is no success: it is tried again."""
    subscriber = at(endpoint, name)
    endpoint.answer(Reply(body="<html>please log in</html>"))
    with pytest.raises(RetryableError, match="found"):
        subscriber.handle(events()["task.failed"])


@pytest.mark.parametrize(
    ("text", "limit", "written"),
    [("a<b", 6, "a&lt;b"), ("a<b", 5, "a…"), ("a<b", 4, "a…"), ("<<", 8, "&lt;&lt;"), ("<<", 7, "&lt;…"), ("", 5, "")],
)
def test_entities_stay_whole(text, limit, written):
    """An escaped text is cut between signs, never inside an entity, and fits the limit."""
    assert escaped(text, limit) == written
    assert len(written) <= limit
