"""The bounded queue in front of the leader; reports go before requests."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from tasker.errors import Overloaded

if TYPE_CHECKING:
    from collections.abc import Callable

    from tasker.runtime.threads import Threads
    from tasker.runtime.ticket import Ticket

MOST_TICKETS = 10_000
MOST_BYTES = 64 * 1024 * 1024
PATIENCE_SECONDS = 5.0
_TURN_TICKETS = 256
_TURN_BYTES = 4 * 1024 * 1024


class Inbox:
    """Tickets that wait for the next turn. Thread-safe."""

    def __init__(self, threads: Threads) -> None:
        """Start empty."""
        self._threads = threads
        self._room = threads.condition()
        self._reports: deque[Ticket] = deque()
        self._requests: deque[Ticket] = deque()
        self._bytes = 0
        self._nudged = False
        self.errands: deque[Callable[[], None]] = deque()

    def __len__(self) -> int:
        """Count the tickets."""
        return len(self._reports) + len(self._requests)

    @property
    def waiting(self) -> bool:
        """Say whether a turn has anything to do."""
        return bool(self._reports or self._requests or self._nudged or self.errands)

    def nudge(self) -> None:
        """Ask for a turn although there is no ticket: something may have become startable."""
        self._nudged = True

    def is_full_for(self, ticket: Ticket) -> bool:
        """Say whether a request would have to wait for room."""
        return len(self._requests) >= MOST_TICKETS or self._bytes + ticket.size > MOST_BYTES

    def put(self, ticket: Ticket) -> None:
        """Add a ticket. Reports always find room: their number is bounded by the slots.

        Raises:
            Overloaded: The queue stayed full for 5 s.
        """
        if ticket.report:
            self._reports.append(ticket)
            return
        with self._room:
            deadline = self._threads.monotonic() + PATIENCE_SECONDS
            while self.is_full_for(ticket):
                left = deadline - self._threads.monotonic()
                if left <= 0 or not self._room.wait(left):
                    message = (
                        f"{len(self._requests)} requests ({self._bytes} bytes) have waited for the log for"
                        f" {PATIENCE_SECONDS:g} s (bounds: {MOST_TICKETS} and {MOST_BYTES});"
                        " try again later or slow down"
                    )
                    raise Overloaded(message)
            self._bytes += ticket.size
            self._requests.append(ticket)

    def give_back(self, tickets: list[Ticket]) -> None:
        """Put tickets that have to be decided again in front."""
        with self._room:
            for ticket in reversed(tickets):
                if ticket.report:
                    self._reports.appendleft(ticket)
                else:
                    self._bytes += ticket.size
                    self._requests.appendleft(ticket)

    def take(self) -> list[Ticket]:
        """Take what one turn may decide."""
        self._nudged = False
        batch: list[Ticket] = []
        size = 0
        while self._reports and len(batch) < _TURN_TICKETS and size < _TURN_BYTES:
            batch.append(self._reports.popleft())
            size += batch[-1].size
        if not self._requests:
            return batch
        with self._room:
            while self._requests and len(batch) < _TURN_TICKETS and size < _TURN_BYTES:
                ticket = self._requests.popleft()
                batch.append(ticket)
                size += ticket.size
                self._bytes -= ticket.size
            self._room.notify_all()
        return batch

    def next_waiter(self) -> Ticket | None:
        """Give a ticket whose owner waits and can lead, or None."""
        return next((ticket for ticket in tuple(self._requests) if ticket.gate is not None), None)
