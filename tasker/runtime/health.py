"""The health checks of one process: a list that may be added to, each made within a bounded time whatever hangs."""

from __future__ import annotations

from concurrent.futures import Future, wait
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from tasker.errors import TaskerError
from tasker.instrument import logger

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tasker.runtime.context import Context

READY_SECONDS = 5.0
"""Within which every check has to answer."""
_log = logger("health")


class Checked(NamedTuple):
    """What one check found.

    Attributes:
        ok: Whether all is well.
        ms: How long it took, in milliseconds.
        error: What is wrong; it names no host and no value, for nobody has to say who they are to see it.
    """

    ok: bool
    ms: float
    error: str | None


class Health:
    """The checks of one process.

    Attributes:
        checks: What is checked: each raises if something is wrong. It may be added to, say by what speaks to a broker.
    """

    def __init__(self, context: Context) -> None:
        """Begin with what every process needs."""
        self._context = context
        self._lock = context.threads.lock()
        self._begun: dict[str, Future[Checked]] = {}
        self.checks: dict[str, Callable[[], None]] = {
            "log": self._log_answers,
            "projections": self._projections_go_on,
            "subscriptions": self._subscriptions_go_on,
        }

    def begin(self) -> Mapping[str, Future[Checked]]:
        """Make every check at once; one that still runs is not made again, so that what hangs keeps one thread."""
        with self._lock:
            running = {name: future for name, future in self._begun.items() if not future.done()}
            self._begun = {name: running.get(name) or self._started(name) for name in self.checks}
            return self._begun

    def ready(self) -> dict[str, Checked]:
        """Make every check, and wait for all of them, but no longer than `READY_SECONDS`."""
        begun = self.begin()
        wait(begun.values(), READY_SECONDS)
        return {name: found(future) for name, future in begun.items()}

    def _started(self, name: str) -> Future[Checked]:
        future: Future[Checked] = Future()
        self._context.threads.start(f"tasker-health-{name}", partial(self._make, name, self.checks[name], future))
        return future

    def _make(self, name: str, check: Callable[[], None], future: Future[Checked]) -> None:
        began, error = self._context.threads.monotonic(), None
        try:
            check()
        except Exception as failure:  # noqa: BLE001 - whatever goes wrong is the answer
            _log.warning("the check of %s failed: %s", name, failure)
            error = type(failure).__name__
        ms = round((self._context.threads.monotonic() - began) * 1000, 3)
        future.set_result(Checked(error is None, ms, error))

    def _log_answers(self) -> None:
        self._context.log().head()

    def _projections_go_on(self) -> None:
        status = self._context.projections.status()
        if status.error is not None:
            raise TaskerError(f"the read models stopped at position {status.failed_at}: {status.error}")

    def _subscriptions_go_on(self) -> None:
        failed = [one.name for one in self._context.subscriptions.list() if one.state == "failed"]
        if failed:
            raise TaskerError(f"subscriptions have failed: {', '.join(failed)}; `tasker subscriptions list` says why")


def found(future: Future[Checked]) -> Checked:
    """Give what a check has found by now; one that has not answered has failed."""
    if future.done():
        return future.result()
    return Checked(ok=False, ms=READY_SECONDS * 1000, error=f"no answer within {READY_SECONDS:g} s")
