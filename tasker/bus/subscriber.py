"""`BaseSubscriber`: what people derive from to be told of events, durably or in process."""

from __future__ import annotations

from asyncio import CancelledError
from functools import lru_cache
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any, ClassVar

from tasker.catalog.catalog import check_selecting
from tasker.catalog.patterns import Patterns
from tasker.codec.recorded import RecordedEvent
from tasker.errors import InvalidRequest
from tasker.instrument import logger
from tasker.redaction import Redactor

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

ENVELOPE = frozenset(
    {
        "position", "stream_id", "version", "event_id", "type", "schema_version", "time", "namespace", "task_name",
        "step", "attempt", "actor", "correlation_id", "causation_id", "metadata", "hash",
    }
)  # fmt: skip
"""What `safe_get` finds beside the body of an event."""


class BaseSubscriber:
    """Is told of the events that it names.

    A method `handle_<event>`, dots as underscores, takes an event; `handle` takes those without a method of their own.
    An exception says that the delivery failed: a durable subscription tries it again.

        class Notify(BaseSubscriber):
            name = "notify"
            subscribe_to = ("task.failed", "order.*")

            def handle_task_failed(self, event):
                post(f"{self.safe_get(event, 'name')}: {self.safe_get(event, 'error_message')}")

    Attributes:
        name: The identity of its durable subscription; None if `subscribe` is given one.
        subscribe_to: Globs over event names.
        app: The application it is subscribed to; set by `subscribe`.
        redactor: What `redact` masks with; set by `subscribe` from the settings, else the default.
        delivery_timeout: Seconds after which a durable delivery that has not returned counts as failed. Its thread
            cannot be ended and is left alone, so give whatever may wait a timeout of its own, shorter than this.
    """

    name: str | None = None
    subscribe_to: str | Iterable[str] = ()
    app: Any = None
    redactor: Redactor | None = None
    delivery_timeout: float = 60.0
    _default_redactor: ClassVar[Redactor] = Redactor()

    def handle(self, event: RecordedEvent) -> None:
        """Take an event that has no method of its own; says so in the log."""
        text = "%s subscribes to %s but has neither a method %s nor a `handle` of its own; the event is passed over"
        method = _method(event.type)
        logger("bus").warning(text, type(self).__qualname__, event.type, method, extra={"event": event.type})

    def filter(self, event: RecordedEvent) -> bool:  # noqa: ARG002 - the parameter is for those who override it
        """Tell whether to take an event of a type that is subscribed to; by default all."""
        return True

    def deliver(self, event: RecordedEvent) -> bool:
        """Hand an event to its method; False if the filter passed it over."""
        if not self.filter(event):
            return False
        method = getattr(self, _method(event.type), None)
        (method or self.handle)(event)
        return True

    def close(self) -> None:
        """Give back what it holds; called when its subscription was retired, or when the application closes."""

    def safe_get(self, event: object, key: str, default: object = None) -> Any:  # noqa: ANN401 - any JSON value
        """Look a key up in the body of an event, then in its envelope, or in a mapping; never raises.

        Args:
            event: An event, a mapping, or None.
            key: What to look for; a key that is there wins, also with None.
            default: What to return if it is nowhere.
        """
        try:
            return _lookup(event, key, default)
        except Exception:  # noqa: BLE001 - the promise of this method; the default is the answer
            return default

    def redact(self, value: Mapping[str, object]) -> dict[str, object]:
        """Return a copy of a mapping in which secrets are masked at every depth."""
        masked = (self.redactor or self._default_redactor).mapping(dict(value))
        return masked if isinstance(masked, dict) else {}


def checked(subscriber: object, patterns: str | Iterable[str] | None = None) -> Patterns:
    """Check that something can be subscribed, and give the globs of what it is told.

    Args:
        subscriber: What a caller gave.
        patterns: Globs in place of its own `subscribe_to`.

    Raises:
        InvalidRequest: It is no subscriber, a method of it is async, its timeout is no number, or it names no events or
            such as there cannot be.
    """
    if not isinstance(subscriber, BaseSubscriber):
        hint = "; call the class, to give an instance" if isinstance(subscriber, type) else ""
        msg = f"subscribe: expected an instance of a subclass of BaseSubscriber, found {_shown(subscriber)}{hint}"
        raise InvalidRequest(msg)
    kind = type(subscriber)
    for name in dir(kind):
        if name in {"handle", "filter", "close"} or name.startswith("handle_"):
            _refuse_async(kind, name)
    seconds: object = subscriber.delivery_timeout
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not seconds > 0:
        msg = f"{kind.__qualname__}.delivery_timeout: expected seconds, a number above 0, found {seconds!r}"
        raise InvalidRequest(msg)
    found = Patterns(subscriber.subscribe_to if patterns is None else patterns)
    check_selecting(found)
    return found


def close_quietly(subscriber: BaseSubscriber) -> None:
    """Close a subscriber; what it raises is logged and harms nobody."""
    try:
        subscriber.close()
    except (Exception, SystemExit, CancelledError):  # noqa: BLE001 - the promise to what else is to be closed
        logger("bus").warning("%s.close() raised; the others are closed", type(subscriber).__qualname__, exc_info=True)


@lru_cache(maxsize=4_096)
def _method(event_type: str) -> str:
    """Name the method that takes events of a type."""
    return "handle_" + event_type.replace(".", "_")


def _lookup(event: Any, key: str, default: object) -> Any:  # noqa: ANN401 - whatever a caller of `safe_get` has
    if isinstance(event, RecordedEvent):
        body = event.body
        if key in body:
            return body[key]
        return getattr(event, key) if key in ENVELOPE else default
    return event.get(key, default)


def _refuse_async(kind: type, name: str) -> None:
    if iscoroutinefunction(getattr(kind, name, None)):
        msg = (
            f"{kind.__qualname__}.{name}: expected a plain method, found `async def`. Subscribers run on threads: "
            f"write `def`, and use asyncio.run(…) inside it where something must be awaited"
        )
        raise InvalidRequest(msg)


def _shown(value: object) -> str:
    if isinstance(value, type):
        return f"the class {value.__qualname__}"
    return f"a value of type {type(value).__qualname__}"
