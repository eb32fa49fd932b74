"""`WebhookSubscriber`: posts each event as a signed CloudEvent."""

from __future__ import annotations

import json
import os
import re
import time
from typing import TYPE_CHECKING, Any

from tasker_subscribers.base import RemoteSubscriber
from tasker_subscribers.channel import Channel
from tasker_subscribers.judge import Judge
from tasker_subscribers.options import Options, RemoteConfig, endpoint
from tasker_subscribers.secret import Secret, inside
from tasker_subscribers.signature import Signer

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Unpack

    from tasker_subscribers.event import SpokenEvent

CONTENT_TYPE = "application/cloudevents+json; charset=utf-8"
_PACE = 0.1  # seconds
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # the name of a header (RFC 9110)
_OURS = frozenset({"content-type", "content-length", "host", "transfer-encoding", "idempotency-key"})
_WHERE_FROM = (
    "Give the address of the receiver",
    "The receiver checks signatures with it; unsigned=True sends without: right only where nobody else can call",
)


class WebhookConfig(RemoteConfig, total=False):
    """Options of `WebhookSubscriber`.

    Attributes:
        url: Where to post; usually in the variable WEBHOOK_URL.
        url_env: The name of another variable.
        secret: The signing secret of Standard Webhooks, `whsec_…`; usually in the variable WEBHOOK_SECRET.
        secret_env: The name of another variable.
        old_secret: The secret before it, while receivers change over; in the variable WEBHOOK_OLD_SECRET.
        old_secret_env: The name of another variable.
        unsigned: True to send without a signature.
        headers: Further headers.
        headers_env: Further headers with the names of the variables that hold their values:
            `{Authorization: SHOP_AUTH}`.
    """

    url: str
    url_env: str
    secret: str
    secret_env: str
    old_secret: str
    old_secret_env: str
    unsigned: bool
    headers: Mapping[str, str]
    headers_env: Mapping[str, str]


class WebhookSubscriber(RemoteSubscriber):
    """Posts CloudEvents 1.0 (structured JSON) with the headers of Standard Webhooks.

    `webhook-id` and `Idempotency-Key` are the id of the event, the same for every try: a receiver that remembers ids
    takes each event once.
    """

    name = "webhook"
    subscribe_to = ("task.*",)

    def __init__(self, **config: Unpack[WebhookConfig]) -> None:
        """Take the options of `WebhookConfig`; sends nothing yet.

        Raises:
            InvalidDefinition: An option is wrong, or no address or secret is there.
        """
        options = Options(type(self).__qualname__, config, WebhookConfig)
        super().__init__(options)
        address = options.needed("url", "WEBHOOK_URL", "an address", _WHERE_FROM[0])
        options.url("url", address)
        self._signer = _signer(options)
        self._headers, secrets = _headers(options)
        where = endpoint(address.reveal())
        judge = Judge(
            "webhook", where, secrets=(*inside(address), *secrets), credential="the secret and the headers", pace=_PACE
        )
        self._channel = Channel(address, judge, timeout=self._timeout)

    def handle(self, event: SpokenEvent) -> None:
        """Post an event.

        Raises:
            RetryableError: The receiver is busy, failing, or cannot be reached.
            PermanentError: The receiver refuses the event.
        """
        body = json.dumps(self.message(event), ensure_ascii=False, separators=(",", ":"), default=str)
        content = body.encode(errors="replace")
        now = int(time.time())
        signed = {} if self._signer is None else self._signer.headers(event.event_id, now, content)
        own = {"Content-Type": CONTENT_TYPE, "Idempotency-Key": event.event_id, "webhook-id": event.event_id}
        self._channel.post(content, {**self._headers, **own, **signed})

    def close(self) -> None:
        """Close connections; safe to repeat."""
        self._channel.close()

    def message(self, event: SpokenEvent) -> dict[str, Any]:
        """Give the CloudEvent, with the secrets in its data masked."""
        spoken = event.cloudevent()
        data = spoken.get("data")
        return {**spoken, "data": self.redact(data) if isinstance(data, dict) else data}


def _signer(options: Options) -> Signer | None:
    if options.flag("unsigned", default=False):
        if options.has("secret"):
            raise options.wrong("unsigned", "expected a secret or unsigned=True, found both. Leave one out")
        return None
    secret = options.needed("secret", "WEBHOOK_SECRET", "a signing secret", _WHERE_FROM[1])
    old = options.secret("old_secret", "WEBHOOK_OLD_SECRET")
    return Signer(options, "secret", (secret,) if old is None else (secret, old))


def _headers(options: Options) -> tuple[dict[str, str], tuple[Secret, ...]]:
    """Give the further headers, and their values as what is never shown."""
    found = options.texts("headers")
    for name, variable in options.texts("headers_env").items():
        value = os.environ.get(variable)
        if not value:
            message = f"expected the header {name} in the variable {variable}, which is not set. Set it"
            raise options.wrong("headers_env", message)
        found[name] = value
    for name, value in found.items():
        if not _TOKEN.fullmatch(name) or name.lower() in _OURS or name.lower().startswith("webhook-"):
            expected = "names of headers that the subscriber does not set itself"
            raise options.wrong("headers", f"expected for headers {expected}, found {name!r}")
        if not value.isprintable() or not value.isascii():
            raise options.wrong("headers", f"expected for the header {name} a line of ASCII, found another (not shown)")
    return found, tuple(map(Secret, found.values()))
