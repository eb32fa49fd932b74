"""What sentry-sdk does for the Sentry subscriber: its client and form, and a transport that waits for the answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import sentry_sdk
from sentry_sdk.client import SDK_INFO
from sentry_sdk.transport import Transport
from sentry_sdk.utils import BadDsn, Dsn

from tasker import RetryableError
from tasker_subscribers.channel import AGENT, Channel
from tasker_subscribers.judge import TOO_MANY, Answer, Judge, retry_after
from tasker_subscribers.options import endpoint
from tasker_subscribers.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sentry_sdk.envelope import Envelope
    from sentry_sdk.types import Event

    from tasker_subscribers.options import Options

DEFAULT_WAIT = 60.0  # seconds; what Sentry's own SDKs wait where a refusal says nothing
_PACE = 0.05  # seconds; once Sentry takes events again it takes many
_CATEGORIES = frozenset({"", "error", "default"})


class OwnClient:
    """A client of its own, which the application's does not know of."""

    def __init__(self, options: Options, dsn: Secret, timeout: float, named: Mapping[str, str | None]) -> None:
        """Make the client; sends nothing yet.

        Args:
            options: For error texts.
            dsn: The address of the project with its key.
            timeout: Seconds.
            named: environment and release, None for what the SDK finds.

        Raises:
            InvalidDefinition: It is no DSN.
        """
        try:
            parsed = Dsn(dsn.reveal())
        except (BadDsn, ValueError):
            expected = "expected a DSN, https://KEY@HOST/PROJECT, found something else (not shown)"
            raise options.wrong("dsn", expected) from None
        transport = WaitingTransport(parsed, dsn, timeout)
        name = SDK_INFO["name"]
        try:
            self._client = sentry_sdk.Client(
                dsn=dsn.reveal(),
                transport=transport,
                environment=named.get("environment"),
                release=named.get("release"),
                # Off is what would watch the process, run a thread, or send what nobody asked for.
                auto_enabling_integrations=False,
                auto_session_tracking=False,
                default_integrations=False,
                enable_backpressure_handling=False,
                send_client_reports=False,
                spotlight=False,
            )
        finally:
            SDK_INFO["name"] = name  # making a client renames the SDK of the whole process
        self.close = transport.close

    def send(self, report: dict[str, Any]) -> None:
        """Send an event; returns when Sentry has taken it.

        Raises:
            RetryableError: Sentry is busy, failing, or cannot be reached.
            PermanentError: Sentry refuses the event.
        """
        self._client.capture_event(cast("Event", report))


class WaitingTransport(Transport):
    """Sends an envelope at once, in the caller's thread, and raises what the answer means."""

    def __init__(self, dsn: Dsn, secret: Secret, timeout: float) -> None:
        """Take the address of the project."""
        super().__init__({"dsn": dsn})
        auth = dsn.to_auth(AGENT)
        url = auth.get_api_url()
        self._headers = {"Content-Type": "application/x-sentry-envelope", "X-Sentry-Auth": auth.to_header()}
        secrets = tuple(Secret(text) for text in (secret.reveal(), dsn.public_key, dsn.secret_key) if text)
        judge = Judge("Sentry", endpoint(url), secrets=secrets, credential="the DSN", pace=_PACE)
        self._channel = Channel(Secret(url), judge, timeout=timeout)

    def capture_envelope(self, envelope: Envelope) -> None:
        """Send an envelope.

        Raises:
            RetryableError: Sentry is busy, failing, or cannot be reached.
            PermanentError: Sentry refuses the envelope.
        """
        self._channel.post(envelope.serialize(), self._headers, asked)

    def close(self) -> None:
        """Close connections; safe to repeat."""
        self._channel.close()


def by_host(report: dict[str, Any]) -> None:
    """Hand an event to the client of the application.

    Raises:
        RetryableError: The application has made none yet.
    """
    client = sentry_sdk.get_client()
    if not client.is_active():
        message = (
            "Sentry: expected the client of the application, found none. Call sentry_sdk.init(…), or use client='own'"
        )
        raise RetryableError(message)
    client.capture_event(cast("Event", report))


def asked(answer: Answer) -> float | None:
    """Read from a refusal for how long errors are not taken: `60:error;default:organization, 2700::key`."""
    if answer.status != TOO_MANY:
        return None
    limits = list(_limits(answer.headers.get("x-sentry-rate-limits", "")))
    return max(limits) if limits else retry_after(answer.headers.get("retry-after")) or DEFAULT_WAIT


def _limits(text: str) -> Iterator[float]:
    for limit in text.split(","):
        seconds, _, rest = limit.strip().partition(":")
        wait = retry_after(seconds)
        if wait is not None and seconds.isdigit() and _CATEGORIES & set(rest.partition(":")[0].split(";")):
            yield wait
