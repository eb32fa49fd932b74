"""Workers as rows: what the adapters of the port of workers write and read alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasker.codec import jsonbytes
from tasker.log.workers import LIVING, Vitals, Worker, WorkerState

if TYPE_CHECKING:
    from tasker.log.workers import Arrival

MICROSECONDS = 1_000_000
FORGET_AFTER = 7 * 24 * 3600 * MICROSECONDS
"""After so many microseconds of silence the row of a settled worker goes."""

LIVES = f"state IN ({', '.join(repr(state.value) for state in sorted(LIVING))})"
"""The condition on a row of `workers` under which the worker lives."""

COLUMNS = (
    "worker_id, state, host, pid, release, slots, started_at, beat_at, lease_until, settled, handlers, lacking, skew"
)

Row = tuple[str, str, str, int, str, int, int, int, int | None, bool, str, str, float]
Said = tuple[str, str, float]


def said(vitals: Vitals) -> Said:
    """Give what a worker says of itself as columns."""
    handlers, lacking = (jsonbytes.dumps(list(names)).decode() for names in vitals[:2])
    return handlers, lacking, float(vitals.skew)


def lease(seconds: float | None) -> int | None:
    """Give the length of a lease in microseconds; None for one without end."""
    return None if seconds is None else round(seconds * MICROSECONDS)


def arrived(arrival: Arrival) -> tuple[str, str, int, str, int]:
    """Give what stays the same for a worker as columns: id, host, pid, release, slots."""
    return arrival.worker_id, arrival.host, arrival.pid, arrival.release, arrival.slots


def worker(row: Row, now: int) -> Worker:
    """Read a row.

    Args:
        row: It, in the order of `COLUMNS`.
        now: The clock of the store, as of the read (microseconds).
    """
    worker_id, state, host, pid, release, slots, started_at, beat_at, until, settled, handlers, lacking, skew = row
    return Worker(
        worker_id=worker_id,
        state=WorkerState(state),
        host=host,
        pid=pid,
        release=release,
        slots=slots,
        started_at=started_at,
        beat_at=beat_at,
        lease_until=until,
        lease_left=None if until is None else (until - now) / MICROSECONDS,
        settled=bool(settled),
        vitals=Vitals(_names(handlers), _names(lacking), skew),
    )


def _names(text: str) -> tuple[str, ...]:
    found = jsonbytes.loads(text.encode())
    return tuple(str(name) for name in found) if isinstance(found, list) else ()
