"""The bus of a process: tells receivers of events after their commit, in log order, on one thread of its own.

What is queued are ranges of positions, never events: these are read from the log page by page, so that a slow receiver
costs latency and no memory. The bus is best effort: what must not be lost belongs to a durable subscription.
"""

from __future__ import annotations

from collections import deque
from threading import Condition, Thread, current_thread
from typing import TYPE_CHECKING

from tasker.bus.receivers import Receivers
from tasker.bus.subscriber import close_quietly
from tasker.errors import TaskerError
from tasker.instrument import count, logger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tasker.bus.subscriber import BaseSubscriber
    from tasker.catalog.patterns import Patterns
    from tasker.codec.recorded import RecordedEvent
    from tasker.log.port import EventLog

PAGE = 200  # events read at once
MOST_RANGES = 100_000  # ranges that may wait; each holds at least one event
POLL = 0.1  # seconds between two looks at the head of the log, if the whole log is followed
PATIENCE = 1.0  # seconds to wait after the log could not be read


class Bus:
    """In-process signals of an application.

    With `follow` it carries the whole log, whoever appended; without, what this process offers.
    """

    def __init__(self, log_source: Callable[[], EventLog], *, follow: bool = False) -> None:
        """Start nothing: the thread starts when there is something to tell somebody.

        Args:
            log_source: Gives the log when it is first needed.
            follow: True to tail the whole log.
        """
        self._log_source = log_source
        self._follow = follow
        self._receivers = Receivers()
        self._attached: list[BaseSubscriber] = []
        self._ranges: deque[tuple[int, int]] = deque()
        self._seen = 0
        self._telling = False
        self._poked = False
        self._closed = False
        self._thread: Thread | None = None
        self._changed = Condition()

    def on(
        self, pattern: str | Iterable[str] | Patterns, receiver: Callable[[RecordedEvent], object]
    ) -> Callable[[], None]:
        """Tell a receiver of every event from now on whose name a glob selects; it is held until taken off.

        Args:
            pattern: A glob such as `task.*`, or several, of which an event needs to match one.
            receiver: Called with the event, on the thread of the bus.

        Returns:
            What takes the receiver off again; safe to repeat.

        Raises:
            InvalidRequest: The pattern is no glob, or the receiver cannot be called.
        """
        if self._follow and not self._receivers.any:
            self._seen = self._log_source().head()
        off = self._receivers.add(pattern, receiver)
        if self._follow:
            self.poke()
            self._start()
        return off

    def attach(self, subscriber: BaseSubscriber, patterns: Patterns) -> None:
        """Tell a subscriber of the events that some globs select, and close it when the bus is closed."""
        if all(known is not subscriber for known in self._attached):
            self._attached.append(subscriber)
        self.on(patterns, subscriber.deliver)

    @property
    def listening(self) -> bool:
        """Tell whether there is a receiver."""
        return self._receivers.any

    def offer(self, first: int, last: int, types: Iterable[str] | None = None) -> None:
        """Tell receivers of events that this process has committed; costs one look if there is none.

        Args:
            first: Position of the first event.
            last: Position of the last event.
            types: The names that occur among them, so that what nobody wants need not be read; None if not known.
        """
        if self._receivers.any and (types is None or any(map(self._receivers.wants, types))):
            self._queue(first, last)

    def poke(self) -> None:
        """Say that the log may have grown; only who follows the whole log cares."""
        if self._follow and self._receivers.any:
            with self._changed:
                self._poked = True
                self._changed.notify_all()

    def drain(self, timeout: float) -> bool:
        """Wait until everything offered so far, or of the whole log if that is followed, was delivered.

        A receiver that calls this is not waited for by itself.

        Args:
            timeout: Seconds of real time.

        Returns:
            False if the time ran out before.
        """
        if current_thread() is self._thread:
            return True
        if self._follow and self._receivers.any and not self._closed:
            self._look()
        with self._changed:
            return self._changed.wait_for(lambda: self._closed or not (self._ranges or self._telling), timeout)

    def close(self, timeout: float = 5.0) -> None:
        """Stop after the event that is being delivered, and close the subscribers; safe to repeat.

        Args:
            timeout: Seconds to wait for a receiver that is still busy.
        """
        with self._changed:
            self._closed = True
            self._ranges.clear()
            self._changed.notify_all()
        if self._thread is not None and self._thread is not current_thread():
            self._thread.join(timeout)
        attached, self._attached = self._attached, []
        for subscriber in attached:
            close_quietly(subscriber)

    def _queue(self, first: int, last: int) -> None:
        if self._follow:
            self.poke()
            return
        with self._changed:
            if not self._closed:
                self._add(first, last)
        self._start()

    def _add(self, first: int, last: int) -> None:
        """Queue a range, joined to the one before it where they touch."""
        ranges = self._ranges
        if ranges and ranges[-1][1] + 1 == first:
            ranges[-1] = (ranges[-1][0], last)
        else:
            late = bool(ranges) and first < ranges[-1][0]
            ranges.append((first, last))
            if late:  # two threads committed and came here in the other order
                self._ranges = deque(sorted(ranges))
        if len(self._ranges) > MOST_RANGES:
            lost = self._ranges.popleft()
            count("tasker.bus_overflow")
            logger("bus").error("receivers are too slow: the bus passes positions %s to %s over", *lost)
        self._changed.notify_all()

    def _look(self) -> None:
        """Queue what the log has grown by."""
        head = self._log_source().head()
        with self._changed:
            if head > self._seen:
                self._add(self._seen + 1, head)
                self._seen = head

    def _start(self) -> None:
        if self._thread is not None:
            return
        with self._changed:
            if self._thread is None and not self._closed:
                self._thread = Thread(target=self._run, name="tasker-bus", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while not self._closed:
            try:
                self._turn()
            except TaskerError as error:
                logger("bus").warning("the bus cannot read the log and tries again: %s", error)
                with self._changed:
                    self._changed.wait_for(lambda: self._closed, PATIENCE)

    def _turn(self) -> None:
        """Wait for something to tell, and tell one page of it."""
        with self._changed:
            patience = POLL if self._follow and self._receivers.any else None
            self._changed.wait_for(lambda: self._closed or self._poked or bool(self._ranges), patience)
            self._poked = False
        if self._follow and self._receivers.any and not self._closed:
            self._look()
        with self._changed:
            if self._closed or not self._ranges:
                return
            first, last = self._ranges.popleft()
            if last - first >= PAGE:
                self._ranges.appendleft((first + PAGE, last))
            self._telling = True
        try:
            self._tell(first, min(last, first + PAGE - 1))
        finally:
            with self._changed:
                self._telling = False
                self._changed.notify_all()

    def _tell(self, first: int, last: int) -> None:
        """Read a page and tell it; what could not be read stays queued."""
        try:
            log = self._log_source()
            page = log.tail(first - 1, limit=last - first + 1)
        except TaskerError:
            with self._changed:
                self._ranges.appendleft((first, last))
            raise
        for stored in page:
            if self._closed or stored.position > last:
                return
            self._receivers.tell(stored, log.log_id)
