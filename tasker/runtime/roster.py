"""The attempts of one runner that hold a slot and have not reported."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasker.domain.status import StepStatus

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tasker.domain.task import Task
    from tasker.runtime.slots import Running
    from tasker.runtime.threads import Threads


class Roster:
    """Running attempts by task and step. Thread-safe."""

    def __init__(self, threads: Threads) -> None:
        """Start empty."""
        self._lock = threads.lock()
        self._running: dict[bytes, dict[int, Running]] = {}

    def add(self, started: Iterable[Running]) -> None:
        """Note attempts."""
        with self._lock:
            for running in started:
                self._running.setdefault(running.stream_id, {})[running.number] = running

    def drop(self, running: Running) -> None:
        """Forget an attempt; a later one of the same step stays."""
        with self._lock:
            of_task = self._running.get(running.stream_id, {})
            if of_task.get(running.number) is running:
                del of_task[running.number]
                if not of_task:
                    self._running.pop(running.stream_id, None)

    def has(self, stream_id: bytes, number: int) -> bool:
        """Say whether an attempt of a step runs here."""
        return number in self._running.get(stream_id, {})

    def all(self) -> list[Running]:
        """Give every attempt."""
        return [running for of_task in tuple(self._running.values()) for running in tuple(of_task.values())]

    def cancel_fenced(self, stream_id: bytes, task: Task) -> None:
        """Ask the handlers of attempts that no longer count to stop."""
        if stream_id not in self._running:
            return
        for running in tuple(self._running.get(stream_id, {}).values()):
            state = task.steps[running.number]
            if state.status is not StepStatus.IN_PROGRESS or state.attempt != running.attempt:
                running.cancel()
