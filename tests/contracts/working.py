"""Workers, what they start and end, and the places that they take, for the suites of the log."""

from __future__ import annotations

from tasker.domain.work import WorkItem, WorkKind
from tasker.log.port import Append, Holding, Store
from tasker.log.workers import Arrival, Vitals
from tests.contracts.adapters import Place
from tests.contracts.kit import COMPLETED, event, more, started

DAY = 24 * 3600 * 1_000_000
VITALS = Vitals(("shop:Pay", "shop:Ship"), ("TOKEN",), 0.25)
PAST = -1.0
"""A lease that ran out before it began."""


def stores(place: Place) -> tuple[Store, Store]:
    """Give two stores on one database; twice the same where a second one cannot see it."""
    first = place.stores[0] if place.stores else place.open()
    return first, place.open() if place.adapter.shared else first


def arrival(worker_id: str) -> Arrival:
    """Give what a worker is registered with."""
    return Arrival(worker_id, "host-1", 4711, "0.2.0", 16, VITALS)


def enrol(store: Store, *worker_ids: str, lease: float | None = 60.0) -> None:
    """Register workers."""
    for worker_id in worker_ids:
        store.workers.register(arrival(worker_id), lease_seconds=lease)


def states(store: Store) -> dict[str, str]:
    """Give the state of every worker."""
    return {worker.worker_id: worker.state.value for worker in store.workers.all()}


def running(step: int, attempt: int = 1, worker: str | None = "w") -> WorkItem:
    """Give the item of an attempt that runs."""
    return WorkItem(step, WorkKind.RUNNING, None, 0, attempt, worker)


def ready(step: int, rank: int = 5, due: int | None = None) -> WorkItem:
    """Give the item of a step that may start."""
    return WorkItem(step, WorkKind.READY, due, rank, 0, None)


def claim(stream_id: bytes, expected: int, step: int, *scopes: str, most: int = 1, attempt: int = 1) -> Append:
    """Give the append that starts an attempt under limits."""
    holdings = tuple(Holding(scope, most, step, attempt) for scope in scopes)
    return more(stream_id, expected)._replace(work=((step, running(step, attempt)),), holdings=holdings)


def end(stream_id: bytes, expected: int, step: int) -> Append:
    """Give the append that ends an attempt; it knows of no limits."""
    return more(stream_id, expected, event(COMPLETED))._replace(work=((step, None),))


def busy(store: Store, *steps: int) -> bytes:
    """Start a stream that has attempts running, under no limit; give its id. Its version is 2."""
    stream_id = started(store.log)
    store.log.append([more(stream_id, 1)._replace(work=tuple((step, running(step)) for step in steps))])
    return stream_id
