"""Garbage collection in a process that belongs to Tasker."""

from __future__ import annotations

import gc

_YOUNG = 50_000
_MIDDLE, _OLD = 20, 50


def calm() -> None:
    """Collect less often. For processes of our own only: it changes the whole interpreter.

    States are immutable and free of cycles, so reference counts free them; the collector would walk them in vain. With
    CPython's thresholds it took a quarter of the time of a step (docs/PERFORMANCE.md).
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, _MIDDLE, _OLD)
