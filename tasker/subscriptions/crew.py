"""`Crew`: threads that call subscribers. One that hangs costs a thread and holds up no other subscription."""

from __future__ import annotations

from queue import SimpleQueue
from threading import Lock, Thread
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_MOST_IDLE = 64  # threads that wait for the next job


class Crew:
    """Runs each job at once, on a thread that has nothing to do or on a new one.

    The threads do not keep the process alive: nobody can end one that hangs.
    """

    def __init__(self) -> None:
        """Start nothing."""
        self._jobs: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._changing = Lock()
        self._idle = 0

    def run(self, job: Callable[[], None]) -> None:
        """Run a job, which must not raise."""
        with self._changing:
            if self._idle:
                self._idle -= 1
                self._jobs.put(job)
                return
        Thread(target=self._work, args=(job,), name="tasker-subscriber", daemon=True).start()

    def close(self) -> None:
        """End the threads that have nothing to do; safe to repeat, and the next job starts anew."""
        with self._changing:
            for _ in range(self._idle):
                self._jobs.put(None)
            self._idle = 0

    def _work(self, job: Callable[[], None] | None) -> None:
        while job is not None:
            job()
            with self._changing:
                if self._idle >= _MOST_IDLE:
                    return
                self._idle += 1
            job = self._jobs.get()
