"""The state of one step, and an immutable table of steps whose copies cost a chunk instead of the whole graph."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from tasker.domain.status import StepStatus

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tasker.domain.events import Instant

_BITS = 5
_MASK = (1 << _BITS) - 1

RUNNING, COMPLETED, FAILED, ABANDONED, WAITING, CANCELLED, FENCED = "rcfawxz"
"""One letter for the outcome of each attempt in `StepState.outcomes`."""


class StepState(NamedTuple):
    """Where one step stands: what rules need, and the versions under which its payloads are recorded.

    A named tuple and not a dataclass: it is copied several times per step, and `_replace` costs a quarter.

    Attributes:
        status: The step's status.
        blockers: Parents that are not satisfied yet.
        attempt: Number of the latest attempt; the fencing token. 0 before the first.
        failures: Counted attempts of the present budget.
        reruns: How often a reset asked for a new idempotency key.
        limit: An operator's attempt limit, or None for the template's.
        outcomes: One letter per attempt.
        ready_at: When it last became ready (microseconds).
        due: When a retry or the end of a wait falls due.
        delay: Seconds of the pending delay, after jitter.
        started_at: Start of the latest attempt.
        ended_at: When it finished.
        worker_id: Who runs, or ran, the latest attempt.
        outcome: Version of the event with its results, 0 for none.
        error: Version of the event with its error, 0 for none.
        inputs: Version of the event with its own inputs, 0 for the task's context.
        failure: Type and message of its final error.
    """

    status: StepStatus = StepStatus.PENDING
    blockers: int = 0
    attempt: int = 0
    failures: int = 0
    reruns: int = 0
    limit: int | None = None
    outcomes: str = ""
    ready_at: Instant = 0
    due: Instant | None = None
    delay: float | None = None
    started_at: Instant | None = None
    ended_at: Instant | None = None
    worker_id: str | None = None
    outcome: int = 0
    error: int = 0
    inputs: int = 0
    failure: tuple[str, str | None] | None = None

    @property
    def ready(self) -> bool:
        """Say whether only time and pauses keep it from starting for the first time in this budget."""
        return self.status is StepStatus.PENDING and not self.blockers


class Steps:
    """An immutable table of step states by ordinal."""

    __slots__ = ("_chunks", "_size")

    def __init__(self, chunks: tuple[tuple[StepState, ...], ...], size: int) -> None:
        """Take chunks of 32; use `Steps.of`."""
        self._chunks = chunks
        self._size = size

    @classmethod
    def of(cls, states: Iterable[StepState]) -> Steps:
        """Build a table from all its states."""
        flat = tuple(states)
        width = 1 << _BITS
        return cls(tuple(flat[place : place + width] for place in range(0, len(flat), width)), len(flat))

    def __len__(self) -> int:
        """Count the steps."""
        return self._size

    def __getitem__(self, number: int) -> StepState:
        """Give the state of a step by its ordinal."""
        return self._chunks[number >> _BITS][number & _MASK]

    def __iter__(self) -> Iterator[StepState]:
        """Go through all states in declared order."""
        return chain.from_iterable(self._chunks)

    def __eq__(self, other: object) -> bool:
        """Compare by content."""
        return isinstance(other, Steps) and self._chunks == other._chunks

    def __hash__(self) -> int:
        """Hash by content."""
        return hash(self._chunks)

    def __repr__(self) -> str:
        """Show the states."""
        return f"Steps({list(self)!r})"

    def put(self, changes: dict[int, StepState]) -> Steps:
        """Give a table with other states in some places; chunks without a change are shared."""
        chunks = list(self._chunks)
        touched: dict[int, list[StepState]] = {}
        for number, state in changes.items():
            place = number >> _BITS
            chunk = touched.get(place)
            if chunk is None:
                chunk = touched[place] = list(chunks[place])
            chunk[number & _MASK] = state
        for place, chunk in touched.items():
            chunks[place] = tuple(chunk)
        return Steps(tuple(chunks), self._size)
