"""Heartbeats of this worker and the deaths of others, on a thread that waits for no handler and no leader."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasker.errors import LogUnavailable
from tasker.instrument import logger
from tasker.log.workers import LIVING, WorkerState
from tasker.runtime.lease import MOST_SKEW_SECONDS

if TYPE_CHECKING:
    import threading
    from collections.abc import Sequence

    from tasker.log.workers import Worker
    from tasker.runtime.lease import Lease
    from tasker.runtime.standing import Standing
    from tasker.runtime.threads import Threads

_AGAIN_SECONDS = 0.5
_SOON_SECONDS = 0.02
_log = logger("runner")


class Pulse:
    """Beats every `seconds`, and looks at the other workers as soon as a lease may have run out."""

    def __init__(self, standing: Standing, lease: Lease, *, seconds: float, threads: Threads) -> None:
        """Make it; `start` begins.

        Args:
            standing: Who is told.
            lease: This worker's.
            seconds: Between two heartbeats.
            threads: Gives the thread and real time.
        """
        self._standing = standing
        self._lease = lease
        self._seconds = seconds
        self._alone = not lease.ends
        self._threads = threads
        self._changed = threads.condition()
        self._hurried = False
        self._stopping = False
        self._failing = False
        self._far_off = False
        self._next_beat = 0.0
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Register this worker, take over from dead ones, and beat from now on.

        Raises:
            LogUnavailable: The store failed; nothing runs.
        """
        self._lease.take()
        self._look_at_others(prove_dead=self._alone)
        self._next_beat = self._threads.monotonic() + self._seconds
        self._thread = self._threads.start("tasker-pulse", self._loop)

    def stop(self) -> None:
        """End; the thread has gone when this returns."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(timeout=5)

    def hurry(self) -> None:
        """Beat, or register anew, at once."""
        with self._changed:
            self._hurried = True
            self._changed.notify_all()

    def _loop(self) -> None:
        patience = min(self._seconds, _AGAIN_SECONDS)
        while True:
            with self._changed:
                if not self._hurried and not self._stopping:
                    self._changed.wait(patience)
                if self._stopping:
                    return
                self._hurried = False
            try:
                patience = self._round()
                self._failing = False
            except LogUnavailable as error:
                (_log.debug if self._failing else _log.warning)("no heartbeat could be sent, tried again: %s", error)
                self._failing = True
                patience = min(self._seconds, _AGAIN_SECONDS)
            except Exception:  # noqa: BLE001 - without heartbeats this worker would be declared dead
                _log.exception("the heartbeat met an error and goes on")
                patience = min(self._seconds, _AGAIN_SECONDS)

    def _round(self) -> float:
        """Beat if it is time, look at the others; give the seconds until the next round."""
        if not self._lease.held:
            self._lease.take()
            self._next_beat = 0.0
            self._standing.lift()
        if self._threads.monotonic() >= self._next_beat:
            self._next_beat = self._threads.monotonic() + self._seconds
            self._hear(self._lease.worker_id, self._lease.beat())
            self._watch_clock()
        soonest = self._look_at_others(prove_dead=False)
        return min(soonest, max(self._next_beat - self._threads.monotonic(), 0.0))

    def _hear(self, worker_id: str, state: WorkerState) -> None:
        """Act on what a heartbeat was answered."""
        if state is WorkerState.DRAINING:
            self._standing.drain()
        elif state not in LIVING:
            self._standing.fenced_later(worker_id)

    def _watch_clock(self) -> None:
        """Warn, once, when this machine's clock and the store's are far apart."""
        far_off = abs(self._lease.skew) > MOST_SKEW_SECONDS
        if far_off and not self._far_off:
            _log.error(
                "unhealthy: the clock of this machine is %.1f s off the database's (allowed: %g s), so retries and "
                "timeouts come early or late; set it, for instance with NTP", self._lease.skew, MOST_SKEW_SECONDS,
            )  # fmt: skip
        self._far_off = far_off

    def _look_at_others(self, *, prove_dead: bool) -> float:
        """Find dead workers and have their attempts abandoned; give the seconds until somebody else may be dead."""
        rows, died = self._lease.others(prove_dead=prove_dead)
        if died and not self._alone:
            _log.warning("workers died, their attempts are abandoned: %s", ", ".join(died))
        dead = [row.worker_id for row in rows if row.state is WorkerState.DEAD and not row.settled]
        if prove_dead or dead:
            self._standing.abandon_orphans(dead)
        self._standing.know(self._living(rows))
        if self._alone:
            return self._seconds
        if dead:
            return _AGAIN_SECONDS
        left = [row.lease_left for row in rows if row.state in LIVING and row.lease_left is not None]
        return max(min(left, default=self._seconds), 0.0) + _SOON_SECONDS

    def _living(self, rows: Sequence[Worker]) -> list[str]:
        """Name the workers that start steps, in the same order on all of them."""
        return [row.worker_id for row in rows if row.state is WorkerState.ALIVE]
