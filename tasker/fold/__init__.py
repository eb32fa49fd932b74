"""The one door to folding and verifying, so that a compiled implementation can take over behind it.

Whoever folds a stream or recomputes a chain comes here and nowhere else. What goes in are stored rows, whose columns
are integers and bytes; what comes out are states, or the first thing that does not verify.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasker.codec.decode import decode
from tasker.domain.task import blank, evolve
from tasker.fold.chain import Verifier

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tasker.codec.rows import StoredEvent
    from tasker.domain.definition import TaskDefinition
    from tasker.domain.task import Task

__all__ = ["Verifier", "fold_stream", "implementation"]


def implementation() -> str:
    """Name the implementation in use."""
    return "python"


def fold_stream(
    definition: TaskDefinition, task_id: str, rows: Sequence[StoredEvent], *, initial: Task | None = None
) -> Task:
    """Fold stored events of one stream, in order, into the state of its task.

    Args:
        definition: The definition that the stream is pinned to.
        task_id: The id of the task, as text.
        rows: Its events, without a gap; with `initial` those after it.
        initial: The state from which to go on; None for the state before the first event.

    Raises:
        UnsupportedEvent: A newer release wrote one of the events.
    """
    task = blank(task_id, definition) if initial is None else initial
    for row in rows:
        task = evolve(task, decode(row))
    return task
