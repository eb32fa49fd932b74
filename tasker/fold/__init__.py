"""The one door to folding and verifying, behind which a compiled implementation works where there is one.

Whoever folds a stream or recomputes a chain comes here and nowhere else. What goes in are stored rows or their columns;
what comes out are states, or the first thing that does not verify. Both implementations give the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasker.codec.decode import decode, text_id
from tasker.domain.task import blank, evolve
from tasker.fold import native as loader
from tasker.fold.chain import Verifier
from tasker.fold.columns import points
from tasker.fold.compiled import TaskColumns, malformed, plan_of
from tasker.fold.complete import complete
from tasker.fold.part import Part

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tasker.codec.rows import StoredEvent
    from tasker.domain.definition import TaskDefinition
    from tasker.domain.task import Task
    from tasker.fold.columns import Heads

__all__ = ["Part", "Verifier", "fold_heads", "fold_stream", "implementation"]


def implementation() -> str:
    """Name the implementation in use: `rust` or `python`."""
    return "python" if loader.native() is None else "rust"


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


def fold_heads(
    definition: TaskDefinition,
    stream_id: bytes,
    heads: Heads,
    events_at: Callable[[Sequence[int]], Sequence[StoredEvent]],
    *,
    position: int | None = None,
    time: int | None = None,
) -> tuple[Task, int] | None:
    """Fold a long stream from its heads and the few events that its state names.

    Args:
        definition: The definition that the stream is pinned to.
        stream_id: The stream.
        heads: Its heads, from the first event on.
        events_at: Reads events by their positions.
        position: Fold up to this position only.
        time: Fold events up to this time only (microseconds).

    Returns:
        The task and the position of its last event; None where only `fold_stream` can do it.

    Raises:
        ChainBroken: The heads are those of no history.
        UnsupportedEvent: A newer release wrote one of the events.
    """
    module = loader.native()
    if module is None:
        return None
    try:
        [found], _ = module.states([plan_of(module, definition)], [(stream_id, 0)], heads, position, time)
    except module.FoldError as error:
        raise malformed(error) from error
    if found is None:
        return None
    state, places = TaskColumns._make(found), points(heads)
    task = complete(
        definition, text_id(stream_id), state, lambda versions: events_at([places[one - 1][0] for one in versions])
    )
    return task, state.last_position
