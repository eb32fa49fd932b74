"""The threads that run handlers: as many as are needed at once, at most one for each slot and one to lead.

Handlers that return at once are run by one thread, for bringing others would cost more than the handlers do; jobs whose
handlers block are handed to threads one by one, each straight to the thread that will do it. While jobs wait unshared,
one idle thread stands guard and takes over when none was taken for 5 ms: what looked quick has blocked. A thread whose
job is about to end takes the next one itself: a chain changes no thread.
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
_QUICK_SECONDS = 0.00025
_SHARE_SECONDS = 0.001
_SLOWEST_SECONDS = 0.002
_LEARNING = 0.1
_GUARD_SECONDS = 0.005
_GUARD_ROUNDS = 10
_log = logger("runner")


class _Seat:
    """Where a thread of the crew waits: whoever calls it puts a job here, or none, and opens the gate."""

    __slots__ = ("gate", "guards", "job")

    def __init__(self, gate: threading.Lock) -> None:
        """Take the gate, and shut it."""
        gate.acquire()
        self.gate = gate
        self.guards = False
        self.job: Job | None = None


class Crew:
    """A queue of jobs and the threads that do them."""

    def __init__(self, capacity: int, threads: Threads) -> None:
        """Start without threads."""
        self._capacity = capacity + 1
        self._threads = threads
        self._lock = threads.lock()
        self._rest = threads.condition(self._lock)
        self._jobs: deque[Job] = deque()
        self._ending: set[int] = set()
        self._began: dict[int, float] = {}
        self._pace = 0.0
        self._taken = 0
        self._size = 0
        self._idle: list[_Seat] = []
        self._guard: _Seat | None = None
        self._called = False
        self._resting = 0
        self._stirs = 0
        self._active = 0
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
            self._share(keep=threading.get_ident() in self._ending)

    def ending(self) -> None:
        """Say that the job of this thread is about to end, so that it will take another; tells how long a job takes."""
        ident = threading.get_ident()
        began = self._began.pop(ident, None)
        if began is not None:
            self._ending.add(ident)
            # Cut off and averaged: one job that waited for the interpreter's lock does not make the others slow.
            took = min(self._threads.monotonic() - began, _SLOWEST_SECONDS)
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
                self._share(keep=False)
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

    # --- who does what; the lock is held in all of this ---

    def _share(self, *, keep: bool) -> None:
        """Bring jobs to other threads, unless those at work will be through in a moment.

        Args:
            keep: True to leave one job to a thread that will take it at once.
        """
        jobs = self._jobs
        while len(jobs) > keep:
            slow = self._pace > _QUICK_SECONDS and len(jobs) * self._pace > _SHARE_SECONDS
            if not slow and self._active:
                self._call_guard()
                return
            if not self._bring(jobs[0]):
                return
            jobs.popleft()
            self._active += 1
            self._taken += 1

    def _bring(self, job: Job) -> bool:
        """Hand a job to an idle thread or a new one; False if there can be no more."""
        if self._idle:
            seat = self._idle.pop()
        elif self._guard is not None:
            seat, self._guard = self._guard, None
        else:
            return self._hire(job)
        seat.job = job
        seat.gate.release()
        return True

    def _hire(self, job: Job | None) -> bool:
        if self._size == self._capacity:
            return False
        self._size += 1
        self._threads.start(f"tasker-slot-{self._size}", partial(self._loop, job))
        return True

    def _call_guard(self) -> None:
        """Have a thread come and stand guard, unless one does or is on its way."""
        if self._guard is not None or self._called:
            return
        if self._idle:
            self._called = True
            self._idle.pop().gate.release()
        else:
            self._called = self._hire(None)

    def _take(self) -> Job:
        """Take the first job, and share the others."""
        job = self._jobs.popleft()
        self._active += 1
        self._taken += 1
        self._share(keep=False)
        return job

    def _ended(self, ident: int) -> None:
        """Note that a thread's job has ended."""
        self._began.pop(ident, None)
        self._ending.discard(ident)
        self._active -= 1
        if self._resting and self.at_rest:
            self._rest.notify_all()

    # --- the life of a thread ---

    def _loop(self, job: Job | None) -> None:
        """Live as a thread of the crew until it closes; `job` is the first to do, None to come and look."""
        seat, ident = _Seat(self._threads.lock()), threading.get_ident()
        if job is not None:
            self._run(job, ident)
        job = self._next(seat, ident, after_job=job is not None)
        while job is not None:
            self._run(job, ident)
            job = self._next(seat, ident, after_job=True)
        with self._lock:
            self._size -= 1
            self._rest.notify_all()

    def _run(self, job: Job, ident: int) -> None:
        self._began[ident] = self._threads.monotonic()
        try:
            job()
        except BaseException:  # noqa: BLE001 - a thread of the crew survives any fault, which is logged
            _log.exception("a fault in the engine outside of any handler; the thread goes on")

    def _next(self, seat: _Seat, ident: int, *, after_job: bool) -> Job | None:
        """Give the next job, as soon as there is one; None once the crew closes.

        A thread that has just come stands guard, if nobody does, rather than share quick jobs with those at work.
        """
        came = not after_job
        while True:
            with self._lock:
                if after_job:
                    self._ended(ident)
                    after_job = False
                if came:
                    self._called = False
                watches = bool(self._active) and self._guard is None
                if self._jobs and not (watches and came and self._pace <= _QUICK_SECONDS):
                    return self._take()
                if self._closing:
                    return None
                self._sit(seat, guards=watches)
            job = self._stand(seat) if seat.guards else None
            if job is None:
                seat.gate.acquire()
                job, seat.job = seat.job, None
            if job is not None:
                return job
            came = True

    def _sit(self, seat: _Seat, *, guards: bool) -> None:
        """Wait to be called from now on. The lock is held."""
        seat.guards = guards
        if guards:
            self._guard = seat
        else:
            self._idle.append(seat)

    def _stand(self, seat: _Seat) -> Job | None:
        """Stand guard until called, until jobs wait and none was taken for a while, or until no more come.

        Returns:
            The job to do where those at work have blocked; None to wait at the gate, or to pass through it.
        """
        quiet = 0
        while quiet < _GUARD_ROUNDS:
            before = self._taken
            if seat.gate.acquire(timeout=_GUARD_SECONDS):
                seat.gate.release()  # called: the gate is passed where all are
                return None
            with self._lock:
                if self._guard is not seat:
                    return None
                if self._jobs and self._taken == before:
                    self._guard = None
                    self._pace = max(self._pace, 2 * _QUICK_SECONDS)
                    return self._take()
                quiet = 0 if self._jobs or self._taken != before else quiet + 1
        with self._lock:
            if self._guard is seat:
                self._guard = None
                self._idle.append(seat)
        return None

    # --- for those who wait ---

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
            waiting, self._idle = self._idle, []
            if self._guard is not None:
                waiting.append(self._guard)
                self._guard = None
            for seat in waiting:
                seat.gate.release()
            while self._size and (left := deadline - self._threads.monotonic()) > 0:
                self._rest.wait(left)
            return not self._size
