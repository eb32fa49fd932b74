"""`SentrySubscriber`: an issue for each way in which a step or a task fails, with the history of the task."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from tasker_subscribers.base import RemoteSubscriber
from tasker_subscribers.event import envelope
from tasker_subscribers.extras import brought_by
from tasker_subscribers.options import Options, RemoteConfig
from tasker_subscribers.texts import clean, cut, line
from tasker_subscribers.traceback import frames

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Unpack

    from tasker_subscribers.event import Event

BREADCRUMBS = 50
LONGEST_TAG, LONGEST_TEXT = 200, 8_192
_FAILED, _STEP_FAILED = "task.failed", "step.failed"
_WHERE_FROM = "Take the DSN from the project's settings, Client Keys"


class SentryConfig(RemoteConfig, total=False):
    """Options of `SentrySubscriber`.

    Attributes:
        dsn: The address of the project with its key; usually in the variable SENTRY_DSN.
        dsn_env: The name of another variable.
        client: `own` (the default) sends with a client of its own and waits for the answer; `host` hands events to the
            client that the application has made with `sentry_sdk.init`, which sends them when it likes, or drops them.
        environment: As in sentry-sdk; else SENTRY_ENVIRONMENT, else production.
        release: As in sentry-sdk; else SENTRY_RELEASE, else what the SDK finds.
    """

    dsn: str
    dsn_env: str
    client: str
    environment: str
    release: str


class SentrySubscriber(RemoteSubscriber):
    """Reports failures: of steps for good, and of tasks of which no step has failed, such as one whose time ran out.

    One issue gathers what has the same task name, step name and error type. The id of the event in Sentry is the id of
    our event, so a repeated delivery is one event there.
    """

    name = "sentry"
    subscribe_to = (_STEP_FAILED, _FAILED)

    def __init__(self, **config: Unpack[SentryConfig]) -> None:
        """Take the options of `SentryConfig`; sends nothing yet.

        Raises:
            InvalidDefinition: An option is wrong, no DSN is there, or sentry-sdk is not installed.
        """
        options = Options(type(self).__qualname__, config, SentryConfig)
        super().__init__(options)
        self._close: Callable[[], None] = lambda: None
        if options.choice("client", "own", ("own", "host")) == "host":
            self._send = self._host(options)
        else:
            self._send = self._own(options)

    def filter(self, event: Event) -> bool:
        """Take what is final; a task whose failed steps are reported is not reported once more."""
        if not super().filter(event):
            return False
        if event.type == _STEP_FAILED:
            return bool(event.body.get("final"))
        reported = event.type == _FAILED and event.body.get("failed_steps") and self.subscribes_to(_STEP_FAILED)
        return not reported

    def handle(self, event: Event) -> None:
        """Report an event.

        Raises:
            RetryableError: Sentry is busy, failing, or cannot be reached.
            PermanentError: Sentry refuses the event.
        """
        self._send(self.report(event))

    def close(self) -> None:
        """Close connections; safe to repeat."""
        self._close()

    def report(self, event: Event) -> dict[str, Any]:
        """Give the event in Sentry's form."""
        step = envelope(event, "step")
        return {
            "event_id": event.event_id.replace("-", ""),
            "timestamp": event.time.isoformat(),
            "platform": "python",
            "level": self.level(event),
            "logger": "tasker",
            "transaction": f"{event.task_name}/{step}" if step else str(event.task_name or event.type),
            "fingerprint": self.fingerprint(event),
            "tags": {
                key: line(str(value), LONGEST_TAG) for key, value in self.tags(event).items() if value is not None
            },
            "exception": {"values": [self.exception(event)]},
            "breadcrumbs": {"values": self.breadcrumbs(event)},
            "contexts": {"tasker": {title: cut(value, LONGEST_TEXT) for title, value in self.facts(event).items()}},
        }

    def level(self, event: Event) -> str:  # noqa: ARG002 - the parameter is for those who override it
        """Say how bad it is: fatal, error, warning, info or debug."""
        return "error"

    def fingerprint(self, event: Event) -> list[str]:
        """Give what makes two events one issue."""
        name = f"{envelope(event, 'namespace')}.{event.task_name}" if event.task_name else "tasker"
        return [name, str(envelope(event, "step") or ""), str(event.body.get("error_type") or event.type)]

    def tags(self, event: Event) -> dict[str, object]:
        """Give what events are searched by."""
        known = ("namespace", "task_name", "step", "attempt", "correlation_id")
        link = self.task_link(event)
        return {"task_id": event.stream_id, **{key: envelope(event, key) for key in known}, "task_url": link}

    def exception(self, event: Event) -> dict[str, Any]:
        """Give type, message and frames of the error; of an event without one its name and headline."""
        seen = self.seen(event)
        module, _, kind = str(seen.get("error_type") or event.type).rpartition(".")
        if not seen.get("error_type"):
            module, kind = "", event.type
        found: dict[str, Any] = {"type": line(kind, LONGEST_TAG), "mechanism": {"type": "tasker", "handled": True}}
        found["value"] = cut(clean(self.detail(event) or self.headline(event)), LONGEST_TEXT)
        if module:
            found["module"] = line(module, LONGEST_TAG)
        error = seen.get("error")
        stack = frames(error.get("backtrace")) if isinstance(error, dict) else []
        return found | ({"stacktrace": {"frames": stack}} if stack else {})

    def breadcrumbs(self, event: Event) -> list[dict[str, Any]]:
        """Give the latest events of the task before this one."""
        return [self.breadcrumb(one) for one in deque(self.history(event) or (), BREADCRUMBS)]

    def breadcrumb(self, event: Event) -> dict[str, Any]:
        """Give an event of the history."""
        level = "error" if event.type.endswith(".failed") else "info"
        text = line(self.headline(event), LONGEST_TAG)
        return {"timestamp": event.time.isoformat(), "category": event.type, "message": text, "level": level}

    def _own(self, options: Options) -> Callable[[dict[str, Any]], None]:
        dsn = options.needed("dsn", "SENTRY_DSN", "a DSN", _WHERE_FROM)
        sdk = brought_by("sentry", "sentry-sdk", "tasker_subscribers.sentry_client")
        named = {"environment": options.text("environment"), "release": options.text("release")}
        client = sdk.OwnClient(options, dsn, self._timeout, named)
        self._close = client.close
        send: Callable[[dict[str, Any]], None] = client.send
        return send

    @staticmethod
    def _host(options: Options) -> Callable[[dict[str, Any]], None]:
        for key in ("dsn", "environment", "release"):
            if options.has(key):
                message = f"expected no {key} with client='host', whose client has one, found one. Leave it out"
                raise options.wrong(key, message)
        sdk = brought_by("sentry", "sentry-sdk", "tasker_subscribers.sentry_client")
        send: Callable[[dict[str, Any]], None] = sdk.by_host
        return send
