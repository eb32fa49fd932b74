"""The `Step` that a running handler gets: besides what everybody sees, its attempt and the results to be."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tasker.errors import TaskerError
from tasker.handlers.publishing import DEFAULT_TOOLS, Tools, publication
from tasker.handlers.step_view import JsonValue, Step

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tasker.domain.commands import Publication
    from tasker.handlers.views import Task


class AttemptCancelled(TaskerError):
    """Leave a handler whose attempt was cancelled; the engine expects it and records no failure for it."""


class AttemptControl:
    """What a worker and a running handler tell each other; any thread may use it.

    Attributes:
        cancelled: True once the worker wants the handler to stop.
        last_heartbeat: When the handler last said that it is alive (`time.monotonic`, seconds).
        finished: True once the attempt has an outcome.
    """

    __slots__ = ("cancelled", "finished", "last_heartbeat")

    def __init__(self) -> None:
        """Begin now: creating it counts as the first heartbeat."""
        self.cancelled = False
        self.finished = False
        self.last_heartbeat = time.monotonic()

    def cancel(self) -> None:
        """Ask the handler to stop."""
        self.cancelled = True

    def heartbeat(self) -> None:
        """Note that the handler is alive."""
        self.last_heartbeat = time.monotonic()


class AttemptStep(Step):
    """The step of a running attempt, from the handler's side."""

    __slots__ = ("_assigned", "_control", "_published", "_secrets", "_tools")

    def __init__(
        self,
        task: Task,
        number: int,
        control: AttemptControl,
        *,
        secrets: Mapping[str, str] | None = None,
        tools: Tools = DEFAULT_TOOLS,
    ) -> None:
        """Look at a step of a task from within its attempt.

        Args:
            task: The task as of the attempt's start.
            number: Ordinal of the step.
            control: The line to the worker.
            secrets: Values from the environment, by name; they are masked in what is published.
            tools: What all attempts of the worker share.
        """
        super().__init__(task.facts, number)
        self._control = control
        self._secrets = secrets or {}
        self._tools = tools
        self._assigned = False
        self._published: tuple[Publication, ...] = ()
        self._results = {}

    @property
    def attempt(self) -> int:
        """Give the number of this attempt, from 1."""
        return self._state.attempt

    @property
    def results(self) -> JsonValue:
        """Give the results of this attempt: {} until the handler assigns some."""
        return self._results

    @results.setter
    def results(self, value: JsonValue) -> None:
        """Set the results of this attempt."""
        self._results = value
        self._assigned = True

    @property
    def results_assigned(self) -> bool:
        """Say whether the handler has set its results, by assignment or in place."""
        return self._assigned or bool(self._results)

    @property
    def published(self) -> tuple[Publication, ...]:
        """Give the custom events published so far."""
        return self._published

    @property
    def tools(self) -> Tools:
        """Give what all attempts of the worker share; for the engine."""
        return self._tools

    @property
    def secrets(self) -> Mapping[str, str]:
        """Give the values from the environment, by variable; for the engine, which masks them."""
        return self._secrets

    @property
    def finished(self) -> bool:
        """Say whether the attempt has an outcome; threads that it left behind can do nothing more for it."""
        return self._control.finished

    def cancelled(self) -> bool:
        """Say whether this attempt no longer counts: cancelled, timed out, or its worker stops."""
        return self._control.cancelled

    def raise_if_cancelled(self) -> None:
        """Leave the handler if this attempt no longer counts."""
        if self._control.cancelled:
            msg = f"the attempt {self.attempt} of step {self.name!r} was cancelled; let this exception pass"
            raise AttemptCancelled(msg)

    def heartbeat(self) -> None:
        """Say that the handler is alive, for a step with `heartbeat_timeout_seconds`."""
        self._control.heartbeat()

    def publish(self, name: str, body: object, *, always: bool = False) -> None:
        """Publish a custom event; it is recorded together with the outcome of this attempt.

        Args:
            name: Its name, `namespace.past_participle`.
            body: A JSON value.
            always: Record it also if the attempt fails.

        Raises:
            InvalidRequest: The name is reserved or malformed, or the body is no JSON or breaks its registered schema.
            PayloadTooLarge: The body is larger than one event may be.
            TaskerError: The attempt is over.
        """
        if self._control.finished:
            msg = (
                f"step {self.name!r} published {name!r} after its attempt had ended, where nobody can record it;"
                " publish before the handler returns"
            )
            raise TaskerError(msg)
        event = publication(name, body, always=always, secrets=self._secrets, tools=self._tools)
        self._published = (*self._published, event)
