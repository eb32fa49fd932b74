"""`ReadySubscriber`: what the ready subscribers share. Small methods say what a message holds: override some."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from itertools import takewhile
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from tasker import BaseSubscriber
from tasker_subscribers.event import envelope
from tasker_subscribers.options import PHASES, TIMEOUT, Options, globs
from tasker_subscribers.texts import Template, clean, shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tasker_subscribers.event import Event

LONGEST_HISTORY = 10_000  # events of a task; the history of a longer one is not read for a message
_SYSTEM = ("task", "step")
_ON_THE_ENVELOPE = {
    "Task": "stream_id",
    "Namespace": "namespace",
    "Step": "step",
    "Attempt": "attempt",
    "Correlation": "correlation_id",
}
_IN_THE_BODY = {"Error": "error_type", "Reason": "reason", "Actor": "actor"}


class ReadySubscriber(BaseSubscriber):
    """Takes every event it subscribes to in `handle`, and offers words for it."""

    def __init__(self, options: Options) -> None:
        """Read what all have in common.

        Raises:
            InvalidDefinition: An option is wrong.
        """
        self.name = options.text("name", type(self).name)
        if options.has("events"):
            self.subscribe_to = globs(options, "events", options.value("events"))
        self._wanted = _Wanted(self, options) if options.has("filter") else None

    def __repr__(self) -> str:
        """Show class, name and events; never an option."""
        return f"{type(self).__qualname__}(name={self.name!r}, events={self.subscribe_to!r})"

    def filter(self, event: Event) -> bool:
        """Tell whether the option `filter` lets an event pass."""
        return self._wanted is None or self._wanted(event)

    def close(self) -> None:
        """Close connections; safe to repeat."""

    def seen(self, event: Event) -> dict[str, Any]:
        """Give the body of an event with its secrets masked."""
        return self.redact(event.body)

    def headline(self, event: Event) -> str:
        """Say in a line what happened: `order_process: step pay failed`."""
        kind, _, what = event.type.partition(".")
        happened = what.replace("_", " ").replace(".", " ")
        if event.task_name is None:
            return f"{event.type}: {self.safe_get(event, 'scope', '')}"
        if kind not in _SYSTEM:
            return f"{event.task_name}: {event.type}"
        step = envelope(event, "step")
        return f"{event.task_name}: step {step} {happened}" if step else f"{event.task_name} {happened}"

    def detail(self, event: Event) -> str:
        """Give what went wrong, masked and clean; empty if nothing did."""
        message = self.seen(event).get("error_message")
        return clean(message).strip() if isinstance(message, str) else ""

    def facts(self, event: Event) -> dict[str, str]:
        """Give what else is worth knowing, by its name; of an event of one's own, what was published."""
        found = {title: envelope(event, key) for title, key in _ON_THE_ENVELOPE.items()}
        seen = self.seen(event)
        if event.type.partition(".")[0] in _SYSTEM:
            found |= {title: seen.get(key) for title, key in _IN_THE_BODY.items()}
        else:
            found |= seen
        return {str(title): clean(shown(value)) for title, value in found.items() if value is not None}

    def history(self, event: Event, types: Iterable[str] | None = None) -> Iterator[Event] | None:
        """Give the events of its task before an event, from the first; None of a very long one, or without an app.

        Args:
            event: The event.
            types: Globs over event names.
        """
        if self.app is None or event.version > LONGEST_HISTORY or event.task_name is None:
            return None
        found = self.app.events(event.stream_id, types=None if types is None else tuple(types))
        return takewhile(lambda earlier: earlier.position < event.position, found)

    def globs(self) -> tuple[str, ...]:
        """Give the globs of the events that are taken."""
        return (self.subscribe_to,) if isinstance(self.subscribe_to, str) else tuple(self.subscribe_to)

    def subscribes_to(self, event_type: str) -> bool:
        """Tell whether events of a type are taken."""
        return any(fnmatchcase(event_type, glob) for glob in self.globs())


class RemoteSubscriber(ReadySubscriber):
    """A subscriber that calls a service."""

    def __init__(self, options: Options) -> None:
        """Read what those have in common.

        Raises:
            InvalidDefinition: An option is wrong.
        """
        super().__init__(options)
        self._timeout = options.seconds("timeout", TIMEOUT)
        if self._timeout > TIMEOUT:  # else a delivery would count as hanging while its request still may be answered
            self.delivery_timeout = max(self.delivery_timeout, PHASES * self._timeout)
        address = options.text("task_url")
        self._task_url = None if address is None else Template(options, "task_url", address)
        if address is not None and self._task_url is not None:
            names = self._task_url.names
            if names != {"task_id"} or not address.startswith(("https://", "http://")):
                expected = "an absolute URL with {task_id} in it, such as https://tasker.example/tasks/{task_id}"
                raise options.wrong("task_url", f"expected for task_url {expected}; found {address!r}")

    def task_link(self, event: Event) -> str | None:
        """Give where people look at the task of an event; None without the option `task_url`."""
        if self._task_url is None or event.task_name is None:
            return None
        return self._task_url.fill(lambda _: quote(event.stream_id, safe=""))


class _Wanted:
    """The option `filter`: a function, or globs for keys of the event."""

    def __init__(self, subscriber: BaseSubscriber, options: Options) -> None:
        """Check the option."""
        given = options.value("filter")
        self._get = subscriber.safe_get
        self._function = given if callable(given) else None
        self._globs: dict[str, tuple[str, ...]] = {}
        if isinstance(given, Mapping):
            self._globs = {str(key): self._listed(options, str(key), value) for key, value in given.items()}
        elif self._function is None:
            expected = "a function of the event, or a mapping of its keys to globs, such as {task_name: 'order_*'}"
            raise options.wrong("filter", f"expected for filter {expected}; found {given!r}")

    def __call__(self, event: Event) -> bool:
        """Tell whether an event passes."""
        if self._function is not None:
            return bool(self._function(event))
        return all(self._fits(self._get(event, key), allowed) for key, allowed in self._globs.items())

    @staticmethod
    def _listed(options: Options, key: str, value: object) -> tuple[str, ...]:
        """Give the globs for a key; `true` and numbers stand for themselves."""
        return globs(options, f"filter.{key}", shown(value) if isinstance(value, bool | int | float) else value)

    @staticmethod
    def _fits(value: object, allowed: tuple[str, ...]) -> bool:
        return value is not None and any(fnmatchcase(shown(value), glob) for glob in allowed)
