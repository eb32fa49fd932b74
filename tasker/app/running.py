"""`Tasker`: submit requests and run tasks."""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING

from tasker.app.base import Base
from tasker.errors import TaskerError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from types import FrameType

    from tasker.handlers.views import Task
    from tasker.runtime.request import TaskRequest

_LOOK_SECONDS = 0.2


class Running(Base):
    """Submitting and running."""

    def submit(self, request: TaskRequest | Mapping[str, object] | None = None, **values: object) -> Task:
        """Accept a request; the task is durable when this returns.

        Args:
            request: The request; or give its fields by name.
            **values: Fields of a `TaskRequest`.

        Returns:
            The task; `created` is False if the request's identity already had one.

        Raises:
            InvalidRequest: A field, or the context by its schema, is wrong; names JSON paths.
            UnknownDefinition: There is no such definition.
            Conflict: The identity has a task with another version, context or bypass_steps.
            PayloadTooLarge: The context is over its limit.
            Overloaded: Too many requests wait for the log.
            LogUnavailable: The log failed; says whether the outcome is unknown.
        """
        return self._engine.submission.submit(request, values)

    def submit_many(self, requests: Iterable[TaskRequest | Mapping[str, object]]) -> list[Task | TaskerError]:
        """Accept many requests in few appends; not atomic.

        Returns:
            A task or an error for each request, in order.
        """
        return self._engine.submission.submit_many(requests)

    def run_until_idle(self) -> None:
        """Work in this thread until nothing can run at the clock's present time and all readers are served.

        Raises:
            TaskerError: Another runner works on this log; names its process.
        """
        self._engine.run_until_idle()

    def run_until_complete(self, task_id: str, timeout: float = 60.0) -> Task:
        """Work until a task has ended in any way.

        Args:
            task_id: The task.
            timeout: Seconds of real time.

        Raises:
            WaitTimeout: It has not ended in time; says what it waits for.
            UnknownTask: There is no such task.
            TaskerError: Another runner works on this log; names its process.
        """
        return self._engine.run_until_complete(task_id, timeout)

    def start(self) -> None:
        """Run tasks in the background until `stop` or `close`.

        Raises:
            TaskerError: Another runner works on this log; names its process.
        """
        self._engine.start()

    def stop(self, timeout: float | None = None) -> bool:
        """Claim nothing more, let handlers finish, record what was left, give the runner's lock back.

        Args:
            timeout: Seconds to wait for handlers; None for the setting `shutdown_timeout`.

        Returns:
            True if every handler returned in time.
        """
        return self._engine.stop(timeout)

    def serve(self) -> int:
        """Run until SIGTERM or SIGINT, or until asked to drain, then stop gracefully; a second signal stops at once.

        It belongs to the main thread.

        Returns:
            0, or 1 if half of the slots were stuck and the worker gave up.
        """
        asked = threading.Event()

        def ask(number: int, _frame: FrameType | None) -> None:
            if asked.is_set():
                raise SystemExit(128 + number)
            asked.set()

        before = {number: signal.signal(number, ask) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            self.start()
            runner = self._engine.must_run()
            while not (asked.wait(_LOOK_SECONDS) or runner.slots.unhealthy or runner.drained):
                pass
            unhealthy = runner.slots.unhealthy
            self.stop()
            return 1 if unhealthy else 0
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
