"""Typed handlers: functions of compiled modules that take one step and give it back with its results."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from types import BuiltinFunctionType
from typing import TYPE_CHECKING

from tasker.domain.declared import registry_name
from tasker.handlers.native import described
from tasker.handlers.native_library import NativeError
from tasker.handlers.step_view import JsonValue

if TYPE_CHECKING:
    from tasker.handlers.attempt_step import AttemptStep
    from tasker.handlers.views import Sequence, Task

_PANIC = "pyo3_runtime"  # every module made with pyo3 has a PanicException of its own, derived from BaseException
_MISSING = object()


class TypedStepHandler:
    """Calls a function with the step as a mapping; of the step that it answers, the results count alone.

    Attributes:
        name: The function's `module:qualname`, under which definitions pin it.
    """

    def __init__(self, function: Callable[[JsonValue], object]) -> None:
        """Take the function."""
        self.function = function
        self.name = registry_name(function)

    def __eq__(self, other: object) -> bool:
        """Compare by the function: equal objects are one handler."""
        return isinstance(other, TypedStepHandler) and self.function == other.function

    def __hash__(self) -> int:
        """Hash by the function."""
        return hash(self.function)

    def __call__(self, task: Task, sequence: Sequence, step: AttemptStep) -> JsonValue:
        """Run one attempt.

        Returns:
            The field `results` of the answer, a mapping or an object.

        Raises:
            NativeError: The function panicked, or its answer has no results.
            Exception: What the function raised.
        """
        del sequence
        try:
            answer = self.function(described(task, step))
        except BaseException as error:
            if type(error).__module__ != _PANIC:
                raise
            message = f"expected {self.name} to return or to raise, found a panic: {error}; mend the handler"
            raise NativeError(message, code="PANIC") from None
        if isinstance(answer, Mapping):
            results = answer.get("results", _MISSING)
        else:
            results = getattr(answer, "results", _MISSING)
        if results is _MISSING:
            message = (
                f"expected from {self.name} a step with results, found {type(answer).__qualname__};"
                " return the step that was given, with its results"
            )
            raise NativeError(message, code="NO_RESULTS")
        return results


def adapted(handler: object) -> object:
    """Give a compiled function of one argument as a `TypedStepHandler`, and whatever else as it is."""
    if not isinstance(handler, BuiltinFunctionType):
        return handler
    try:
        inspect.signature(handler).bind(None)
    except (TypeError, ValueError):
        return handler  # of another number of arguments, or it does not tell
    return TypedStepHandler(handler)
