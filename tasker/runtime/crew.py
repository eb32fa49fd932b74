"""The threads that run handlers: as many as are needed at once, at most one for each slot.

A thread that finds more work than it will do in a moment wakes one other, never all. So handlers that return at once
are run by one thread, for waking others would cost more than the handlers do; handlers that block get as many threads
as there are slots. While jobs wait unshared, one idle thread stands guard and takes over when none was taken for 5 ms:
what looked quick has blocked. A thread whose job is about to end takes the next one itself: a chain changes no thread.
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
_SHARE_SECONDS = 0.001
_QUICK_SECONDS = 0.00025
_GUARD_SECONDS = 0.005
_GUARD_ROUNDS = 10
_LEARNING = 0.1
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
        self._ending: set[int] = set()
        self._began: dict[int, float] = {}
        self._pace = 0.0
        self._taken = 0
        self._standing = False
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
        """Add jobs; a thread of the crew whose job is about to end will take one itself."""
        with self._lock:
            self._jobs.extend(jobs)
            spare = len(self._jobs) - (threading.get_ident() in self._ending)
            if spare > 0:
                self._share()

    def ending(self) -> None:
        """Say that the job of this thread is about to end, so that it will take another; tells how long a job takes."""
        ident = threading.get_ident()
        began = self._began.pop(ident, None)
        if began is not None:
            self._ending.add(ident)
            # Cut off and averaged: one job that waited for the interpreter's lock does not make the others slow.
            took = min(self._threads.monotonic() - began, _SHARE_SECONDS)
            self._pace += (took - self._pace) * _LEARNING

    def after_jobs(self, job: Job) -> bool:
        """Put one job behind all others, unless there are none (then the caller does it) or one stands there already.

        One thread more than there are slots exists for it, so it never waits for a handler that blocks.

        Returns:
            False if no job waits.
        """
        if self._last_stands:  # it has not begun: whatever was brought before this look, it will see
            return True
        with self._lock:
            if not self._jobs:
                return False
            if not self._last_stands:
                self._last_stands = True
                self._jobs.append(partial(self._do_last, job))
                self._share()
            return True

    def _do_last(self, job: Job) -> None:
        self._last_stands = False
        self._ending.add(threading.get_ident())
        job()

    def stir(self) -> None:
        """Let those who wait look again."""
        self._stirs += 1
        if self._resting:
            with self._lock:
                self._rest.notify_all()

    def _share(self) -> None:
        """Have one more thread come, unless those at work will be through in a moment. The condition is held."""
        slow = self._pace > _QUICK_SECONDS and len(self._jobs) * self._pace > _SHARE_SECONDS
        if slow or not (self._active and self._standing):
            self._wake()

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
        job = self._next(ident, after_job=False)
        while job is not None:
            self._run(job, ident)
            job = self._next(ident, after_job=True)
        with self._lock:
            self._size -= 1
            self._waking = False
            self._rest.notify_all()

    def _next(self, ident: int, *, after_job: bool) -> Job | None:
        """Give the next job, as soon as there is one; None once the crew closes.

        A thread that has just come stands guard, if nobody does, rather than share quick jobs with those at work.
        """
        with self._lock:
            if after_job:
                self._ended(ident)
            came = not after_job
            while True:
                if self._active and not self._standing and (not self._jobs or (came and self._pace <= _QUICK_SECONDS)):
                    self._guard()
                if self._jobs:
                    return self._take()
                self._waking = False
                if self._closing:
                    return None
                self._idle += 1
                self._work.wait()
                self._idle -= 1
                came = True

    def _guard(self) -> None:
        """Stand by until jobs wait and none was taken for a while, or until no more come. The condition is held."""
        quiet = 0
        self._standing = True
        while not self._closing and quiet < _GUARD_ROUNDS:
            self._waking = False
            before = self._taken
            self._idle += 1
            called = self._work.wait(_GUARD_SECONDS) and self._waking
            self._idle -= 1
            if called:
                break
            if self._jobs and self._taken == before:
                self._pace = max(self._pace, 2 * _QUICK_SECONDS)  # those at work have blocked
                break
            quiet = 0 if self._jobs or self._taken != before else quiet + 1
        self._standing = False

    def _take(self) -> Job:
        """Take a job and pass the call on if there are more. The condition is held."""
        self._waking = False
        self._active += 1
        self._taken += 1
        job = self._jobs.popleft()
        if self._jobs:
            self._share()
        return job

    def _run(self, job: Job, ident: int) -> None:
        self._began[ident] = self._threads.monotonic()
        try:
            job()
        except BaseException:  # noqa: BLE001 - a thread of the crew survives any fault, which is logged
            _log.exception("a fault in the engine outside of any handler; the thread goes on")

    def _ended(self, ident: int) -> None:
        """Note that a thread's job has ended. The condition is held."""
        self._began.pop(ident, None)
        self._ending.discard(ident)
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
