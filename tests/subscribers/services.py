"""The four remote subscribers in front of one endpoint, so that one rule is tested for all."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any, NamedTuple

from tasker_subscribers import PagerDutySubscriber, SentrySubscriber, SlackSubscriber, WebhookSubscriber
from tests.subscribers.endpoint import Endpoint, Reply

KEY = "0123456789abcdef0123456789ABCDEF"
TOKEN = "xoxb-123-secret"
PUBLIC = "publickey0123456789"
SIGNING = "whsec_" + base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()
HOOK = "/services/T000/B000/hooksecret"


class Service(NamedTuple):
    """How a subscriber is made for a server, what its service says in success, and what must never be shown."""

    make: Callable[..., Any]
    success: Reply
    secret: str


def slack(url: str, **config: Any) -> SlackSubscriber:
    """Make one with a bot token."""
    return SlackSubscriber(**{"token": TOKEN, "channel": "#orders", "api_url": f"{url}/api/", **config})


def slack_hook(url: str, **config: Any) -> SlackSubscriber:
    """Make one with an incoming webhook."""
    return SlackSubscriber(**{"webhook_url": url + HOOK, **config})


def pagerduty(url: str, **config: Any) -> PagerDutySubscriber:
    """Make one."""
    return PagerDutySubscriber(**{"routing_key": KEY, "api_url": f"{url}/v2/enqueue", **config})


def sentry(url: str, **config: Any) -> SentrySubscriber:
    """Make one with a client of its own."""
    return SentrySubscriber(**{"dsn": url.replace("://", f"://{PUBLIC}@") + "/42", "release": "1.0", **config})


def webhook(url: str, **config: Any) -> WebhookSubscriber:
    """Make one that signs."""
    return WebhookSubscriber(**{"url": f"{url}/hook?token=query-secret", "secret": SIGNING, **config})


ACCEPTED = '{"status":"success","message":"Event processed","dedup_key":"x"}'
SERVICES = {
    "slack": Service(
        slack, Reply(body='{"ok":true,"ts":"1.2"}', headers=(("Content-Type", "application/json"),)), TOKEN
    ),
    "slack_hook": Service(slack_hook, Reply(), "hooksecret"),
    "pagerduty": Service(pagerduty, Reply(202, ACCEPTED), KEY),
    "sentry": Service(sentry, Reply(body='{"id":"x"}'), PUBLIC),
    "webhook": Service(webhook, Reply(204, ""), "query-secret"),
}


def at(endpoint: Endpoint, name: str, **config: Any) -> Any:
    """Make a subscriber that talks to an endpoint, which from now on answers with the service's success."""
    endpoint.usual = SERVICES[name].success
    return SERVICES[name].make(endpoint.url, **config)
