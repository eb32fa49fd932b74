"""Who listens on the bus: receivers with their globs, connected to one blinker signal and held strongly."""

from __future__ import annotations

from asyncio import CancelledError
from threading import Lock
from typing import TYPE_CHECKING

from blinker import Signal

from tasker.catalog.catalog import check_selecting
from tasker.catalog.patterns import Patterns
from tasker.codec.recorded import RecordedEvent
from tasker.codec.registry import supported
from tasker.errors import InvalidRequest, UnsupportedEvent
from tasker.instrument import count, logger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tasker.codec.rows import StoredEvent


class Receiver:
    """One call of `on`: what to call for which events."""

    def __init__(self, patterns: Patterns, function: Callable[[RecordedEvent], object]) -> None:
        """Take the globs and the function."""
        self.patterns = patterns
        self._function = function

    def __call__(self, event: RecordedEvent) -> None:
        """Tell it; what it raises is logged and counted, and harms nobody."""
        try:
            self._function(event)
        except (Exception, SystemExit, CancelledError) as error:  # noqa: BLE001 - the promise to the other receivers
            kind, name = type(error).__qualname__, _shown(self._function)
            count("tasker.bus_receiver_failed", event=event.type, error=kind)
            logger("bus").warning(
                "receiver %s raised %s for %s at position %s; the others go on", name, kind, event.type, event.position,
                exc_info=error, extra={"event": event.type},
            )  # fmt: skip


class Receivers:
    """All receivers of a bus, in the order in which they came; thread-safe.

    Attributes:
        any: True if there is at least one: a plain attribute, since every commit asks for it.
    """

    def __init__(self) -> None:
        """Start with none."""
        self.any = False
        self._signal = Signal("events of the log")
        self._by_type: dict[str, tuple[Receiver, ...]] = {}
        self._changing = Lock()

    def add(
        self, patterns: str | Iterable[str] | Patterns, function: Callable[[RecordedEvent], object]
    ) -> Callable[[], None]:
        """Connect a function; give what disconnects it, which is safe to repeat.

        Raises:
            InvalidRequest: A pattern is no glob or can select no event, or what should be called cannot be.
        """
        if not callable(function):
            msg = f"bus.on: expected a function of one event, found a value of type {type(function).__qualname__}"
            raise InvalidRequest(msg)
        wanted = patterns if isinstance(patterns, Patterns) else Patterns(patterns)
        check_selecting(wanted)
        receiver = Receiver(wanted, function)
        with self._changing:
            self._signal.connect(receiver, weak=False)
            self._changed()
        return lambda: self._remove(receiver)

    def tell(self, stored: StoredEvent, log_id: bytes) -> None:
        """Call every receiver that wants an event."""
        wanted = self._by_type.get(stored.type)
        if wanted is None:
            wanted = self._wanting(stored.type)
        if not wanted:
            return
        try:
            supported(stored.code, stored.type, stored.schema_version, stored.position)
        except UnsupportedEvent as error:
            count("tasker.bus_unsupported", event=stored.type)
            logger("bus").warning("the bus passes an event over: %s", error, extra={"event": stored.type})
            return
        event = RecordedEvent(stored, log_id)
        for receiver in wanted:
            receiver(event)

    def wants(self, name: str) -> bool:
        """Tell whether any receiver wants events of this name."""
        wanted = self._by_type.get(name)
        return bool(self._wanting(name) if wanted is None else wanted)

    def _wanting(self, name: str) -> tuple[Receiver, ...]:
        with self._changing:
            connected = [one for one in self._signal.receivers.values() if isinstance(one, Receiver)]
            wanted = tuple(receiver for receiver in connected if receiver.patterns.matches(name))
            self._by_type[name] = wanted
            return wanted

    def _remove(self, receiver: Receiver) -> None:
        with self._changing:
            self._signal.disconnect(receiver)
            self._changed()

    def _changed(self) -> None:
        self._by_type = {}
        self.any = bool(self._signal.receivers)


def _shown(function: Callable[[RecordedEvent], object]) -> str:
    """Name a receiver; a subscriber by its own class, not by that which defines `deliver`."""
    owner = getattr(function, "__self__", None)
    return type(owner).__qualname__ if owner is not None else getattr(function, "__qualname__", repr(function))
