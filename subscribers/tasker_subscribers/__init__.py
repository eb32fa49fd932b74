"""Ready subscribers for Tasker. Each is loaded when it is first used, and with it the library that it needs."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tasker_subscribers.log import LogSubscriber as LogSubscriber
    from tasker_subscribers.pagerduty import PagerDutySubscriber as PagerDutySubscriber
    from tasker_subscribers.sentry import SentrySubscriber as SentrySubscriber
    from tasker_subscribers.slack import SlackSubscriber as SlackSubscriber
    from tasker_subscribers.webhook import WebhookSubscriber as WebhookSubscriber

__version__ = "0.1.0"

_HOMES = {
    "LogSubscriber": "tasker_subscribers.log",
    "PagerDutySubscriber": "tasker_subscribers.pagerduty",
    "SentrySubscriber": "tasker_subscribers.sentry",
    "SlackSubscriber": "tasker_subscribers.slack",
    "WebhookSubscriber": "tasker_subscribers.webhook",
}

__all__ = ["LogSubscriber", "PagerDutySubscriber", "SentrySubscriber", "SlackSubscriber", "WebhookSubscriber"]


def __getattr__(name: str) -> object:
    """Load a subscriber from its home."""
    home = _HOMES.get(name)
    if home is None:
        message = f"module 'tasker_subscribers' has no attribute {name!r}"
        raise AttributeError(message)
    found = globals()[name] = getattr(import_module(home), name)
    return found


def __dir__() -> list[str]:
    """List the subscribers."""
    return sorted([*globals(), *__all__])
