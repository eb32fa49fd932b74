"""`StepHandler`, the class that users derive their steps from; `Wait`; `Manual`, the step that people complete."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from tasker.domain.definition import MANUAL
from tasker.errors import InvalidDefinition, InvalidRequest, TaskerError
from tasker.handlers.step_view import JsonValue

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tasker.handlers.attempt_step import AttemptStep
    from tasker.handlers.views import Sequence as StepSequence
    from tasker.handlers.views import Task


@dataclass(frozen=True, slots=True)
class Wait:
    """Returned by `process`: park the step until somebody outside completes it.

    Attributes:
        timeout_seconds: How long at most; None for without end. Then the attempt fails with kind timeout.
        reason: What it waits for, in words for people.

    Raises:
        InvalidRequest: The timeout is no number above 0, or the reason no text.
    """

    timeout_seconds: float | None
    reason: str

    def __post_init__(self) -> None:
        """Check both."""
        seconds = self.timeout_seconds
        number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
        if seconds is not None and not (number and 0 < seconds < math.inf):
            msg = f"expected for timeout_seconds of a Wait a number above 0, or None; found {seconds!r}"
            raise InvalidRequest(msg)
        if not isinstance(self.reason, str):
            msg = f"expected for the reason of a Wait a text, found {self.reason!r}"
            raise InvalidRequest(msg)


class StepHandler:
    """One kind of step. Write `process`; a new object is built for each attempt, `self.config` is its handler_config.

    Attributes:
        name: The name under which definitions pin it, if not `module:qualname`; never inherited.
        aliases: Names that it had before; never inherited.
    """

    name: ClassVar[str]
    aliases: ClassVar[Sequence[str]]
    config: Mapping[str, JsonValue] = {}
    attempt_step: AttemptStep | None = None

    def __init_subclass__(cls, **keys: object) -> None:
        """Refuse a subclass that defines `handle`, which belongs to the engine.

        Raises:
            InvalidDefinition: It does.
        """
        super().__init_subclass__(**keys)
        if "handle" in vars(cls):
            msg = (
                f"{cls.__module__}.{cls.__qualname__} defines handle(), which belongs to the engine;"
                " write process(self, task, sequence, step) instead"
            )
            raise InvalidDefinition(msg)

    def process(self, task: Task, sequence: StepSequence, step: AttemptStep) -> JsonValue:
        """Do the work of the step; sync, or `async def`.

        Args:
            task: The task as of this attempt's start.
            sequence: Its steps, in topological order.
            step: The step itself.

        Returns:
            What becomes `step.results`, or a `Wait`.

        Raises:
            RetryableError: Try again.
            PermanentError: Do not try again.
        """
        del task, sequence, step
        msg = f"{type(self).__qualname__} has no process(self, task, sequence, step); write it"
        raise InvalidDefinition(msg)

    def process_results(self, step: AttemptStep, process_output: JsonValue, initial_results: JsonValue) -> object:
        """Turn what `process` returned into `step.results`; by default it is taken as it is, unless `process` set them.

        Args:
            step: The step; assign `step.results`.
            process_output: What `process` returned.
            initial_results: `step.results` from before `process`.
        """
        del initial_results
        if not step.results_assigned:
            step.results = process_output
        return None

    def publish(self, name: str, body: JsonValue, *, always: bool = False) -> None:
        """Publish a custom event; it is recorded together with the outcome of this attempt.

        Args:
            name: Its name, `namespace.past_participle`.
            body: A JSON value.
            always: Record it also if the attempt fails.

        Raises:
            InvalidRequest: The name is reserved or malformed, or the body is no JSON or breaks its registered schema.
            TaskerError: No attempt is running.
        """
        if self.attempt_step is None:
            msg = f"{type(self).__qualname__}.publish({name!r}) works only while the engine runs an attempt of it"
            raise TaskerError(msg)
        self.attempt_step.publish(name, body, always=always)

    def examine_output(self, output: object) -> object:
        """Look at what `process` returned before `process_results` does; for the engine's own kinds of handlers."""
        return output

    def examine_error(self, error: BaseException) -> BaseException:
        """Look at what `process` raised before it is recorded; for the engine's own kinds of handlers."""
        return error


class Manual(StepHandler):
    """A step that waits until a person completes it with `complete_step`."""

    name = MANUAL

    def process(self, task: Task, sequence: StepSequence, step: AttemptStep) -> Wait:
        """Wait, as long as the template says."""
        del task, sequence
        return Wait(step.timeout_seconds, "waits for somebody to complete it")
