"""`NativeStepHandler`: a step in a shared library with a small C interface; JSON goes in and comes out."""

from __future__ import annotations

import json
from collections.abc import Callable, Container, Mapping
from typing import TYPE_CHECKING

from tasker.errors import InvalidDefinition, PermanentError, RetryableError
from tasker.handlers.native_library import NativeError, open_library
from tasker.handlers.step_handler import StepHandler
from tasker.handlers.step_view import JsonValue, Step
from tasker.handlers.values import from_json, to_json

if TYPE_CHECKING:
    from datetime import datetime

    from tasker.handlers.attempt_step import AttemptStep
    from tasker.handlers.views import Sequence, Task

Input = str | Callable[..., JsonValue]
_INPUTS = ("inputs", "context", "step")


class NativeStepHandler(StepHandler):
    """Run a function of a shared library as a step.

    As a `handler_class`: `NativeStepHandler("libprice", symbol="price")`; in YAML `handler_class:
    tasker.NativeStepHandler` with `handler_config: {type: native, library: …, symbol: …, input: …}`.
    """

    def __init__(self, library: str | None = None, symbol: str = "handle", input: Input = "inputs") -> None:
        """Say what to call; the library is opened at the first attempt.

        Args:
            library: File name or path; without a suffix the system's own is added.
            symbol: Name of the function.
            input: What it gets: the step's `inputs`, the task's `context`, the `step` as an object with its status,
                inputs and results, or what a callable of task, sequence and step returns.

        Raises:
            InvalidDefinition: A value is missing or wrong.
        """
        config: Mapping[str, JsonValue] = self.config if library is None else {}
        self.library = _text("library", config.get("library") if library is None else library)
        self.symbol = _text("symbol", config.get("symbol", symbol))
        self.input = _input(config.get("input", input))
        self.__dict__["name"] = f"native:{self.library}:{self.symbol}"  # the object, not the class, is the handler

    def __eq__(self, other: object) -> bool:
        """Compare by what is called with what: equal objects are one handler."""
        return isinstance(other, NativeStepHandler) and self._identity == other._identity

    def __hash__(self) -> int:
        """Hash by what is called."""
        return hash(self._identity)

    @property
    def _identity(self) -> tuple[str, str, Input]:
        return (self.library, self.symbol, self.input)

    def __call__(self, task: Task, sequence: Sequence, step: AttemptStep) -> JsonValue:
        """Run one attempt."""
        return self.process(task, sequence, step)

    def process(self, task: Task, sequence: Sequence, step: AttemptStep) -> JsonValue:
        """Call the function.

        Returns:
            The JSON value that it gave; None for an empty output.

        Raises:
            RetryableError: It failed and says that it may be tried again.
            PermanentError: It failed for good, or breaks the interface (`NativeError`, with a code).
        """
        library = open_library(self.library, step.tools.directories(task.facts.state.definition))
        _, given = to_json(self._given(task, sequence, step), what="the input of a native handler")
        status, output = library.call(self.symbol, given)
        where = f"{self.symbol} of {self.library}"
        value = _read(output, where)
        if status == 0:
            return value
        raise _failure(status, value, where)

    def _given(self, task: Task, sequence: Sequence, step: AttemptStep) -> JsonValue:
        if callable(self.input):
            return self.input(task, sequence, step)
        if self.input == "step":
            return described(task, step)
        return task.context if self.input == "context" else step.inputs


def check_config(config: Mapping[str, JsonValue], *, later: Container[str] = ()) -> None:
    """Refuse a handler_config that no attempt could use.

    Args:
        config: The handler_config of a native step.
        later: Keys whose values are known only at an attempt.

    Raises:
        InvalidDefinition: The library is missing, or a value is wrong; `path` leads to it.
    """
    for key in ("library", "symbol"):
        if key not in later:
            _text(key, config.get(key, "handle" if key == "symbol" else None))
    if "input" not in later:
        _input(config.get("input", "inputs"))


def described(task: Task, step: Step) -> dict[str, JsonValue]:
    """Give the object that a native handler with `input: step` sees."""
    return {
        "id": f"{task.id}:{step.name}",
        "task_id": task.id,
        "name": step.name,
        "depends_on": list(step.depends_on),
        "status": step.status.value,
        "retryable": step.retryable,
        "retry_limit": step.retry_limit,
        "attempts": step.attempts,
        "last_attempted_at": _written(step.last_attempted_at),
        "completed_at": _written(step.completed_at),
        "backoff_seconds": step.backoff,
        "inputs": step.inputs,
        "results": step.results,
    }


def _written(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def _read(output: bytes, where: str) -> JsonValue:
    if not output:
        return None
    try:
        output.decode("utf-8")
    except UnicodeDecodeError as error:
        message = f"expected UTF-8 from {where}, found a wrong byte at {error.start}; encode its output as UTF-8"
        raise NativeError(message, code="NOT_UTF8") from None
    if b"\0" in output:
        message = f"expected JSON without NUL bytes from {where}, found one at {output.index(0)}; mend out_len"
        raise NativeError(message, code="EMBEDDED_NUL")
    try:
        return from_json(output)
    except json.JSONDecodeError as error:
        message = f"expected JSON from {where}, found {output[:80]!r}: {error}; mend its output"
        raise NativeError(message, code="BAD_JSON") from None


def _failure(status: int, value: JsonValue, where: str) -> Exception:
    text = value.get("error") if isinstance(value, dict) else None
    if not isinstance(text, str):
        message = f"{where} returned status {status} without an object {{error, retryable}} that says why"
        return NativeError(message, code=f"STATUS_{status}")
    if value.get("retryable") is True:
        return RetryableError(text)
    code = value.get("code")
    return PermanentError(text, code=code if isinstance(code, str) else f"STATUS_{status}")


def _text(key: str, value: object) -> str:
    if not isinstance(value, str) or not value or "\0" in value:
        message = f"expected for {key} of a native handler a name, found {value!r}; write it in the handler_config"
        raise InvalidDefinition(message, path=("handler_config", key))
    return value


def _input(value: object) -> Input:
    if callable(value) or (isinstance(value, str) and value in _INPUTS):
        return value
    message = f"expected for input of a native handler {', '.join(_INPUTS)} or a callable; found {value!r}"
    raise InvalidDefinition(message, path=("handler_config", "input"))
