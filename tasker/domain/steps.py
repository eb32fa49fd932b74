"""The state of one step, and the immutable tables of steps."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from tasker.domain.status import StepStatus

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from tasker.domain.events import Instant

_BITS = 5
_WIDTH = 1 << _BITS
_MASK = _WIDTH - 1

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


class Steps(tuple[StepState, ...]):
    """An immutable table of step states by ordinal: of a small graph a tuple, read at a tuple's speed."""

    __slots__ = ()

    @classmethod
    def of(cls, states: Iterable[StepState]) -> StepTable:
        """Build a table from all its states."""
        flat = tuple(states)
        return cls(flat) if len(flat) <= _WIDTH else ChunkedSteps(flat)

    def put(self, changes: Mapping[int, StepState]) -> Steps:
        """Give a table with other states in some places."""
        states = list(self)
        for number, state in changes.items():
            states[number] = state
        return Steps(states)


class ChunkedSteps:
    """An immutable table of the step states of a large graph: a copy shares every chunk without a change."""

    __slots__ = ("_chunks", "_size")

    def __init__(self, flat: tuple[StepState, ...]) -> None:
        """Take all states; use `Steps.of`."""
        self._chunks = tuple(flat[place : place + _WIDTH] for place in range(0, len(flat), _WIDTH))
        self._size = len(flat)

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
        return isinstance(other, ChunkedSteps) and self._chunks == other._chunks

    def __hash__(self) -> int:
        """Hash by content."""
        return hash(self._chunks)

    def __repr__(self) -> str:
        """Show the states."""
        return f"ChunkedSteps({list(self)!r})"

    def put(self, changes: Mapping[int, StepState]) -> ChunkedSteps:
        """Give a table with other states in some places."""
        touched: dict[int, list[StepState]] = {}
        for number, state in changes.items():
            place = number >> _BITS
            chunk = touched.get(place)
            if chunk is None:
                chunk = touched[place] = list(self._chunks[place])
            chunk[number & _MASK] = state
        chunks = list(self._chunks)
        for place, chunk in touched.items():
            chunks[place] = tuple(chunk)
        table = ChunkedSteps(())
        table._chunks, table._size = tuple(chunks), self._size
        return table


StepTable = Steps | ChunkedSteps
"""The steps of a task; both kinds are read and changed alike."""
