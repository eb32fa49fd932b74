"""`SlackSubscriber`: a message in a channel for each event, with a bot token or through an incoming webhook."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from tasker_subscribers.base import RemoteSubscriber
from tasker_subscribers.extras import brought_by
from tasker_subscribers.judge import Judge
from tasker_subscribers.options import Options, RemoteConfig, endpoint
from tasker_subscribers.secret import Secret, inside
from tasker_subscribers.slack_blocks import (
    FEWEST_SECONDS,
    context,
    escaped,
    fields,
    header,
    linked,
    plain,
)
from tasker_subscribers.texts import Template, line, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Unpack

    from tasker_subscribers.event import Event

API = "https://slack.com/api/"
LONGEST_TEXT = 3_000  # characters of the text that notifications show
LONGEST_TEMPLATE_VALUE = 1_000
_WHERE_FROM = (
    "Make an app at api.slack.com/apps with the scope chat:write and take its bot token (xoxb-…), "
    "or give an incoming webhook in the variable SLACK_WEBHOOK_URL (or as webhook_url=…)"
)


class SlackConfig(RemoteConfig, total=False):
    """Options of `SlackSubscriber`: a token and a channel, or the URL of an incoming webhook.

    Attributes:
        token: The bot token; usually in the variable SLACK_BOT_TOKEN.
        token_env: The name of another variable.
        channel: Id or name of the channel; usually in the variable SLACK_CHANNEL.
        webhook_url: The URL of an incoming webhook; usually in the variable SLACK_WEBHOOK_URL.
        webhook_url_env: The name of another variable.
        template: A text in Slack's mrkdwn in place of the blocks: `*{task_name}* failed: {error_message}`. In the
            braces stand keys of the event's body or envelope.
        api_url: Where the Web API is, for instance that of GovSlack.
    """

    token: str
    token_env: str
    channel: str
    webhook_url: str
    webhook_url_env: str
    template: str
    api_url: str


class SlackSubscriber(RemoteSubscriber):
    """Posts a message for each event.

        app.subscribe(SlackSubscriber(channel="#orders", events=["task.failed", "order.*"]))

    Override `headline`, `detail`, `facts` or `blocks`, or write a method for an event and `post` what you like:

        class Orders(SlackSubscriber):
            def handle_order_fulfilled(self, event):
                self.post(event, {"text": f"order {self.safe_get(event, 'order_id')} is on its way"})
    """

    name = "slack"
    subscribe_to = ("task.failed",)

    def __init__(self, **config: Unpack[SlackConfig]) -> None:
        """Take the options of `SlackConfig`; sends nothing yet.

        Raises:
            InvalidDefinition: An option is wrong, no token or webhook is there, or slack-sdk is not installed.
        """
        options = Options(type(self).__qualname__, config, SlackConfig)
        super().__init__(options)
        template = options.text("template")
        self._template = None if template is None else Template(options, "template", template)
        self._send = self._through_webhook(options) if _by_webhook(options) else self._through_api(options)

    def handle(self, event: Event) -> None:
        """Post the message of an event."""
        self.post(event, self.message(event))

    def message(self, event: Event) -> dict[str, Any]:
        """Give the text, shown in notifications, and the blocks, shown in the channel."""
        if self._template is not None:
            text = self._template.fill(lambda name: self._value(event, name))
            return {"text": text[:LONGEST_TEXT]}
        detail = self.detail(event)
        text = f"{self.headline(event)}: {detail}" if detail else self.headline(event)
        return {"text": escaped(line(text, LONGEST_TEXT), LONGEST_TEXT), "blocks": self.blocks(event)}

    def blocks(self, event: Event) -> list[dict[str, Any]]:
        """Give the blocks: what happened, the facts, what went wrong, and which event it was."""
        link = self.task_link(event)
        facts = {title: escaped(value, 1_000) for title, value in self.facts(event).items()}
        if link is not None and "Task" in facts:
            facts["Task"] = linked(link, facts["Task"])
        detail = self.detail(event)
        told = [plain(detail)] if detail else []
        when = event.time.strftime("%Y-%m-%d %H:%M:%S UTC")
        last = context(f"{event.type} · {when} · position {event.position} · event {event.event_id}")
        return [header(self.headline(event)), *([fields(facts)] if facts else []), *told, last]

    def post(self, event: Event, message: Mapping[str, Any]) -> None:
        """Send a message; its metadata names the event, so that who reads the channel can tell a repetition.

        Args:
            event: The event.
            message: `text`, and whatever chat.postMessage or the webhook takes.

        Raises:
            RetryableError: Slack is busy, failing, or cannot be reached.
            PermanentError: Slack refuses the token, the channel or the message.
        """
        named = {
            "event_id": event.event_id,
            "event_type": event.type,
            "task_id": event.stream_id,
            "position": event.position,
        }
        quiet = {"unfurl_links": False, "unfurl_media": False}  # nobody outside shall make Slack fetch an address
        self._send({**quiet, "metadata": {"event_type": "tasker_event", "event_payload": named}, **message})

    def _value(self, event: Event, name: str) -> str:
        seen = self.seen(event)
        value = seen[name] if name in seen else self.safe_get(event, name)
        return escaped(line("-" if value is None else shown(value), LONGEST_TEMPLATE_VALUE), LONGEST_TEMPLATE_VALUE)

    def _through_api(self, options: Options) -> Callable[[dict[str, Any]], None]:
        token = options.needed("token", "SLACK_BOT_TOKEN", "a bot token", _WHERE_FROM)
        channel = options.text("channel", variable="SLACK_CHANNEL")
        if channel is None:
            message = (
                "expected a channel in the variable SLACK_CHANNEL (or as channel='#orders'), found neither. Name one"
            )
            raise options.wrong("channel", message)
        api = options.text("api_url", API) or API
        sdk = brought_by("slack", "slack-sdk", "tasker_subscribers.slack_client")
        judge = _judge(api, (token,), "the bot token and its scopes")
        send: Callable[[dict[str, Any]], None] = sdk.by_api(token, channel, api, judge, self._timeout)
        return send

    def _through_webhook(self, options: Options) -> Callable[[dict[str, Any]], None]:
        address = options.needed("webhook_url", "SLACK_WEBHOOK_URL", "an incoming webhook", _WHERE_FROM)
        options.url("webhook_url", address)
        sdk = brought_by("slack", "slack-sdk", "tasker_subscribers.slack_client")
        judge = _judge(address.reveal(), inside(address), "the incoming webhook")
        send: Callable[[dict[str, Any]], None] = sdk.by_webhook(address, judge, self._timeout)
        return send


def _by_webhook(options: Options) -> bool:
    """Tell which way to go: what the options name, else what the variables hold, a token first."""
    if options.has("webhook_url") and options.has("token"):
        message = "expected a token (with a channel) or a webhook_url, found both. Leave one out"
        raise options.wrong("webhook_url", message)
    if options.has("webhook_url") or options.has("token"):
        return options.has("webhook_url")
    return not os.environ.get("SLACK_BOT_TOKEN") and bool(os.environ.get("SLACK_WEBHOOK_URL"))


def _judge(url: str, secrets: tuple[Secret, ...], credential: str) -> Judge:
    return Judge("Slack", endpoint(url), secrets=secrets, credential=credential, pace=FEWEST_SECONDS)
