"""`PagerDutySubscriber`: an incident for each task that failed, resolved when the task is well again."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from tasker_subscribers.base import RemoteSubscriber
from tasker_subscribers.channel import Channel
from tasker_subscribers.event import envelope
from tasker_subscribers.judge import Judge
from tasker_subscribers.options import Options, RemoteConfig, endpoint
from tasker_subscribers.secret import Secret
from tasker_subscribers.texts import clean, cut, line

if TYPE_CHECKING:
    from typing import Unpack

    from tasker_subscribers.event import Event

EVENTS_API = "https://events.pagerduty.com/v2/enqueue"
TRIGGER, RESOLVE = "trigger", "resolve"
SEVERITIES = ("critical", "error", "warning", "info")
LONGEST_SUMMARY, LONGEST_DEDUP_KEY, LARGEST = 1_024, 255, 512_000
_LONGEST_DETAIL = 8_000
_FEWEST_SECONDS = 0.5  # 120 events a minute for a routing key
_ROUTING_KEY = re.compile(r"[0-9A-Za-z]{32}")
_RESOLVING = frozenset({"task.completed", "task.resolved_manually", "task.cancelled"})
_WHERE_FROM = "Take the integration key of an Events API v2 integration of the service"


class PagerDutyConfig(RemoteConfig, total=False):
    """Options of `PagerDutySubscriber`.

    Attributes:
        routing_key: The integration key; usually in the variable PAGERDUTY_ROUTING_KEY.
        routing_key_env: The name of another variable.
        severity: critical, error (the default), warning or info.
        source: What is affected; by default namespace and name of the task.
        api_url: Where events go: another region has another one.
    """

    routing_key: str
    routing_key_env: str
    severity: str
    source: str
    api_url: str


class PagerDutySubscriber(RemoteSubscriber):
    """Triggers on `task.failed` and on the failure of a step that is final; resolves when the task has ended otherwise.

    The id of the task is the key of the incident: a repeated delivery changes nothing, and a task has one at a time.
    """

    name = "pagerduty"
    subscribe_to = ("task.failed", "step.failed", *sorted(_RESOLVING))

    def __init__(self, **config: Unpack[PagerDutyConfig]) -> None:
        """Take the options of `PagerDutyConfig`; sends nothing yet.

        Raises:
            InvalidDefinition: An option is wrong, or no routing key is there.
        """
        options = Options(type(self).__qualname__, config, PagerDutyConfig)
        super().__init__(options)
        key = options.needed("routing_key", "PAGERDUTY_ROUTING_KEY", "a routing key", _WHERE_FROM)
        if not _ROUTING_KEY.fullmatch(key.reveal()):
            found = f"{len(key.reveal())} characters (not shown)"
            raise options.wrong("routing_key", f"expected 32 letters and digits, found {found}. {_WHERE_FROM}")
        self._key = key
        self._severity = options.choice("severity", "error", SEVERITIES)
        self._source = options.text("source")
        address = options.url("api_url", Secret(options.text("api_url", EVENTS_API) or EVENTS_API))
        where = endpoint(address.reveal())
        judge = Judge("PagerDuty", where, secrets=(key,), credential="the routing key", pace=_FEWEST_SECONDS)
        self._channel = Channel(address, judge, timeout=self._timeout)

    def filter(self, event: Event) -> bool:
        """Take what triggers, and what resolves an incident that there is."""
        action = self.action(event) if super().filter(event) else None
        return action == TRIGGER or (action == RESOLVE and self.was_triggered(event))

    def handle(self, event: Event) -> None:
        """Send the event to PagerDuty.

        Raises:
            RetryableError: PagerDuty is busy, failing, or cannot be reached.
            PermanentError: PagerDuty refuses the event.
        """
        action = self.action(event)
        if action is not None:
            content = self._encoded(self.alert(event, action))
            self._channel.post(content, {"Content-Type": "application/json"})

    def close(self) -> None:
        """Close connections; safe to repeat."""
        self._channel.close()

    def action(self, event: Event) -> str | None:
        """Say what an event does: trigger, resolve, or nothing (None)."""
        if event.type == "step.failed":
            return TRIGGER if event.body.get("final") else None
        return RESOLVE if event.type in _RESOLVING else TRIGGER

    def was_triggered(self, event: Event) -> bool:
        """Tell whether an earlier event of the task triggered; True where its history cannot be read."""
        earlier = self.history(event, self.globs())
        if earlier is None:
            return True
        return any(super(PagerDutySubscriber, self).filter(one) and self.action(one) == TRIGGER for one in earlier)

    def dedup_key(self, event: Event) -> str:
        """Give the key of the incident: the id of the task."""
        return event.stream_id

    def severity(self, event: Event) -> str:  # noqa: ARG002 - the parameter is for those who override it
        """Say how bad it is: critical, error, warning or info."""
        return self._severity

    def summary(self, event: Event) -> str:
        """Say in a line what is wrong."""
        detail = self.detail(event)
        return f"{self.headline(event)}: {detail}" if detail else self.headline(event)

    def alert(self, event: Event, action: str) -> dict[str, Any]:
        """Give the event in the form of the Events API v2."""
        alert: dict[str, Any] = {"event_action": action, "dedup_key": cut(self.dedup_key(event), LONGEST_DEDUP_KEY)}
        if action == RESOLVE:
            return alert
        alert |= {"client": "Tasker", "payload": self.payload(event)}
        link = self.task_link(event)
        if link is not None:
            alert |= {"client_url": link, "links": [{"href": link, "text": f"Task {event.stream_id}"}]}
        return alert

    def payload(self, event: Event) -> dict[str, Any]:
        """Give what people see of an incident."""
        namespace = envelope(event, "namespace")
        payload = {
            "summary": line(self.summary(event), LONGEST_SUMMARY),
            "source": self._source or (f"{namespace}.{event.task_name}" if event.task_name else "tasker"),
            "severity": self.severity(event),
            "timestamp": event.time.isoformat(),
            "component": event.task_name,
            "group": namespace,
            "class": self.seen(event).get("error_type") or event.type,
            "custom_details": self.details(event),
        }
        return {key: value for key, value in payload.items() if value is not None}

    def details(self, event: Event) -> dict[str, Any]:
        """Give what else helps: the facts, the message in full, and which event it was."""
        found = {title.lower(): cut(value, _LONGEST_DETAIL) for title, value in self.facts(event).items()}
        failed = self.seen(event).get("failed_steps")
        if isinstance(failed, list):
            found["failed_steps"] = ", ".join(str(one.get("step")) for one in failed[:100] if isinstance(one, dict))
        message = cut(clean(self.detail(event)), _LONGEST_DETAIL)
        return found | {"message": message, "event_id": event.event_id, "position": event.position}

    def _encoded(self, alert: dict[str, Any]) -> bytes:
        whole = {"routing_key": self._key.reveal(), **alert}
        content = json.dumps(whole, default=str).encode()
        if len(content) <= LARGEST:
            return content
        details = {"left_out": f"the details: {len(content)} bytes are more than the {LARGEST} that PagerDuty takes"}
        return json.dumps({**whole, "payload": {**alert["payload"], "custom_details": details}}, default=str).encode()
