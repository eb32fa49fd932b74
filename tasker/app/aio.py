"""`aio`: the same methods as coroutines, run in threads."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tasker.app.tasker import Tasker


class AsyncTasker:
    """Gives each method of a `Tasker` as a coroutine function; everything else as it is."""

    def __init__(self, app: Tasker) -> None:
        """Wrap an application; closing it stays the owner's duty."""
        self._app = app

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the application has under this name
        """Wrap a method, or give an attribute."""
        found = getattr(self._app, name)
        return _in_thread(found) if callable(found) else found


def _in_thread(method: Callable[..., Any]) -> Callable[..., Coroutine[Any, Any, Any]]:
    @functools.wraps(method)
    async def call(*places: object, **names: object) -> Any:  # noqa: ANN401 - what the method returns
        return await asyncio.to_thread(method, *places, **names)

    return call


def aio(app: Tasker) -> AsyncTasker:
    """Give an application's methods as coroutines.

    Args:
        app: The application.

    Returns:
        An object with the same methods; each runs in a thread of asyncio's pool.
    """
    return AsyncTasker(app)
