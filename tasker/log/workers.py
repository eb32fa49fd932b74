"""Workers as a port: who runs handlers on this log, until when each is known to live, and who was found dead.

A worker lives while its row is `alive` or `draining`. It keeps that row by heartbeats, each of which moves its lease; a
lease is written and compared by the clock of the store, so that clocks of machines do not matter. Where a store lets in
one runner at a time, whose lock proves every earlier one dead, leases have no end.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence


class WorkerState(StrEnum):
    """What a worker is, as far as the store knows."""

    ALIVE = "alive"
    DRAINING = "draining"
    """It starts nothing more, finishes what runs and stops."""
    STOPPED = "stopped"
    """It has given everything back."""
    DEAD = "dead"
    """Its lease ran out, or its lock was found free; nothing it appends as a worker is accepted any more."""


LIVING = frozenset({WorkerState.ALIVE, WorkerState.DRAINING})


class Vitals(NamedTuple):
    """What a worker says of itself.

    Attributes:
        handlers: Registry names of its handlers, sorted.
        lacking: Variables of the environment that it was found to lack, sorted.
        skew: Seconds by which its clock is ahead of the store's.
    """

    handlers: tuple[str, ...] = ()
    lacking: tuple[str, ...] = ()
    skew: float = 0.0


class Worker(NamedTuple):
    """The row of one worker.

    Attributes:
        worker_id: Its name, new for each start.
        state: What it is.
        host: Its machine.
        pid: Its process there.
        release: Its release of Tasker.
        slots: How many attempts it may run at once.
        started_at: When it was registered (microseconds, clock of the store).
        beat_at: When it was heard of last (microseconds, clock of the store).
        lease_until: Until when it is known to live (microseconds, clock of the store); None for a lease without end.
        lease_left: Seconds until then as of the read, below 0 where it ran out; None for a lease without end.
        settled: True once nothing that it had begun is left in the live work.
        vitals: What it said of itself last.
    """

    worker_id: str
    state: WorkerState
    host: str
    pid: int
    release: str
    slots: int
    started_at: int
    beat_at: int
    lease_until: int | None
    lease_left: float | None
    settled: bool
    vitals: Vitals


class Arrival(NamedTuple):
    """What a worker is registered with; see `Worker`."""

    worker_id: str
    host: str
    pid: int
    release: str
    slots: int
    vitals: Vitals


class Heard(NamedTuple):
    """The answer to a heartbeat.

    Attributes:
        state: What the worker is now; dead also where its row is gone.
        now: The clock of the store (microseconds).
    """

    state: WorkerState
    now: int


class Workers(Protocol):
    """The workers of one log. Every method is thread-safe and raises `LogUnavailable` if the store fails."""

    def register(self, arrival: Arrival, *, lease_seconds: float | None) -> None:
        """Add a living worker, and remove rows of settled ones that were not heard of for seven days.

        Args:
            arrival: The worker.
            lease_seconds: How long it is known to live from now on; None for a lease without end.
        """

    def beat(self, worker_id: str, vitals: Vitals, *, lease_seconds: float | None) -> Heard:
        """Move the lease of a living worker and note what it says of itself; one that is dead stays dead.

        Without a lease to move, nothing is written unless `vitals` are others than before.
        """

    def drain(self, worker_id: str) -> bool:
        """Ask a worker to drain; False if it does not live."""

    def stop(self, worker_id: str) -> None:
        """Note that a living worker has stopped and left nothing behind: it is settled."""

    def bury(self, *, but: str | None = None) -> list[str]:
        """Declare every living worker dead whose lease ran out, by compare-and-set; give those that died by this call.

        When this returns, no append that carries one of these workers can become durable any more.

        Args:
            but: Give the holder of a lock that proves every other worker dead: all others die, whatever their lease.
        """

    def settle(self, worker_ids: Sequence[str]) -> None:
        """Note that nothing is left of some dead workers."""

    def all(self) -> list[Worker]:
        """Read the rows of all workers, the first that was registered first."""
