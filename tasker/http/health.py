"""Health: whether the process answers, whether it can work, and how everything stands."""

from __future__ import annotations

import platform
import threading
import time
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, NamedTuple

import anyio
from anyio import CapacityLimiter, to_thread

from tasker.errors import TaskerError
from tasker.fold import implementation
from tasker.instrument import logger

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tasker.runtime.engine import Engine

READY_SECONDS = 5.0
"""Within which `ready` answers, whatever hangs."""
FRESH_SECONDS = 15.0
"""For which a status is shown again."""
_AT_ONCE = 8  # checks that may hang at the same time; further ones count as failed
_log = logger("http")


class Checked(NamedTuple):
    """What one check found."""

    ok: bool
    ms: float
    error: str | None


class Health:
    """The checks of one process. `checks` may be added to, say by what speaks to a broker."""

    def __init__(self, engine: Engine) -> None:
        """Begin with what every process needs."""
        self._engine = engine
        self._limiter: CapacityLimiter | None = None
        self._shown: dict[str, object] = {}
        self._shown_at = -FRESH_SECONDS
        self._lock = threading.Lock()
        self.checks: dict[str, Callable[[], None]] = {
            "log": self._log_answers,
            "projections": self._projections_go_on,
            "subscriptions": self._subscriptions_go_on,
        }

    async def ready(self) -> Mapping[str, Checked]:
        """Make every check, all at once, within `READY_SECONDS`."""
        limiter = self._limiter = self._limiter or CapacityLimiter(_AT_ONCE)
        found: dict[str, Checked] = {}

        async def check(name: str, body: Callable[[], None]) -> None:
            began = time.monotonic()
            error: str | None = f"no answer within {READY_SECONDS:g} s"
            with anyio.move_on_after(READY_SECONDS):
                error = await to_thread.run_sync(_told, name, body, abandon_on_cancel=True, limiter=limiter)
            found[name] = Checked(error is None, round((time.monotonic() - began) * 1000, 3), error)

        async with anyio.create_task_group() as group:
            for name, body in self.checks.items():
                group.start_soon(check, name, body)
        return {name: found[name] for name in self.checks}

    def remembered(self, make: Callable[[], dict[str, object]]) -> dict[str, object]:
        """Give a status that is at most `FRESH_SECONDS` old."""
        with self._lock:
            now = time.monotonic()
            if now - self._shown_at >= FRESH_SECONDS:
                self._shown = make()
                self._shown_at = time.monotonic()
            return self._shown

    def _log_answers(self) -> None:
        self._engine.context.log().head()

    def _projections_go_on(self) -> None:
        status = self._engine.context.projections.status()
        if status.error is not None:
            raise TaskerError(f"the read models stopped at position {status.failed_at}: {status.error}")

    def _subscriptions_go_on(self) -> None:
        failed = [one.name for one in self._engine.context.subscriptions.list() if one.state == "failed"]
        if failed:
            raise TaskerError(f"subscriptions have failed: {', '.join(failed)}; `tasker subscriptions list` says why")


def _told(name: str, body: Callable[[], None]) -> str | None:
    """Make a check; gives what is wrong. Nobody has to say who they are to see it, so it names no host and no value."""
    try:
        body()
    except Exception as error:  # noqa: BLE001 - whatever goes wrong is the answer
        _log.warning("the check of %s failed: %s", name, error)
        return type(error).__name__
    return None


def versions() -> dict[str, object]:
    """Give the versions that matter."""
    try:
        own = version("tasker-engine")
    except PackageNotFoundError:
        own = "unknown"
    return {"tasker": own, "python": platform.python_version(), "fold": implementation()}
