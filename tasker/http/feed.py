"""The events as they come, for any number of clients: one task reads the log's tail, and all clients share its pages.

A client has no queue of its own, only the position up to which it was told. So a thousand of them cost one read of the
log and no memory that grows. Who was up to date and falls behind what is kept is disconnected, and comes back with the
position it has, which is then read from the log.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool

from tasker.codec.recorded import RecordedEvent
from tasker.errors import TaskerError
from tasker.instrument import logger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tasker.log.port import EventLog

KEPT = 5_000
"""Events that are kept for clients that are up to date."""
KEPT_BYTES = 32 * 1024 * 1024
"""Their size at most, one event aside."""
PAGE = 100
_POLL_SECONDS = 0.1
_PATIENCE_SECONDS = 1.0
_log = logger("http")


class Feed:
    """The tail of one log. It belongs to the event loop that uses it; without a client it reads nothing."""

    def __init__(self, log: Callable[[], EventLog]) -> None:
        """Take the log as a function, for it is opened at first use."""
        self._log = log
        self._loop: asyncio.AbstractEventLoop | None = None
        self._recent: deque[RecordedEvent] = deque()
        self._sizes: deque[int] = deque()
        self._bytes = 0
        self._reached = 0
        self._clients = 0
        self._reader: asyncio.Task[None] | None = None
        self._joining = asyncio.Lock()
        self._moved = asyncio.Event()
        self.closed = False

    async def join(self) -> int:
        """Take part; gives the position from which on the feed tells of events.

        Raises:
            LogUnavailable: The log failed; the caller takes no part.
        """
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            self._loop, self._clients, self._reader = loop, 0, None
            self._joining, self._moved = asyncio.Lock(), asyncio.Event()
        self._clients += 1
        try:
            async with self._joining:
                if self._reader is None or self._reader.done():
                    self._forget()
                    self._reached = await run_in_threadpool(lambda: self._log().head())
                    self._reader = loop.create_task(self._read())
        except BaseException:
            self._clients -= 1
            raise
        return self._reached

    def leave(self) -> None:
        """Take part no more."""
        self._clients -= 1

    def since(self, position: int) -> list[RecordedEvent] | None:
        """Give what came after a position; None if not all of it is kept."""
        if position >= self._reached:
            return []
        if not self._recent or self._recent[0].position > position + 1:
            return None
        skipped = position + 1 - self._recent[0].position
        return [self._recent[place] for place in range(skipped, min(len(self._recent), skipped + PAGE))]

    async def page(self, position: int) -> list[RecordedEvent]:
        """Read what came after a position from the log.

        Raises:
            LogUnavailable: The log failed.
        """
        return [event for event, _ in await run_in_threadpool(self._page, position)]

    def _page(self, position: int) -> list[tuple[RecordedEvent, int]]:
        log = self._log()
        rows = log.tail(position, limit=PAGE)
        return [(RecordedEvent(row, log.log_id), len(row.data) + len(row.payload or b"")) for row in rows]

    async def wait(self, position: int, seconds: float) -> None:
        """Wait until there is something after a position, or for so long."""
        if position < self._reached or self.closed:
            return
        try:
            async with asyncio.timeout(seconds):
                await self._moved.wait()
        except TimeoutError:
            return

    def keep(self, page: Iterable[tuple[RecordedEvent, int]]) -> None:
        """Keep events with their sizes, and forget the oldest beyond the bounds."""
        for event, size in page:
            self._recent.append(event)
            self._sizes.append(size)
            self._bytes += size
            self._reached = event.position
        while len(self._recent) > KEPT or (self._bytes > KEPT_BYTES and len(self._recent) > 1):
            self._recent.popleft()
            self._bytes -= self._sizes.popleft()

    def _forget(self) -> None:
        self._recent.clear()
        self._sizes.clear()
        self._bytes = 0

    def close(self) -> None:
        """End every client; safe to repeat. Called on the event loop."""
        self.closed = True
        self._wake()

    def _wake(self) -> None:
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()

    async def _read(self) -> None:
        """Follow the log while there are clients."""
        while self._clients > 0 and not self.closed:
            try:
                page = await run_in_threadpool(self._page, self._reached)
            except TaskerError as error:
                _log.warning("reading the log for the event stream failed and is tried again: %s", error)
                await asyncio.sleep(_PATIENCE_SECONDS)
                continue
            if page:
                self.keep(page)
                self._wake()
            if len(page) < PAGE:
                await asyncio.sleep(_POLL_SECONDS)
