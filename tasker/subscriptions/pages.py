"""`Pages`: the log as all subscriptions of a process read it, each page once for those that stand at the same place.

What this process appended itself it need not even read: the names that occur in it tell that nobody wants it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from operator import attrgetter
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tasker.catalog.patterns import Patterns
    from tasker.codec.rows import StoredEvent
    from tasker.log.port import EventLog

PAGE = 500  # events that are read at once
_KEPT = 4  # pages that are remembered
_STRETCHES = 1_000  # stretches of what this process appended
_position = attrgetter("position")


class Wanted(NamedTuple):
    """What a subscription wants of a page: events in the order of the log, and how far there is nothing else for it."""

    events: Sequence[StoredEvent] = ()
    last: int = 0


class Page:
    """Some events in the order of the log, without a gap.

    Attributes:
        first: The position of the first event.
        last: The position of the last event.
    """

    def __init__(self, events: Sequence[StoredEvent]) -> None:
        """Take the events, one at least."""
        self.first = events[0].position
        self.last = events[-1].position
        self._events = events
        self._types = {stored.type for stored in events}
        self._matching: dict[tuple[str, ...], list[StoredEvent]] = {}

    def wanted(self, patterns: Patterns, after: int) -> Wanted | None:
        """Give the events behind a position that match; None if there are none.

        Those that match are looked for once, however many subscriptions have the same globs.
        """
        found = self._matching.get(patterns.globs)
        if found is None:
            types = set(filter(patterns.matches, self._types))
            found = [stored for stored in self._events if stored.type in types] if types else []
            self._matching[patterns.globs] = found
        if found and found[0].position <= after:
            found = found[bisect_right(found, after, key=_position) :]
        return Wanted(found, self.last) if found else None


class Stretch:
    """Events that this process appended one behind the other, and the names that occur among them.

    Attributes:
        first: The position of the first event.
        last: The position of the last event.
    """

    def __init__(self, first: int, last: int, types: Iterable[str]) -> None:
        """Take what was appended first."""
        self.first = first
        self.last = last
        self._types = set(types)

    def grow(self, last: int, types: Iterable[str]) -> None:
        """Take what was appended next."""
        self._types |= set(types)
        self.last = last

    def wanted(self, patterns: Patterns) -> bool:
        """Tell whether any of the events matches."""
        return any(map(patterns.matches, self._types))


class Pages:
    """Reads pages and remembers the last few; thread-safe."""

    def __init__(self) -> None:
        """Start with nothing."""
        self._kept: deque[Page] = deque(maxlen=_KEPT)
        self._reading = Lock()
        self._stretches: deque[Stretch] = deque(maxlen=_STRETCHES)
        self._sealed = True
        self._knowing = Lock()

    def after(self, position: int, log: EventLog) -> Page | None:
        """Give a page that holds the event behind a position; None where the log ends."""
        with self._reading:
            for page in self._kept:
                if page.first <= position + 1 <= page.last:
                    return page
            events = log.tail(position, limit=PAGE)
            if not events:
                return None
            page = Page(events)
            self._kept.append(page)
            return page

    def appended(self, first: int, last: int, types: Iterable[str]) -> None:
        """Hear what this process has appended, and which names occur in it."""
        with self._knowing:
            if not self._sealed and self._stretches and self._stretches[-1].last + 1 == first:
                self._stretches[-1].grow(last, types)
            else:
                self._stretches.append(Stretch(first, last, types))
                self._sealed = False

    def known(self, position: int) -> Stretch | None:
        """Give a stretch that holds the event behind a position; it grows no more."""
        with self._knowing:
            self._sealed = True
            while self._stretches and self._stretches[0].last <= position:
                self._stretches.popleft()
            for stretch in self._stretches:
                if stretch.first <= position + 1 <= stretch.last:
                    return stretch
        return None

    def forget(self) -> None:
        """Let go of what is remembered."""
        with self._reading, self._knowing:
            self._kept.clear()
            self._stretches.clear()
