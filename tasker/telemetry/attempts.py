"""The span of a running attempt: made lightly when its handler is called, sent when its end has become durable."""

from __future__ import annotations

from time import monotonic_ns
from typing import TYPE_CHECKING

from opentelemetry.attributes import BoundedAttributes
from opentelemetry.sdk.trace import Event
from opentelemetry.trace import Link, Span, SpanContext, Status, StatusCode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry.util.types import Attributes, AttributeValue

_MOST = 128  # attributes, and as many events and links, that a handler may add to the span of its attempt


class AttemptSpan(Span):
    """What a handler gets as its current span; it takes what a span of the SDK takes, at a tenth of its price.

    Most handlers add nothing, so that what they could add is made when they do.

    Attributes:
        started_at: When the handler was called, in nanoseconds of the engine's clock.
        ended_at: When it returned; None while it runs.
        secrets: What the handler got from the environment, by variable.
    """

    _sent = False
    _status: Status | None = None
    _added: dict[str, AttributeValue] | None = None
    _events: list[Event] | None = None
    _links: list[Link] | None = None
    ended_at: int | None = None

    def __init__(self, context: SpanContext, started_at: int, secrets: Mapping[str, str]) -> None:
        """Begin now."""
        self.secrets = secrets
        self._context = context
        self._began = monotonic_ns()
        self.started_at = started_at

    def returned(self) -> None:
        """Note that the handler has returned."""
        self.ended_at = self._now()

    def take(self) -> None:
        """Take nothing more: it is sent."""
        self._sent = True

    @property
    def added(self) -> dict[str, AttributeValue]:
        """Give the attributes that the handler set."""
        return self._added or {}

    @property
    def events(self) -> list[Event]:
        """Give what the handler noted."""
        return self._events or []

    @property
    def links(self) -> list[Link]:
        """Give the links that the handler added."""
        return self._links or []

    @property
    def status(self) -> Status | None:
        """Give the status that the handler set, or None."""
        return self._status

    def _now(self) -> int:
        return self.started_at + monotonic_ns() - self._began

    # --- the port of a span ---

    def end(self, end_time: int | None = None) -> None:
        """Do nothing: the attempt ends with its report, not when a handler says so."""

    def get_span_context(self) -> SpanContext:
        """Give ids and flags."""
        return self._context

    def set_attributes(self, attributes: Mapping[str, AttributeValue]) -> None:
        """Set several attributes."""
        for key, value in attributes.items():
            self.set_attribute(key, value)

    def set_attribute(self, key: str, value: AttributeValue) -> None:
        """Set an attribute."""
        added = self._added = self._added or {}
        if not self._sent and (key in added or len(added) < _MOST):
            added[key] = value

    def add_event(self, name: str, attributes: Attributes = None, timestamp: int | None = None) -> None:
        """Note something that happened."""
        events = self._events = self._events or []
        if not self._sent and len(events) < _MOST:
            events.append(Event(name, attributes, self._now() if timestamp is None else timestamp))

    def add_link(self, context: SpanContext, attributes: Attributes = None) -> None:
        """Link to another span."""
        links = self._links = self._links or []
        if not self._sent and len(links) < _MOST:
            links.append(Link(context, attributes))

    def update_name(self, name: str) -> None:
        """Do nothing: the name of this span is part of the contract."""

    def is_recording(self) -> bool:
        """Say whether it still takes something."""
        return not self._sent

    def set_status(self, status: Status | StatusCode, description: str | None = None) -> None:
        """Set the status; it counts where the outcome of the attempt sets none."""
        self._status = status if isinstance(status, Status) else Status(status, description)

    def record_exception(
        self,
        exception: BaseException,
        attributes: Attributes = None,
        timestamp: int | None = None,
        escaped: bool = False,  # noqa: FBT001, FBT002 - the signature of the port
    ) -> None:
        """Note an exception, by its type and message."""
        told: dict[str, AttributeValue] = {
            "exception.type": type(exception).__qualname__,
            "exception.message": str(exception),
            "exception.escaped": str(escaped),
        }
        self.add_event("exception", told | dict(attributes or {}), timestamp)


def bounded(values: Mapping[str, AttributeValue]) -> Attributes:
    """Give the attributes that a handler set, as far as they are of a kind that a span can have."""
    kept = BoundedAttributes(_MOST, values, immutable=True)  # what is of no such kind becomes None
    return {name: value for name, value in kept.items() if value is not None}
