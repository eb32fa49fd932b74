"""One event loop on a thread of its own, for async handlers; timers and reports never wait for it."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from tasker.runtime.threads import Threads


class Loop:
    """Starts at the first coroutine and ends with `close`."""

    def __init__(self, threads: Threads) -> None:
        """Start nothing."""
        self._threads = threads
        self._lock = threads.lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def _running(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = self._threads.start("tasker-loop", self._loop.run_forever)
            return self._loop

    def run(self, work: Coroutine[object, object, None]) -> Callable[[], None]:
        """Run a coroutine on the loop; gives what cancels it."""
        future = asyncio.run_coroutine_threadsafe(work, self._running())
        return lambda: (future.cancel(), None)[1]

    def close(self, last: Callable[[], Coroutine[object, object, None]]) -> None:
        """Cancel what still runs, run one last coroutine on the loop, and end the thread.

        Args:
            last: Makes the coroutine, for instance one that closes clients of this loop.
        """
        with self._lock:
            loop, self._loop = self._loop, None
        if loop is None or self._thread is None:
            return
        asyncio.run_coroutine_threadsafe(_wind_up(last), loop).result(timeout=5)
        loop.call_soon_threadsafe(loop.stop)
        self._thread.join(timeout=5)
        loop.close()


async def _wind_up(last: Callable[[], Coroutine[object, object, None]]) -> None:
    others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    await last()
