"""`Tasker`: submit requests and run tasks."""

from __future__ import annotations

import signal
from contextlib import contextmanager, suppress
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Protocol

from tasker.app.base import Base
from tasker.errors import TaskerError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from types import FrameType

    from tasker.handlers.views import Task
    from tasker.runtime.request import TaskRequest

_LOOK_SECONDS = 0.2


class Companion(Protocol):
    """What serves beside the runner, such as a worker's part with Kafka."""

    @property
    def begun(self) -> bool:
        """Say whether it does by now what it was started for."""

    @property
    def lost(self) -> bool:
        """Say whether it cannot go on in this process."""

    def start(self) -> None:
        """Begin; the runner runs already."""

    def stop(self) -> None:
        """End, before the runner does."""


@contextmanager
def _beside(companion: Companion | None) -> Iterator[None]:
    if companion is None:
        yield
        return
    try:
        companion.start()
        yield
    except SystemExit:  # a second signal: at once
        raise
    except BaseException:
        companion.stop()
        raise
    companion.stop()


def _is_lost(companion: Companion | None) -> bool:
    return companion is not None and companion.lost


class _Asked:
    """A request to stop, made by a signal; its handler may interrupt whoever waits for it at any place.

    That of an Event may not: it would wait for a lock that the interrupted wait holds.
    """

    def __init__(self) -> None:
        self._signals: list[int] = []
        self._woken: SimpleQueue[int] = SimpleQueue()

    def __call__(self, number: int, _frame: FrameType | None) -> None:
        if self._signals:
            raise SystemExit(128 + number)
        self._signals.append(number)
        self._woken.put(number)

    def wait(self, seconds: float) -> bool:
        with suppress(Empty):
            self._woken.get(timeout=seconds)
        return bool(self._signals)


class Running(Base):
    """Submitting and running."""

    def submit(
        self,
        request: TaskRequest | Mapping[str, object] | None = None,
        *,
        metadata: Mapping[str, str] | None = None,
        **values: object,
    ) -> Task:
        """Accept a request; the task is durable when this returns.

        Args:
            request: The request; or give its fields by name.
            metadata: `traceparent`, `tracestate` and `request_id` of the caller, recorded with `task.created`.
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
        return self._engine.submission.submit(request, values, metadata)

    def submit_many(
        self,
        requests: Iterable[TaskRequest | Mapping[str, object]],
        *,
        metadata: Iterable[Mapping[str, str] | None] = (),
    ) -> list[Task | TaskerError]:
        """Accept many requests in few appends; not atomic.

        Args:
            requests: The requests.
            metadata: For each, in order, what `submit` takes under this name; those beyond its end have none.

        Returns:
            A task or an error for each request, in order.
        """
        return self._engine.submission.submit_many(requests, metadata)

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

    def serve(self, *, beside: Companion | None = None, began: Callable[[], object] | None = None) -> int:
        """Run until SIGTERM or SIGINT, or until asked to drain, then stop gracefully; a second signal stops at once.

        It belongs to the main thread.

        Args:
            beside: What starts after the runner and stops before it.
            began: Called once, when that does what it was started for.

        Returns:
            0, or 1 if half of the slots were stuck and the worker gave up, or what stands beside it did.

        Raises:
            TaskerError: Another runner works on this log, or what stands beside it did not start; says why.
        """
        asked = _Asked()
        before = {number: signal.signal(number, asked) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            self.start()
            runner = self._engine.must_run()
            with _beside(beside):
                while not (asked.wait(_LOOK_SECONDS) or runner.slots.unhealthy or runner.drained or _is_lost(beside)):
                    if began is not None and (beside is None or beside.begun):
                        began()
                        began = None
            failed = runner.slots.unhealthy or _is_lost(beside)
            self.stop()
            return 1 if failed else 0
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
