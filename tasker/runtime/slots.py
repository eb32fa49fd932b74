"""The slots of a worker, the limits over all attempts, and the attempts that hold them."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from tasker.handlers.attempt_step import AttemptControl

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tasker.domain.definition import TaskDefinition
    from tasker.domain.task import Task
    from tasker.runtime.threads import Threads

Scopes = tuple[str, ...]


class Running:
    """One attempt that holds a slot of this worker.

    Attributes:
        stream_id: The task.
        number: Ordinal of the step.
        attempt: The fencing token.
        task: The state in which it was started.
        worker_id: The name under which it was started.
        scopes: The limited scopes it counts in.
        control: What its handler and the watchdog share.
        began: When its handler was called (monotonic seconds); 0 before.
        deadline: When its time runs out (monotonic seconds), once its handler was called.
        secrets: Values from the environment that its configuration was made of.
        stop: Ends an async handler; set while one runs.
        timed_out: True once the watchdog has reported a timeout for it.
        ended: True once its handler has returned.
    """

    __slots__ = (
        "attempt", "began", "control", "deadline", "ended", "number", "scopes", "secrets", "stop", "stream_id", "task",
        "timed_out", "worker_id",
    )  # fmt: skip

    def __init__(self, stream_id: bytes, task: Task, number: int, scopes: Scopes, worker_id: str) -> None:
        """Take what was claimed."""
        self.worker_id = worker_id
        self.stream_id = stream_id
        self.task = task
        self.number = number
        self.attempt = task.steps[number].attempt
        self.scopes = scopes
        self.control = AttemptControl()
        self.began = 0.0
        self.deadline: float | None = None
        self.stop: Callable[[], None] | None = None
        self.secrets: dict[str, str] = {}
        self.timed_out = False
        self.ended = False

    def begin(self, monotonic: float) -> None:
        """Let its times run: its handler is called now."""
        template = self.task.template(self.number)
        self.began = monotonic
        self.control.heartbeat()
        if template.timeout_seconds is not None:
            self.deadline = monotonic + template.timeout_seconds
        elif template.heartbeat_timeout_seconds is not None:
            self.deadline = float("inf")

    def overdue(self, monotonic: float) -> str | None:
        """Say which time has run out, or None."""
        if self.deadline is None or self.ended:
            return None
        template = self.task.template(self.number)
        if monotonic > self.deadline:
            return f"the attempt took longer than timeout_seconds: {template.timeout_seconds:g}"
        silence = template.heartbeat_timeout_seconds
        if silence is not None and monotonic - self.control.last_heartbeat > silence:
            return f"the attempt sent no heartbeat for heartbeat_timeout_seconds: {silence:g}"
        return None

    def cancel(self) -> None:
        """Ask the handler to stop; it is fenced, whatever it does."""
        self.control.cancel()
        if self.stop is not None:
            self.stop()


class Slots:
    """Counts the attempts that hold a slot, and those of each limited scope. Thread-safe."""

    def __init__(self, capacity: int, limits: Mapping[str, int], threads: Threads) -> None:
        """Start with every slot free.

        Args:
            capacity: Number of slots.
            limits: Most running attempts of a scope such as `system:shop`.
            threads: Gives the lock.
        """
        self.capacity = capacity
        self.limits = limits
        self._lock = threads.lock()
        self._busy = 0
        self._stuck = 0
        self._in_scope: Counter[str] = Counter()

    @property
    def free(self) -> int:
        """Count the free slots; none while half of all are stuck."""
        return 0 if self.unhealthy else self.capacity - self._busy

    @property
    def busy(self) -> int:
        """Count the slots in use, stuck ones among them."""
        return self._busy

    @property
    def stuck(self) -> int:
        """Count the slots held by handlers whose time has run out."""
        return self._stuck

    @property
    def unhealthy(self) -> bool:
        """Say whether half of the slots are stuck."""
        return self._stuck > 0 and self._stuck * 2 >= self.capacity

    def scopes(self, definition: TaskDefinition, number: int) -> Scopes:
        """Name the limited scopes that an attempt of a step counts in."""
        if not self.limits:
            return ()
        names = (
            f"namespace:{definition.namespace}",
            f"task:{definition.namespace}.{definition.name}",
            f"system:{definition.step_templates[number].dependent_system}",
        )
        return tuple(name for name in names if name in self.limits)

    def full(self, scopes: Scopes) -> str | None:
        """Name the first scope whose limit is reached, or None."""
        if not scopes:
            return None
        return next((scope for scope in scopes if self._in_scope[scope] >= self.limits[scope]), None)

    def take(self, scopes: Scopes) -> None:
        """Take a slot."""
        with self._lock:
            self._busy += 1
            if scopes:
                self._in_scope.update(scopes)

    def release(self, scopes: Scopes) -> None:
        """Give a slot back."""
        with self._lock:
            self._busy -= 1
            if scopes:
                self._in_scope.subtract(scopes)

    def stick(self, running: Running) -> bool:
        """Count the slot of an attempt as stuck; False if its handler has returned meanwhile."""
        with self._lock:
            if running.ended or running.timed_out:
                return False
            running.timed_out = True
            self._stuck += 1
            return True

    def unstick(self, running: Running) -> None:
        """Note that the handler of an attempt has returned; its slot is stuck no longer."""
        with self._lock:
            if running.timed_out and not running.ended:
                self._stuck -= 1
            running.ended = True
