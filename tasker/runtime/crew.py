"""The threads that run handlers: as many as are needed at once, at most one for each slot.

A thread that finds more work wakes one other, never all: handlers that return at once are run by few threads, those
that block get as many as there are slots. A thread that leads keeps the next job for itself, so a chain changes no
thread.
"""

from __future__ import annotations

import threading
from collections import deque
from functools import partial
from typing import TYPE_CHECKING

from tasker.instrument import logger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tasker.runtime.threads import Threads

    Job = Callable[[], None]

_LOOK_AGAIN_SECONDS = 0.05
_log = logger("runner")


class Crew:
    """A queue of jobs and the threads that take from it."""

    def __init__(self, capacity: int, threads: Threads) -> None:
        """Start without threads."""
        self._capacity = capacity + 1
        self._threads = threads
        self._lock = threads.lock()
        self._work = threads.condition(self._lock)
        self._rest = threads.condition(self._lock)
        self._jobs: deque[Job] = deque()
        self._members: set[int] = set()
        self._size = 0
        self._idle = 0
        self._resting = 0
        self._stirs = 0
        self._active = 0
        self._waking = False
        self._last_stands = False
        self._closing = False

    @property
    def at_rest(self) -> bool:
        """Say whether no job waits or runs."""
        return not self._jobs and not self._active

    def give(self, jobs: Iterable[Job]) -> None:
        """Add jobs; a member of the crew will take one itself."""
        with self._lock:
            self._jobs.extend(jobs)
            spare = len(self._jobs) - (threading.get_ident() in self._members)
            if spare > 0:
                self._wake()

    def after_jobs(self, job: Job) -> bool:
        """Put one job behind all others, unless there are none (then the caller does it) or one stands there already.

        One thread more than there are slots exists for it, so it never waits for a handler that blocks.

        Returns:
            False if no job waits.
        """
        with self._lock:
            if not self._jobs:
                return False
            if not self._last_stands:
                self._last_stands = True
                self._jobs.append(partial(self._do_last, job))
                self._wake()
            return True

    def _do_last(self, job: Job) -> None:
        self._last_stands = False
        job()

    def stir(self) -> None:
        """Let those who wait look again."""
        self._stirs += 1
        if self._resting:
            with self._lock:
                self._rest.notify_all()

    def _wake(self) -> None:
        """Have one more thread come, unless one is on its way. The condition is held."""
        if self._waking or not self._jobs:
            return
        if self._idle:
            self._waking = True
            self._work.notify()
        elif self._size < self._capacity:
            self._waking = True
            self._size += 1
            self._threads.start(f"tasker-slot-{self._size}", self._loop)

    def _loop(self) -> None:
        """Live as a thread of the crew until it closes."""
        ident = threading.get_ident()
        with self._lock:
            self._members.add(ident)
        while (job := self._wait()) is not None:
            self._run(job)
        with self._lock:
            self._members.discard(ident)
            self._size -= 1
            self._waking = False
            self._rest.notify_all()

    def _wait(self) -> Job | None:
        with self._lock:
            while not self._jobs:
                self._waking = False
                if self._closing:
                    return None
                self._idle += 1
                self._work.wait()
                self._idle -= 1
            return self._take()

    def _take(self) -> Job:
        """Take a job and pass the call on if there are more. The condition is held."""
        self._waking = False
        self._active += 1
        job = self._jobs.popleft()
        self._wake()
        return job

    def _run(self, job: Job) -> None:
        try:
            job()
        except Exception:  # noqa: BLE001 - a thread of the crew survives any fault, which is logged
            _log.exception("a fault in the engine outside of any handler; the thread goes on")
        finally:
            with self._lock:
                self._active -= 1
                if self._resting and self.at_rest:
                    self._rest.notify_all()

    def wait(self, done: Callable[[], bool], seconds: float | None) -> bool:
        """Wait until something is done. The caller runs no handler: one that hangs must not keep it.

        Args:
            done: Asked whenever the crew comes to rest, when it is stirred, and now and then.
            seconds: How long at most, in real time; None for no bound.

        Returns:
            False if the time ran out.
        """
        deadline = None if seconds is None else self._threads.monotonic() + seconds
        while True:
            stirs = self._stirs
            if done():
                return True
            left = _LOOK_AGAIN_SECONDS if deadline is None else deadline - self._threads.monotonic()
            if left <= 0:
                return False
            with self._lock:
                self._resting += 1
                if stirs == self._stirs and not (self.at_rest and done()):
                    self._rest.wait(min(left, _LOOK_AGAIN_SECONDS))
                self._resting -= 1

    def close(self, seconds: float) -> bool:
        """Let the threads go; True if all went within the time. One that is stuck in a handler stays behind."""
        deadline = self._threads.monotonic() + seconds
        with self._lock:
            self._closing = True
            self._work.notify_all()
            while self._size and (left := deadline - self._threads.monotonic()) > 0:
                self._rest.wait(left)
            return not self._size
