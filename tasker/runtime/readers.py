"""Who reads the committed log in this process: read models, durable subscriptions, the bus, and the thread behind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasker.errors import TaskerError
from tasker.instrument import logger

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from tasker.runtime.context import Context

_POLL_SECONDS = 0.05
_QUIET_SECONDS = 0.05
_PAUSE_SECONDS = 0.1
_LATEST_SECONDS = 5.0
_MOST_BEHIND = 5_000
_PAGE_UNDER_LOAD = 1_000
_DRAIN_SECONDS = 30.0
_log = logger("readers")


class Readers:
    """Serves the readers, inline by `settle` or on a thread between `start` and `stop`."""

    def __init__(self, context: Context) -> None:
        """Take what use cases share; it hears of every commit from now on."""
        self._context = context
        self._changed = context.threads.condition()
        self._poked = False
        self._stopping = False
        self._committed_at = 0.0
        self._committed = 0
        self._projected_at = 0.0
        self._projected = 0
        self._thread: threading.Thread | None = None
        context.office.on_commit = self.committed

    def committed(self, first: int, last: int, types: Callable[[], set[str]]) -> None:
        """Hear that this process appended; called by the leader, so it only takes note."""
        if self._context.bus.listening:
            self._context.bus.offer(first, last, types())
            self._context.bus.poke()
        self._committed_at = self._context.threads.monotonic()
        self._committed = last
        self._projected = self._projected or first
        if self._thread is not None and not self._poked and self._context.subscribed:
            with self._changed:
                self._poked = True
                self._changed.notify()

    def serve(self) -> bool:
        """Serve read models and subscriptions once; True if any made progress."""
        progress = self._context.projections.serve()
        return self._deliver() or progress

    def _deliver(self) -> bool:
        """Serve the durable subscriptions once; True if one made progress."""
        context = self._context
        if not context.subscribed:
            return False
        return context.subscriptions.serve(context.office.now(), until_position=context.log().head()).progress

    def settle(self) -> None:
        """Serve until every reader has come to the head; deliveries that are due later are not waited for."""
        while self.serve():
            pass
        if not self._context.bus.drain(_DRAIN_SECONDS):
            _log.warning("the bus did not deliver everything within %g s; a receiver is slow", _DRAIN_SECONDS)

    def start(self) -> None:
        """Serve on a thread from now on."""
        if self._thread is None:
            self._stopping = False
            self._thread = self._context.threads.start("tasker-readers", self._loop)

    def stop(self, seconds: float) -> None:
        """End the thread."""
        thread, self._thread = self._thread, None
        if thread is not None:
            with self._changed:
                self._stopping = True
                self._changed.notify()
            thread.join(timeout=seconds)

    def _loop(self) -> None:
        while not self._stopping:
            try:
                self._serve_due()
            except TaskerError as error:
                _log.warning("reading the log failed and is tried again: %s", error)
            except Exception:  # noqa: BLE001 - a reader's fault is logged and must not end the others
                _log.exception("a reader met an error and is tried again")
            with self._changed:
                if not self._stopping and not self._poked:
                    self._changed.wait(_POLL_SECONDS)
                self._poked = False

    def _serve_due(self) -> None:
        """Deliver at once; serve read models in full when the log is quiet, and a page now and then while it is not.

        Who asks for tasks has them served first, so nobody needs them earlier. Served beside a busy runner they cost it
        its latency: they take turns with it, 5 ms each. And many changes of a task become one row.
        """
        while self._deliver() and not self._stopping:
            pass
        now = self._context.threads.monotonic()
        if now - self._committed_at >= _QUIET_SECONDS:
            while self._context.projections.serve() and not self._stopping:
                pass
            self._projected = self._committed
        elif self._is_late(now - self._projected_at):
            self._context.projections.serve(limit=_PAGE_UNDER_LOAD)
            self._projected += _PAGE_UNDER_LOAD
        else:
            return
        self._projected_at = self._context.threads.monotonic()

    def _is_late(self, seconds: float) -> bool:
        """Say whether read models cannot wait for a quiet moment, so long after they were served last."""
        far = self._committed - self._projected > _MOST_BEHIND
        return seconds >= (_PAUSE_SECONDS if far else _LATEST_SECONDS)
