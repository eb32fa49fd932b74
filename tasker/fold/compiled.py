"""The compiled module as the rest of the fold sees it: the shapes of what goes in and comes out."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from tasker.domain.task import END_OF_TIME, SECOND
from tasker.errors import ChainBroken

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tasker.domain.definition import TaskDefinition
    from tasker.fold import _native
    from tasker.fold.native import Native

RETURNED = -1
"""The plan of a stream that is not to be folded, but to be returned."""

Versions = tuple[int, ...]


class StepColumns(NamedTuple):
    """What columns say of a step; versions name the events that say the rest."""

    status: int
    blockers: int
    attempt: int
    failures: int
    outcomes: str
    ready_at: int
    due: int | None
    started_at: int | None
    ended_at: int | None
    started_version: int
    outcome: int
    error: int
    retry_version: int
    failure_version: int
    resets: Versions
    updates: Versions


class TaskColumns(NamedTuple):
    """What columns say of a task; versions name the events that say the rest."""

    status: int
    version: int
    counts: tuple[int, ...]
    ready: int
    created_at: int
    started_at: int | None
    ended_at: int | None
    last_at: int
    timeout_at: int | None
    paused_version: int
    annotations: Versions
    erased_version: int
    first_position: int
    last_position: int
    updated: Versions
    steps: Sequence[Sequence[object]]


class Chain(Protocol):
    """The ends of all chains up to a position."""

    @property
    def position(self) -> int:
        """Give the position of the last row that verified."""

    @property
    def streams(self) -> int:
        """Count the streams that occurred."""

    def knows(self, stream_id: bytes) -> bool:
        """Say whether an event of this stream occurred."""

    def end(self, stream_id: bytes) -> tuple[int, bytes] | None:
        """Give version and hash of the last verified event of a stream."""

    def gone(self) -> list[tuple[int, bytes]]:
        """Give, for each stream with payloads that nothing explains so far, position and stream of the first."""

    def codes(self) -> list[int]:
        """Give the type codes that occurred."""

    def take(
        self,
        stream_id: bytes,
        version: int,
        hash: bytes,
        code: int,
        gone: bool = ...,  # noqa: FBT001 - the module's signature
        erased: bool = ...,  # noqa: FBT001 - the same
    ) -> None:
        """Move over the next row, which was verified elsewhere."""


def plan_of(module: Native, definition: TaskDefinition) -> _native.Plan:
    """Make the plan of a definition."""
    steps, seconds = definition.step_templates, definition.timeout_seconds
    return module.Plan(
        definition.graph.parent_ordinals,
        [step.name for step in steps],
        [step.dependent_system for step in steps],
        [step.default_retry_limit for step in steps],
        None if seconds is None else round(min(seconds, END_OF_TIME / SECOND) * SECOND),
        definition.concurrent,
    )


def malformed(error: ValueError) -> ChainBroken:
    """Say that columns are not what any fold can take."""
    position, reason = error.args
    where = f"position {position}" if position else "the columns of a page"
    message = (
        f"{where}: expected the columns of a history, found {reason}; the log was changed. Run `tasker audit verify`,"
        " then restore a backup"
    )
    return ChainBroken(message, position=position or None, expected="the columns of a history", found=str(reason))
