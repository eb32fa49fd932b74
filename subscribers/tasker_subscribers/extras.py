"""Loading what an extra of this distribution brings."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from tasker.errors import InvalidDefinition

if TYPE_CHECKING:
    from types import ModuleType


def brought_by(extra: str, library: str, module: str) -> ModuleType:
    """Import a module of this distribution that needs an extra.

    Args:
        extra: The extra that brings the library.
        library: What the extra installs.
        module: The module of this distribution.

    Raises:
        InvalidDefinition: The library is not installed; names the line that installs it.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if missing.startswith("tasker_subscribers"):
            raise
        message = (
            f"the {extra} subscriber needs {library}, but there is no module {missing!r} here. "
            f"Install it: pip install 'tasker-subscribers[{extra}]'"
        )
        raise InvalidDefinition(message) from error
