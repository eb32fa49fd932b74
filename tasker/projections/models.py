"""`Projections`: the read models of one log, served step by step, asked, and rebuilt."""

from __future__ import annotations

import time
from threading import Condition, Lock
from typing import TYPE_CHECKING, NamedTuple

from tasker.errors import ProjectionBehind
from tasker.projections import generation, query
from tasker.projections.filters import DEFAULT_LIMIT, TaskFilter
from tasker.projections.rebuild import Compared, Rebuilt, compare, rebuild
from tasker.projections.serve import EventFailed, serve

if TYPE_CHECKING:
    from collections.abc import Callable

    from tasker.log.port import Store
    from tasker.projections.filters import Page
    from tasker.projections.generation import Generation
    from tasker.projections.rows import TaskRow
    from tasker.projections.serve import StatesAt

ACTIVE, FAILED = "active", "failed"
EVENTS_AT_ONCE = 5_000
"""Events that one call of `serve` takes at most."""
_POLL_SECONDS = 0.05


class ProjectionStatus(NamedTuple):
    """How the read models stand.

    Attributes:
        state: `active` or `failed`.
        checkpoint: Position up to which they show the log.
        head: Position of the log's last event.
        generation: Number of the current generation.
        failed_at: Position of the event at which they stopped, or None.
        error: Why they stopped, or None.
    """

    state: str
    checkpoint: int
    head: int
    generation: int
    failed_at: int | None
    error: str | None

    @property
    def lag(self) -> int:
        """Count the events that they do not show yet."""
        return max(0, self.head - self.checkpoint)


class Projections:
    """The read models of a log. Thread-safe; any number of processes may serve and ask them.

    Constructing it touches nothing; the tables are created by the first use.
    """

    def __init__(self, store: Store, states_at: StatesAt) -> None:
        """Take the log and where states come from.

        Args:
            store: The log, and where the read models are kept.
            states_at: Gives the tasks of some streams, each as of a version.
        """
        self._store = store
        self._states_at = states_at
        self._serving = Lock()
        self._moved = Condition()
        self._ready = False
        self._stopped = False

    def serve(self, *, limit: int = EVENTS_AT_ONCE) -> bool:
        """Bring the read models forward.

        An event that cannot be shown stops them: what lies before it is served, then `status` says where and why. They
        try again in the next process, or after a rebuild.

        Args:
            limit: How many events to take at most.

        Returns:
            Whether there was progress; call again until there is none.

        Raises:
            LogUnavailable: The store failed; nothing changed.
        """
        self._open()
        with self._serving:
            if self._stopped:
                return False
            try:
                progress = self._advance(limit)
            except EventFailed as error:
                self._stop(error.position, str(error))
                return False
        if progress:
            self._notify()
        return progress

    def checkpoint(self) -> int:
        """Give the position up to which the read models show the log."""
        return self._current().checkpoint

    def status(self) -> ProjectionStatus:
        """Say how the read models stand."""
        current = self._current()
        state = ACTIVE if current.error is None else FAILED
        head = self._store.log.head()
        return ProjectionStatus(state, current.checkpoint, head, current.number, current.failed_at, current.error)

    def wait_for(self, position: int, *, timeout: float = 2.0) -> None:
        """Wait until the read models show the log up to a position; somebody has to serve them meanwhile.

        Args:
            position: The position.
            timeout: Seconds to wait at most.

        Raises:
            ProjectionBehind: They did not get there in time; names both positions.
        """
        deadline = time.monotonic() + timeout
        reached = self.checkpoint()
        while reached < position:
            left = deadline - time.monotonic()
            if left <= 0:
                raise self._behind(position, timeout)
            with self._moved:
                # Another process may be the one that serves, and cannot notify this one.
                self._moved.wait(min(left, _POLL_SECONDS))
            reached = self.checkpoint()

    def query(self, wanted: TaskFilter | None = None, *, limit: int = DEFAULT_LIMIT, cursor: str | None = None) -> Page:
        """Give a page of tasks, newest first.

        Args:
            wanted: Which tasks; None for all.
            limit: Rows of the page, from 1 to 200.
            cursor: What the page before gave; None for the first.

        Raises:
            InvalidRequest: A value of the filter, the limit or the cursor is wrong.
        """
        self._open()
        return query.find(self._store, wanted or TaskFilter(), limit, cursor)

    def get(self, stream_id: bytes) -> TaskRow | None:
        """Give the row of one task, or None where the read models do not show it."""
        self._open()
        return query.get(self._store, stream_id)

    def rebuild(self, progress: Callable[[int, int], None] | None = None) -> Rebuilt:
        """Fold the whole log into a new generation and swap it in; readers and servers of the old one go on meanwhile.

        Interrupted, it leaves the current generation as it was.

        Args:
            progress: Called with how many events are done and how many there are.

        Raises:
            UnsupportedEvent: A newer release wrote an event of the log.
        """
        self._open()
        done = rebuild(self._store, self._states_at, progress)
        with self._serving:
            self._stopped = False
        self._notify()
        return done

    def compare(self, progress: Callable[[int, int], None] | None = None) -> Compared:
        """Fold every task anew, as of the checkpoint, and say where the read models differ; serve nothing meanwhile.

        Args:
            progress: Called with how many events are done and how many there are.
        """
        self._open()
        with self._serving:
            return compare(self._store, progress)

    def _open(self) -> None:
        if not self._ready:
            generation.ensure(self._store)
            self._ready = True

    def _current(self) -> Generation:
        self._open()
        with self._store.reading() as connection:
            return generation.current(connection)

    def _advance(self, limit: int) -> bool:
        """Serve up to the limit, or else up to the event before the first that fails."""
        while True:
            try:
                return serve(self._store, self._states_at, None, limit)
            except EventFailed as error:
                served = error.position - 1 - self._current().checkpoint
                if served <= 0:
                    raise
                limit = min(limit - 1, served)

    def _stop(self, position: int, error: str) -> None:
        self._stopped = True
        generation.fail(self._store, self._current().number, position, error)

    def _notify(self) -> None:
        with self._moved:
            self._moved.notify_all()

    def _behind(self, position: int, timeout: float) -> ProjectionBehind:
        status = self.status()
        why = f"; it stopped at position {status.failed_at}: {status.error}" if status.error else ""
        message = (
            f"expected the read model at position {position} within {timeout:g} s, found it at"
            f" {status.checkpoint}{why}. Ask again later, or without at_least"
        )
        return ProjectionBehind(message)
