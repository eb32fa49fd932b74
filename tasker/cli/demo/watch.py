"""What the demo sees of its workers: the log, and nothing else."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING

from tasker.cli.demo.crew import DemoFailed

if TYPE_CHECKING:
    from tasker.app.tasker import Tasker
    from tasker.codec.recorded import RecordedEvent

_POLL = 0.01  # seconds between two looks
_OVER = {"step.completed", "step.failed", "step.abandoned", "step.cancelled"}
_ENDS = {"task.completed", "task.failed", "task.cancelled"}


class Watch:
    """Follows the log and keeps count."""

    def __init__(self, app: Tasker) -> None:
        """Take the log; nothing is read yet."""
        self._app = app
        self._position = 0
        self.types: Counter[str] = Counter()
        self.running: set[tuple[str, str]] = set()
        self.ended: dict[str, str] = {}
        self.abandoned: list[tuple[str, str]] = []
        self.charged: Counter[str] = Counter()

    @property
    def steps(self) -> int:
        """Count the steps that are done."""
        return self.types["step.completed"]

    def look(self) -> None:
        """Read what was recorded since the last look."""
        for event in self._app.events(after=self._position):
            self._position = event.position
            self.types[event.type] += 1
            self._take(event)

    def _take(self, event: RecordedEvent) -> None:
        if event.type in _ENDS:
            self.ended[event.stream_id] = event.type
        if event.step is None:
            return
        attempt = (event.stream_id, event.step)
        if event.type == "step.started":
            self.running.add(attempt)
        elif event.type in _OVER:
            self.running.discard(attempt)
        if event.type == "step.abandoned":
            self.abandoned.append(attempt)
        if event.type == "step.completed" and event.step == "process_payment":
            self.charged[event.stream_id] += 1

    def until(self, reached: Callable[[], bool], each: Callable[[], None], *, seconds: float, what: str) -> None:
        """Look until something is reached.

        Args:
            reached: Tells whether it is.
            each: Called after each look: shows progress, sees that the worker lives.
            seconds: How long at most.
            what: What is expected, for the error.

        Raises:
            DemoFailed: The time ran out.
        """
        deadline = time.monotonic() + seconds
        self.look()
        while not reached():
            if time.monotonic() > deadline:
                msg = (
                    f"expected {what} within {seconds:g} s, found {len(self.ended)} orders and {self.steps} steps done"
                )
                raise DemoFailed(msg)
            each()
            time.sleep(_POLL)
            self.look()
        each()
