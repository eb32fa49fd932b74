"""Which attempt runs in this thread or coroutine: log lines written inside a handler name it, and mask its secrets."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextvars import Token

    from tasker.domain.task import Task


class Scope(NamedTuple):
    """A running attempt.

    Attributes:
        task: The task as of the attempt's start.
        number: Ordinal of the step.
        secrets: What its handler got from the environment, by variable.
    """

    task: Task
    number: int
    secrets: Mapping[str, str]

    def fields(self) -> dict[str, object]:
        """Give the fields of a log line."""
        task = self.task
        return {
            "correlation_id": task.request.correlation_id,
            "task_id": task.id,
            "step_name": task.definition.graph.names[self.number],
            "attempt": task.steps[self.number].attempt,
        }


_current: ContextVar[Scope | None] = ContextVar("tasker_scope", default=None)


def enter(scope: Scope) -> Token[Scope | None]:
    """Say that an attempt runs here from now on; give what `leave` takes."""
    return _current.set(scope)


def leave(token: Token[Scope | None]) -> None:
    """Say that it runs here no longer."""
    _current.reset(token)


def fields() -> dict[str, object]:
    """Give correlation_id, task_id, step_name and attempt of what runs here; nothing outside of handlers."""
    scope = _current.get()
    return {} if scope is None else scope.fields()


def secrets() -> Mapping[str, str]:
    """Give what the handler that runs here got from the environment, by variable; nothing outside of handlers."""
    scope = _current.get()
    return {} if scope is None else scope.secrets
