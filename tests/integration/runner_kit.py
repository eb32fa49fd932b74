"""Short words for tests of a running application: definitions, histories, bounded waiting, and a log that can fail."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from tasker import StepTemplate, TaskDefinition
from tasker.errors import LogUnavailable
from tasker.testing import FrozenClock
from tasker.testing import app as memory_app

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tasker import Tasker
    from tasker.log.port import Append, AppendResult, EventLog

PATIENCE = 60.0


def eventually(predicate: Callable[[], object], seconds: float = PATIENCE) -> object:
    """Wait until something is true, and give it.

    Raises:
        AssertionError: It did not become true in time.
    """
    deadline = time.monotonic() + seconds
    while not (found := predicate()):
        assert time.monotonic() < deadline, f"did not become true within {seconds:g} s"
        threading.Event().wait(0.005)
    return found


def step(name: str = "a", handler: object = None, **keys: object) -> StepTemplate:
    """Declare a step; without a handler it gives {}."""
    return StepTemplate(name=name, handler_class=handler or nothing, **keys)


def plan(*steps: StepTemplate, name: str = "plan", **keys: object) -> TaskDefinition:
    """Declare a definition."""
    return TaskDefinition(name=name, step_templates=list(steps), **keys)


def chain(length: int, handler: object = None, **keys: object) -> TaskDefinition:
    """Declare steps s0, s1, … one after the other."""
    parents = [None, *(f"s{number}" for number in range(length - 1))]
    return plan(*(step(f"s{place}", handler, depends_on_step=parent, **keys) for place, parent in enumerate(parents)))


def nothing(task, sequence, step):
    """Give {}."""
    return {}


def types(app: Tasker, task_id: str | None = None, only: str = "*") -> list[str]:
    """Give the names of a task's events, or of the whole log's."""
    return [event.type for event in app.events(task_id, types=only)]


def bodies(app: Tasker, task_id: str, kind: str) -> list[object]:
    """Give the bodies of a task's events of one kind."""
    return [event.body for event in app.events(task_id, types=kind)]


class Gate:
    """Handlers that say that they have begun and wait until they are let go."""

    def __init__(self) -> None:
        """Start closed."""
        self.opened = threading.Event()
        self.entered = 0
        self.most = 0
        self.left = 0
        self._lock = threading.Lock()

    def process(self, task, sequence, step):
        """Wait, counting who is inside."""
        with self._lock:
            self.entered += 1
            self.most = max(self.most, self.entered - self.left)
        try:
            assert self.opened.wait(PATIENCE)
        finally:
            with self._lock:
                self.left += 1
        return {}

    @property
    def inside(self) -> int:
        """Count the handlers that wait."""
        return self.entered - self.left


class FaultyLog:
    """A log between the engine and the real one: counts appends, and does once or more what a test asks for."""

    def __init__(self, log: EventLog) -> None:
        """Wrap a log."""
        self._log = log
        self.appends: list[int] = []
        self.before: list[Callable[[Sequence[Append]], None]] = []
        self.after: list[Callable[[Sequence[Append]], None]] = []
        self.unreadable: dict[bytes, int] = {}

    def append(self, batch: Sequence[Append]) -> list[AppendResult]:
        """Append, with the next fault before or after it."""
        self.appends.append(len(batch))
        if self.before:
            self.before.pop(0)(batch)
        results = self._log.append(batch)
        if self.after:
            self.after.pop(0)(batch)
        return results

    def stream(self, stream_id: bytes, **keys: object) -> object:
        """Read a stream, unless a test made it unreadable for a number of times."""
        if self.unreadable.get(stream_id, 0) > 0:
            self.unreadable[stream_id] -= 1
            unavailable()(stream_id)
        return self._log.stream(stream_id, **keys)

    def __getattr__(self, name: str) -> object:
        """Do everything else as the real one."""
        return getattr(self._log, name)


class _Store:
    def __init__(self, store: object, log: FaultyLog) -> None:
        self._store = store
        self.log = log

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)


def faulty(app: Tasker) -> FaultyLog:
    """Put a faulty log under an application."""
    context = app._engine.context
    log = FaultyLog(context.store.log)
    context.store = _Store(context.store, log)
    return log


def unavailable(*, unknown: bool = False) -> Callable[[object], None]:
    """Make a fault: the log does not answer."""

    def fail(_: object) -> None:
        raise LogUnavailable("the disk is away", outcome_unknown=unknown)

    return fail


def run(handler, clock=None, **keys):
    """Run a task of one step until idle; give the application and the task's id."""
    app = memory_app(plan(step("a", handler, **keys)), clock=clock or FrozenClock())
    task = app.submit(name="plan")
    app.run_until_idle()
    return app, task.id


class Boom(BaseException):
    """What no handler should raise."""


def raising(error):
    """Make a handler that raises."""

    def process(task, sequence, step):
        raise error

    return process
