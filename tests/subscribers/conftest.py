"""The distribution as it lies in the checkout, an endpoint, and an environment without anybody's tokens."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.subscribers.endpoint import Endpoint

_VARIABLES = (
    *("SLACK_BOT_TOKEN", "SLACK_CHANNEL", "SLACK_WEBHOOK_URL", "PAGERDUTY_ROUTING_KEY", "SENTRY_DSN"),
    *("SENTRY_ENVIRONMENT", "SENTRY_RELEASE", "WEBHOOK_URL", "WEBHOOK_SECRET", "WEBHOOK_OLD_SECRET"),
    *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"),
)


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch):
    """Take away tokens and proxies: a test talks to its endpoint and to nobody else."""
    for name in _VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    """Give a server on loopback that answers as it is told and keeps what it was sent."""
    with Endpoint() as server:
        yield server
