"""The thread that watches time: deadlines of attempts, heartbeats, timers that fall due, appends of other processes."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from tasker.instrument import logger

if TYPE_CHECKING:
    from tasker.runtime.runner import Runner
    from tasker.runtime.threads import Threads

POLL_SECONDS = 0.1
_log = logger("runner")


class Watch:
    """Looks at least every 100 ms, and earlier where a timer is expected earlier."""

    def __init__(self, runner: Runner, threads: Threads) -> None:
        """Make it; `start` begins."""
        self._runner = runner
        self._threads = threads
        self._changed = threads.condition()
        self._expected: int | None = None
        self._stopping = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to watch."""
        self._thread = self._threads.start("tasker-watch", self._loop)

    def stop(self) -> None:
        """End; the thread has gone when this returns, unless it is the caller."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout=5)

    def expect(self, due: int) -> None:
        """Note the earliest due time, in microseconds; wakes the thread if it would look too late."""
        if self._expected is None or due < self._expected:
            self._expected = due
            seconds = (due - self._runner.now()) / 1_000_000
            if seconds < POLL_SECONDS:
                with self._changed:
                    self._changed.notify_all()

    def _loop(self) -> None:
        while not self._stopping:
            try:
                self._runner.tick()
                self._runner.expire_attempts(self._threads.monotonic())
            except Exception:  # noqa: BLE001 - without its watch a runner would not see time pass
                _log.exception("the watch met an error and goes on")
            with self._changed:
                if not self._stopping:
                    self._changed.wait(self._patience())

    def _patience(self) -> float:
        """Give the seconds until the next look."""
        self._expected = due = self._runner.next_due
        if due is None:
            return POLL_SECONDS
        return min(POLL_SECONDS, max((due - self._runner.now()) / 1_000_000, 0.001))
