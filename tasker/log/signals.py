"""Hints that the log has grown. A lost hint costs latency, never progress: whoever waits also polls."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Polling:
    """No hints at all; see `tasker.log.port.Signals`."""

    def __init__(self, poll_seconds: float) -> None:
        """Take how often a waiter looks."""
        self.poll_seconds = poll_seconds

    def listen(self, heard: Callable[[], None]) -> None:
        """Hear nothing, ever."""

    def close(self) -> None:
        """Stop hearing nothing."""
