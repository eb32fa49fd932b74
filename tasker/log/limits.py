"""Places under limits, as one group of appends sees them: who holds them, who takes one, which rows are stale.

A place is held by a row whose attempt the live work has running. Whoever ends an attempt changes the live work alone,
and so leaves a row behind that counts no more; the next group that looks at its scope removes it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasker.domain.work import WorkKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from tasker.domain.work import WorkItem
    from tasker.log.port import Append

Holder = tuple[bytes, int, int, bool]
"""A row of a scope: stream, step and attempt, and whether the live work has that attempt running."""

_Key = tuple[bytes, int]
_RUNNING = WorkKind.RUNNING


def _runs(item: WorkItem | None, attempt: int | None) -> bool:
    """Tell whether an item of live work is an attempt that runs."""
    return item is not None and item.kind == _RUNNING and item.attempt == attempt


class Limits:
    """The scopes that a group has looked at, as of its last winner.

    Attributes:
        taken: The rows to be stored, as (scope, stream, step) and the attempt.
        freed: The rows to be removed before that.
    """

    def __init__(self, holders: Callable[[str], Iterable[Holder]], work: Mapping[_Key, WorkItem | None]) -> None:
        """Look at nothing yet.

        Args:
            holders: Reads the rows of a scope as they were before the group.
            work: What the group has changed in the live work, kept up by it.
        """
        self.taken: dict[tuple[str, bytes, int], int] = {}
        self.freed: dict[tuple[str, bytes, int], None] = {}
        self._holders = holders
        self._work = work
        self._scopes: dict[str, dict[_Key, int]] = {}

    def full(self, append: Append) -> str | None:
        """Give the first scope in which an append finds no place, or None if it finds all that it asks for."""
        counts: dict[str, int] = {}
        for scope, most, _, _ in append.holdings:
            count = counts.get(scope)
            if count is None:
                count = self._others(scope, append)
            if count >= most:
                return scope
            counts[scope] = count + 1
        return None

    def take(self, append: Append) -> None:
        """Note what an append that has won ends, then what it takes."""
        stream_id = append.stream_id
        for step, item in append.work:
            for scope, held in self._scopes.items():
                if (stream_id, step) in held and not _runs(item, held[stream_id, step]):
                    del held[stream_id, step]
                    self._free(scope, stream_id, step)
        for scope, _, step, attempt in append.holdings:
            self._scopes[scope][stream_id, step] = attempt
            self.taken[scope, stream_id, step] = attempt

    def _others(self, scope: str, append: Append) -> int:
        """Count the places that are held besides those that an append ends, or takes itself."""
        held, stream_id = self._held(scope), append.stream_id
        mine = {(stream_id, step) for name, _, step, _ in append.holdings if name == scope}
        mine |= {(stream_id, step) for step, item in append.work if not _runs(item, held.get((stream_id, step)))}
        return len(held) - len(mine & held.keys())

    def _held(self, scope: str) -> dict[_Key, int]:
        """Give the attempts that hold a place in a scope by now, each by its stream and step."""
        held = self._scopes.get(scope)
        if held is None:
            held = self._scopes[scope] = {}
            for stream_id, step, attempt, running in self._holders(scope):
                key = stream_id, step
                if _runs(self._work[key], attempt) if key in self._work else running:
                    held[key] = attempt
                else:
                    self._free(scope, stream_id, step)
        return held

    def _free(self, scope: str, stream_id: bytes, step: int) -> None:
        """Have a row removed."""
        self.taken.pop((scope, stream_id, step), None)
        self.freed[scope, stream_id, step] = None
