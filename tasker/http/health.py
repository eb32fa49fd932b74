"""Health over HTTP: the checks without a thread that waits for them, and a status that is made now and then."""

from __future__ import annotations

import asyncio
import platform
import threading
import time
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from tasker.fold import implementation
from tasker.runtime import health as checks

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tasker.runtime.health import Checked, Health

FRESH_SECONDS = 15.0
"""For which a status is shown again."""


async def ready(health: Health) -> Mapping[str, Checked]:
    """Make every check, all at once, within `READY_SECONDS`."""
    begun = health.begin()
    await asyncio.wait([asyncio.wrap_future(one) for one in begun.values()], timeout=checks.READY_SECONDS)
    return {name: checks.found(one) for name, one in begun.items()}


class Remembered:
    """A status that costs more to make than to show again."""

    def __init__(self, make: Callable[[], dict[str, object]]) -> None:
        """Take what makes it."""
        self._make = make
        self._shown: dict[str, object] = {}
        self._shown_at = -FRESH_SECONDS
        self._lock = threading.Lock()

    def get(self) -> dict[str, object]:
        """Give a status that is at most `FRESH_SECONDS` old."""
        with self._lock:
            now = time.monotonic()
            if now - self._shown_at >= FRESH_SECONDS:
                self._shown = self._make()
                self._shown_at = time.monotonic()
            return self._shown


def versions() -> dict[str, object]:
    """Give the versions that matter."""
    try:
        own = version("tasker-engine")
    except PackageNotFoundError:
        own = "unknown"
    return {"tasker": own, "python": platform.python_version(), "fold": implementation()}
