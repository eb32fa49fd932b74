"""What is special about the declaration of a native step, and how a compiled function becomes a handler."""

from __future__ import annotations

from types import BuiltinFunctionType

from tasker.definitions.placeholders import has_sign
from tasker.domain.definition import StepTemplate

_HOME = ("tasker.handlers.native", "NativeStepHandler")


def check_native_step(step: StepTemplate) -> None:
    """Check the configuration of a native step; of any other step, nothing.

    Raises:
        InvalidDefinition: The library is missing, or a key has a wrong value; `path` leads to it.
    """
    handler, config = step.handler_class, step.handler_config
    own = (getattr(handler, "__module__", None), getattr(handler, "__qualname__", None)) == _HOME
    if not own and config.get("type") != "native":
        return
    from tasker.handlers.native import check_config  # noqa: PLC0415 - ctypes is loaded where a step is native

    later = {key for key, value in config.items() if isinstance(value, str) and has_sign(value)}
    check_config(config, later=later)


def compiled_handler(function: BuiltinFunctionType) -> object:
    """Give a compiled function as a handler: one of a single argument is a typed handler."""
    from tasker.handlers.native_typed import adapted  # noqa: PLC0415 - the same

    return adapted(function)
