"""What slack-sdk does for the Slack subscriber: one request for a message, no retries of its own, no log lines."""

from __future__ import annotations

import logging
from http.client import HTTPException
from math import ceil
from typing import TYPE_CHECKING, Any

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from slack_sdk.webhook import WebhookClient

from tasker_subscribers.channel import AGENT
from tasker_subscribers.judge import TOO_MANY, Judge, answered, retry_after
from tasker_subscribers.texts import line

if TYPE_CHECKING:
    from collections.abc import Callable

    from slack_sdk.web import SlackResponse

    from tasker_subscribers.secret import Secret

_BUSY = frozenset({"ratelimited", "rate_limited", "message_limit_exceeded"})
_FAILING = frozenset(
    {"accesslimited", "fatal_error", "internal_error", "request_timeout", "service_unavailable", "team_added_to_org"}
)
_ADVICE = {
    "channel_not_found": "Check the channel; a private one has to invite the app",
    "not_in_channel": "Invite the app to the channel",
    "is_archived": "The channel is archived; name another one",
    "missing_scope": "Give the app the scope chat:write and install it again",
}
_CREDENTIALS = frozenset(
    {"invalid_auth", "not_authed", "account_inactive", "token_revoked", "token_expired", "no_permission"}
)
_NETWORK = (OSError, HTTPException, ValueError)  # ValueError: an answer in bytes that its header does not describe


def by_api(token: Secret, channel: str, api: str, judge: Judge, timeout: float) -> Callable[[dict[str, Any]], None]:
    """Give what posts a message with chat.postMessage.

    Args:
        token: The bot token.
        channel: Where to post, unless the message says so itself.
        api: The base URL of the Web API.
        judge: Says what an answer means.
        timeout: Seconds.
    """
    client = WebClient(
        token.reveal(),
        base_url=api,
        timeout=ceil(timeout),
        logger=_silent(),
        retry_handlers=[],
        user_agent_suffix=AGENT,
    )

    def send(message: dict[str, Any]) -> None:
        failure: Exception | None = None
        try:
            client.chat_postMessage(**{"channel": channel, **message})
        except SlackApiError as error:
            failure = _refused(error.response, judge)
        except _NETWORK as error:
            failure = judge.unanswered(error)
        if failure is not None:  # raised here, not in the handler: the SDK's own error shows what Slack answered
            raise failure
        judge.succeeded()

    return send


def by_webhook(address: Secret, judge: Judge, timeout: float) -> Callable[[dict[str, Any]], None]:
    """Give what posts a message through an incoming webhook.

    Args:
        address: Its URL.
        judge: Says what an answer means.
        timeout: Seconds.
    """
    client = WebhookClient(
        address.reveal(), timeout=ceil(timeout), logger=_silent(), retry_handlers=[], user_agent_suffix=AGENT
    )

    def send(message: dict[str, Any]) -> None:
        try:
            response = client.send_dict(message)
        except _NETWORK as error:
            raise judge.unanswered(error) from None
        judge.check(answered(response.status_code, response.headers, response.body))
        if response.body.strip() != "ok":  # a page of somebody in between
            raise judge.retryable(f"expected the answer ok, found {line(response.body, 200)!r}")

    return send


def _refused(response: SlackResponse, judge: Judge) -> Exception:
    """Turn an answer that is not ok into the error for it."""
    answer = answered(response.status_code, response.headers, str(response.data))
    failure = judge.failure(answer)
    if failure is not None:
        return failure
    code = response.get("error")
    if not isinstance(code, str) or not code.isidentifier():
        return judge.retryable(f"expected an answer in JSON with ok, found {line(answer.text, 200)!r}")
    if code in _BUSY:
        asked = retry_after(answer.headers.get("retry-after"))
        return judge.retryable(f"found too many messages ({TOO_MANY}): {code}", judge.put_off(asked or 1.0))
    if code in _FAILING:
        return judge.retryable(f"expected ok, found the error {code}")
    return judge.permanent(f"expected ok, found the error {code}. {_advice(code)}", code.upper())


def _advice(code: str) -> str:
    if code in _CREDENTIALS:
        return "Check the bot token: it is wrong, revoked, or may not do this"
    return _ADVICE.get(code, "Trying again does not help; repair the cause, then retry what is parked")


def _silent() -> logging.Logger:
    """Give a logger of nobody: the SDK would write the webhook's URL, a secret, and whole messages into it."""
    return logging.Logger(AGENT, logging.CRITICAL + 1)  # noqa: LOG001 - it shall not be known to anybody else
