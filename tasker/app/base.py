"""What the groups of `Tasker` share: the engine, guarded against use after a fork or after `close`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tasker.errors import TaskerError

if TYPE_CHECKING:
    from tasker.runtime.engine import Engine


class Base:
    """Holds the engine of one application."""

    _built: Engine
    _pid: int
    _closed: bool

    @property
    def _engine(self) -> Engine:
        """Give the engine.

        Raises:
            TaskerError: The process was forked, or the application is closed.
        """
        if os.getpid() != self._pid:
            message = (
                f"this Tasker belongs to process {self._pid} and was used in process {os.getpid()} after a fork;"
                " make a Tasker in each process"
            )
            raise TaskerError(message)
        if self._closed:
            raise TaskerError("this Tasker is closed; make another one")
        return self._built
