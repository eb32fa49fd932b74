"""Who reads the committed log in this process: read models, durable subscriptions, the bus, and the thread behind."""

from __future__ import annotations

from time import thread_time
from typing import TYPE_CHECKING

from tasker.errors import TaskerError
from tasker.instrument import logger

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from tasker.runtime.context import Context

_QUIET_SECONDS = 0.05
_PAUSE_SECONDS = 0.1
_LATEST_SECONDS = 5.0
_MOST_BEHIND = 5_000
_PAGE_UNDER_LOAD = 1_000
_DRAIN_SECONDS = 30.0
_SHARE = 0.03
"""How much of a processor the rounds of deliveries have beside a busy runner: what it commits then comes together."""
_CREDIT_SECONDS = 0.03
"""How much of it they have at once after a rest: on an engine that has little to do, none waits."""
_BATCH_SECONDS = 0.0002
"""What it costs to let a subscription deliver something, beside what its subscriber does."""
_LONGEST_REST_SECONDS = 0.25
_ALONE_SECONDS = 0.03
"""How long after the one before a commit comes alone; hints of another process that is busy come more often."""
_ALONE_COMMITS = 2
"""How many such commits in a row show that nobody is busy, and not that a busy one was held up."""
_log = logger("readers")


class Readers:
    """Serves the readers, inline by `settle` or on a thread between `start` and `stop`."""

    def __init__(self, context: Context) -> None:
        """Take what use cases share; it hears of every commit from now on."""
        self._context = context
        self._changed = context.threads.condition()
        self._poked = False
        self._stopping = False
        self._rest_until = 0.0
        self._credit = _CREDIT_SECONDS
        self._paid_at = 0.0
        self._started = 0
        self._grown_at = 0.0
        self._alone = 0
        self._committed_at = 0.0
        self._committed = 0
        self._projected_at = 0.0
        self._projected = 0
        self._behind = True
        self._shown = -1
        self._thread: threading.Thread | None = None
        self._first: Callable[[], bool] = lambda: True
        context.office.on_commit = self.committed
        context.wake_readers = self._wake

    def committed(self, first: int, last: int, types: Callable[[], set[str]]) -> None:
        """Hear that this process appended; called by the leader, so it only takes note."""
        context = self._context
        heard = self._thread is not None and context.subscribed
        names = types() if heard or context.bus.listening else set()
        if context.bus.listening:
            context.bus.offer(first, last, names)
            context.bus.poke()
        self._committed_at = self._grow()
        self._committed = last
        self._behind = True
        self._projected = self._projected or first
        if heard:
            context.subscriptions.appended(first, last, names)
            if not self._poked:
                self._wake()

    def serve(self) -> bool:
        """Serve read models and subscriptions once; True if any made progress."""
        progress = self._context.projections.serve()
        return self._deliver(self._context.log().head(), wait=True) or progress

    def _deliver(self, head: int, *, wait: bool) -> bool:
        """Serve the durable subscriptions once; True if one made progress."""
        context = self._context
        if not context.subscribed:
            return False
        return context.subscriptions.serve(context.office.now(), until_position=head, wait=wait)

    def settle(self) -> None:
        """Serve until every reader has come to the head; deliveries that are due later are not waited for."""
        while self.serve():
            pass
        if not self._context.bus.drain(_DRAIN_SECONDS):
            _log.warning("the bus did not deliver everything within %g s; a receiver is slow", _DRAIN_SECONDS)

    def start(self, first: Callable[[], bool]) -> None:
        """Serve on a thread from now on.

        Args:
            first: Says whether this is the worker that serves the read models; one does for all that share a log.
        """
        self._first = first
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

    def _hear(self) -> None:
        """Take a hint that somebody has appended; while this process does, it looks often enough."""
        self._grow()
        if not self._poked and not self._behind:
            self._wake()

    def _grow(self) -> float:
        """Take note that the log has grown, and how often it did so alone; give the time."""
        now = self._context.threads.monotonic()
        self._alone = self._alone + 1 if now - self._grown_at >= _ALONE_SECONDS else 0
        self._grown_at = now
        return now

    def _wake(self) -> None:
        with self._changed:
            self._poked = True
            self._changed.notify()

    def _loop(self) -> None:
        signals = self._context.store.signals()
        signals.listen(self._hear)
        poll = signals.poll_seconds
        while not self._stopping:
            try:
                self._serve_due()
            except TaskerError as error:
                _log.warning("reading the log failed and is tried again: %s", error)
            except Exception:  # noqa: BLE001 - a reader's fault is logged and must not end the others
                _log.exception("a reader met an error and is tried again")
            with self._changed:
                if not self._stopping and not self._poked:
                    self._changed.wait(_QUIET_SECONDS if self._behind else poll)
                rest = self._rest_until - self._context.threads.monotonic()
                if rest > 0:
                    self._changed.wait_for(lambda: self._stopping, rest)
                self._poked = False

    def _serve_due(self) -> None:
        """Deliver at once; serve read models in full when the log is quiet, and a page now and then while it is not.

        Who asks for tasks has them served first, so nobody needs them earlier. Served beside a busy runner they cost it
        its latency: they take turns with it, 5 ms each. And many changes of a task become one row.
        """
        first, before = self._first(), thread_time()
        head = self._context.log().head() if first or self._context.subscribed else 0
        self._deliver(head, wait=False)
        self._pay(before)
        if not first:
            self._behind = False
            return
        now = self._context.threads.monotonic()
        if now - self._committed_at >= _QUIET_SECONDS:
            self._show_all(head)
        elif self._is_late(now - self._projected_at):
            self._context.projections.serve(limit=_PAGE_UNDER_LOAD)
            self._projected += _PAGE_UNDER_LOAD
        else:
            return
        self._projected_at = self._context.threads.monotonic()

    def _pay(self, before: float) -> None:
        """Rest, after a round of deliveries, until it and those before it have had their share and no more.

        Commits that come alone are delivered for nothing: there is no runner to hold up, and nothing to wait for.
        """
        now, idle = self._context.threads.monotonic(), self._alone >= _ALONE_COMMITS
        started = self._context.subscriptions.started if self._context.subscribed else 0
        spent = 0.0 if idle else thread_time() - before + (started - self._started) * _BATCH_SECONDS
        self._credit = min(self._credit + (now - self._paid_at) * _SHARE, _CREDIT_SECONDS) - spent
        self._started, self._paid_at = started, now
        self._rest_until = now if idle else now + min(-self._credit / _SHARE, _LONGEST_REST_SECONDS)

    def _show_all(self, head: int) -> None:
        """Serve the read models up to the head, wherever it has moved."""
        self._behind, committed = False, self._committed
        head = max(head, committed)
        if head != self._shown:
            while self._context.projections.serve() and not self._stopping:
                self._deliver(self._context.log().head(), wait=False)
            self._shown = head
        self._projected = committed

    def _is_late(self, seconds: float) -> bool:
        """Say whether read models cannot wait for a quiet moment, so long after they were served last."""
        far = self._committed - self._projected > _MOST_BEHIND
        return seconds >= (_PAUSE_SECONDS if far else _LATEST_SECONDS)
