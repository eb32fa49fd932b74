"""The invocation of one attempt: build the handler, call it, and turn whatever happens into an outcome."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from types import CoroutineType
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from tasker.domain.events import PERMANENT, TOO_LARGE, StepError
from tasker.errors import InvalidDefinition, PayloadTooLarge
from tasker.handlers import failure
from tasker.handlers.attempt_step import AttemptCancelled, AttemptControl, AttemptStep
from tasker.handlers.publishing import DEFAULT_TOOLS, Tools
from tasker.handlers.step_handler import StepHandler, Wait
from tasker.handlers.step_view import JsonValue
from tasker.handlers.values import to_json
from tasker.redaction import mask_values

if TYPE_CHECKING:
    from tasker.domain.commands import Publication
    from tasker.handlers.views import Task

Handler = type | Callable[..., object]
"""What a registry holds: a class or an object with `process`, or a function of task, sequence and step."""

_COROUTINE = inspect.CO_COROUTINE | inspect.CO_ITERABLE_COROUTINE


class Completed(NamedTuple):
    """The attempt gave results: a plain JSON value and its canonical bytes, secrets masked in both."""

    results: JsonValue
    encoded: bytes
    published: tuple[Publication, ...] = ()


class Failed(NamedTuple):
    """The attempt failed; `retry_after` in seconds if a delay was asked for."""

    error: StepError
    retry_after: float | None = None
    published: tuple[Publication, ...] = ()


class Waiting(NamedTuple):
    """The attempt parked the step for somebody outside, at most `timeout_seconds` (None: without end)."""

    timeout_seconds: float | None
    reason: str
    published: tuple[Publication, ...] = ()


class Cancelled(NamedTuple):
    """The handler obeyed a cancellation (`raise_if_cancelled`): there is nothing to report."""

    published: tuple[Publication, ...] = ()


Outcome = Completed | Failed | Waiting | Cancelled


def is_async(handler: Handler) -> bool:
    """Say whether a handler must run on an event loop: its `process`, or the function itself, is `async def`."""
    target = _function(handler)
    code = getattr(target, "__code__", None)
    if code is not None:
        return bool(code.co_flags & _COROUTINE) or inspect.iscoroutinefunction(target)
    return inspect.iscoroutinefunction(target) or inspect.iscoroutinefunction(getattr(target, "__call__", None))  # noqa: B004 - its kind is asked, not whether it is there


@dataclass(slots=True)
class Attempt:
    """One attempt, run once: by `run`, or by `run_async` if `is_async(handler)`.

    Attributes:
        handler: What the registry holds under the step's handler name.
        task: The task as of the attempt's start.
        number: Ordinal of the step.
        config: The handler_config with its placeholders resolved.
        secrets: Values that came from the environment, by variable.
        control: The line between the worker and the handler.
        tools: What all attempts of the worker share.
    """

    handler: Handler
    task: Task
    number: int
    config: Mapping[str, JsonValue]
    secrets: Mapping[str, str]
    control: AttemptControl
    tools: Tools = DEFAULT_TOOLS

    def run(self) -> Outcome:
        """Run a sync handler in this thread. Everything that it raises becomes an outcome, but KeyboardInterrupt."""
        running = self._run(on_loop=False)
        try:
            running.send(None)  # nothing in it suspends without a loop, so this one step is all of it
        except StopIteration as end:
            outcome: Outcome = end.value
            return outcome
        running.close()
        message = "an attempt without an event loop suspended; expected it to run through"
        raise failure.Misused(message)

    async def run_async(self) -> Outcome:
        """Run a handler on this event loop; cancelling the task around it passes through as CancelledError."""
        return await self._run(on_loop=True)

    async def _run(self, *, on_loop: bool) -> Outcome:
        step = AttemptStep(self.task, self.number, self.control, secrets=self.secrets, tools=self.tools)
        problem: BaseException | None = None
        parked: Wait | None = None
        built: Any = None
        try:
            if isinstance(self.handler, type):
                built = build(self.handler, self.config, step)
                output = built.process(self.task, self.task.sequence, step)
            else:
                output = _function(self.handler)(self.task, self.task.sequence, step)
            if isinstance(output, CoroutineType) or (on_loop and inspect.isawaitable(output)):
                output = await _awaitable(output, on_loop=on_loop)
            parked = await _processed(built, output, step, on_loop=on_loop)
        except (Exception, SystemExit, asyncio.CancelledError) as error:
            if on_loop and _cancelled_from_outside(error):
                raise
            problem = built.examine_error(error) if isinstance(built, StepHandler) else error
        finally:
            self.control.finished = True
        if problem is not None:
            return self._failed(problem, step)
        return self._completed(step) if parked is None else self._waiting(parked, step)

    def _waiting(self, wait: Wait, step: AttemptStep) -> Waiting:
        reason = failure.cut(mask_values(wait.reason, self.secrets), self.tools.sizes.error_message)
        return Waiting(wait.timeout_seconds, reason, step.published)

    def _completed(self, step: AttemptStep) -> Completed | Failed:
        """Convert the results; what cannot be stored fails for good, since the handler has done its work."""
        try:
            plain, encoded = to_json(step.results, limit_bytes=self.tools.sizes.results)
        except PayloadTooLarge as error:
            return self._failure(error, step, TOO_LARGE)
        except Exception as error:  # noqa: BLE001 - becomes the step's error
            return self._failure(error, step, PERMANENT)
        if self.secrets:
            masked = mask_values(encoded, self.secrets)
            if masked is not encoded:
                plain, encoded = orjson.loads(masked), masked
        return Completed(plain, encoded, step.published)

    def _failed(self, error: BaseException, step: AttemptStep) -> Failed | Cancelled:
        if isinstance(error, AttemptCancelled) and self.control.cancelled:
            return Cancelled(step.published)
        return self._failure(error, step, failure.kind_of(error))

    def _failure(self, error: BaseException, step: AttemptStep, kind: str) -> Failed:
        told = failure.step_error(error, kind, secrets=self.secrets, sizes=self.tools.sizes)
        return Failed(told, failure.retry_after(error), step.published)


def _function(handler: Any) -> Any:  # noqa: ANN401 - any handler
    """Give what is called with task, sequence and step; of a class that takes itself first."""
    return handler.process if isinstance(handler, type) or not callable(handler) else handler


def build(handler: type, config: Mapping[str, JsonValue], step: AttemptStep) -> Any:  # noqa: ANN401 - any class with `process`
    """Build the object of one attempt; `config` is there before its `__init__`, which takes no arguments, is called.

    Args:
        handler: A class with `process`.
        config: The handler_config with its placeholders resolved.
        step: The step of the attempt.
    """
    built: Any = object.__new__(handler)
    if isinstance(built, StepHandler):
        built.config = config
        built.attempt_step = step
    else:
        with suppress(AttributeError):  # a class with slots has no place for it and does not miss it
            built.config = config
    initialise = type(built).__init__
    if initialise is not object.__init__:
        initialise(built)
    return built


async def _processed(built: Any, output: object, step: AttemptStep, *, on_loop: bool) -> Wait | None:  # noqa: ANN401 - any class with `process`
    """Let `process_results` turn the output into results; give the output itself if it is a `Wait`."""
    if isinstance(built, StepHandler):
        output = built.examine_output(output)
    if isinstance(output, Wait):
        return output
    process_results = getattr(built, "process_results", None)
    if process_results is None:
        if not step.results_assigned:
            step.results = output
        return None
    told = process_results(step, output, {})
    if told is not None and inspect.isawaitable(told):
        await _awaitable(told, on_loop=on_loop)
    return None


def _awaitable(value: Awaitable[object], *, on_loop: bool) -> Awaitable[object]:
    """Refuse to wait where there is no event loop: the handler looked sync, and its work has not begun."""
    if on_loop:
        return value
    if isinstance(value, CoroutineType):
        value.close()
    message = (
        "a sync handler returned a coroutine; write `async def` for process, or for the function, so that the engine"
        " can tell that it needs an event loop"
    )
    raise failure.Misused(message)


def _cancelled_from_outside(error: BaseException) -> bool:
    task = asyncio.current_task()
    return isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling() > 0


def check_handler(handler: object) -> None:
    """Refuse what cannot be a handler.

    Raises:
        InvalidDefinition: It is neither a class with `process` nor callable with task, sequence and step.
    """
    process = getattr(handler, "process", None)
    if not isinstance(handler, type):
        _check_signature(handler, handler if callable(handler) else process, 3)
        return
    if not callable(process) or process is StepHandler.process:
        message = f"{_named(handler)} is no step handler: it has no process(self, task, sequence, step); write it"
        raise InvalidDefinition(message)
    _check_signature(handler, process, 4)
    results = getattr(handler, "process_results", None)
    if inspect.iscoroutinefunction(results) and not is_async(handler):
        message = f"{_named(handler)} has an async process_results and a sync process; write `async def process`, too"
        raise InvalidDefinition(message)


def _check_signature(handler: object, function: object, count: int) -> None:
    if not callable(function):
        message = f"expected a class with process or a function of task, sequence and step; found {handler!r}"
        raise InvalidDefinition(message)
    try:
        inspect.signature(function).bind(*range(count))
    except ValueError:
        return  # a compiled function that does not tell its parameters
    except TypeError as error:
        message = f"{_named(handler)} cannot be called with task, sequence and step: {error}; give it these parameters"
        raise InvalidDefinition(message) from None


def _named(handler: object) -> str:
    return f"{getattr(handler, '__module__', '?')}:{getattr(handler, '__qualname__', repr(handler))}"
