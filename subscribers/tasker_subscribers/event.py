"""`Event`: what the ready subscribers use of an event, as a port."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime


class Event(Protocol):
    """A recorded event of Tasker; of the rest of its envelope see `envelope`."""

    @property
    def position(self) -> int:
        """Give its place in the whole log."""
        ...

    @property
    def version(self) -> int:
        """Give its place among the events of its task, from 1."""
        ...

    @property
    def event_id(self) -> str:
        """Give its UUID: the key under which it is delivered."""
        ...

    @property
    def stream_id(self) -> str:
        """Give the id of its task, or `$control`."""
        ...

    @property
    def type(self) -> str:
        """Give its name."""
        ...

    @property
    def time(self) -> datetime:
        """Give when it was recorded (aware, UTC)."""
        ...

    @property
    def task_name(self) -> str | None:
        """Give the name of its task's definition; None for a control event."""
        ...

    @property
    def body(self) -> Mapping[str, Any]:
        """Give what it carries."""
        ...


class SpokenEvent(Event, Protocol):
    """An event that can be told to the world outside."""

    def cloudevent(self) -> dict[str, Any]:
        """Give its CloudEvents 1.0 form."""
        ...


def envelope(event: Event, key: str) -> Any:  # noqa: ANN401 - texts, numbers and None
    """Give what stands on the envelope of an event, whatever its body says: step, attempt, namespace."""
    return getattr(event, key, None)
