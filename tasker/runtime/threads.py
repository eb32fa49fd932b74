"""The one port through which the shell gets real time, locks and threads, so that a test can step it."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Threads:
    """Real time and real threads; a test gives an object with the same methods."""

    def monotonic(self) -> float:
        """Give seconds on a clock that never goes back."""
        return time.monotonic()

    def pause(self, seconds: float) -> None:
        """Wait for a while."""
        time.sleep(seconds)

    def lock(self) -> threading.Lock:
        """Make a lock."""
        return threading.Lock()

    def condition(self, lock: threading.Lock | None = None) -> threading.Condition:
        """Make a condition, on a lock of its own or on a given one."""
        return threading.Condition(lock or threading.Lock())

    def start(self, name: str, target: Callable[[], None]) -> threading.Thread:
        """Start a thread that does not keep the process alive."""
        thread = threading.Thread(target=target, name=name, daemon=True)
        thread.start()
        return thread
