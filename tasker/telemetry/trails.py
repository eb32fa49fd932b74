"""What stands on the spans of tasks that have not ended: gathered as it is appended here, else read from the log."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tasker.codec.registry import SYSTEM_TYPES
from tasker.telemetry.facts import OF_ATTEMPT, TASK_ENDS, of_row

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tasker.codec.rows import StoredEvent
    from tasker.redaction import Redactor
    from tasker.telemetry.facts import Fact

_MOST_TASKS = 10_000
_MOST_MARKS = 128
_SHARE_DROPPED = 10


class Mark(NamedTuple):
    """One event of a task, as its span shows it.

    Attributes:
        name: The name of the event.
        at: When it was recorded (microseconds).
        facts: What more is said.
    """

    name: str
    at: int
    facts: Mapping[str, Fact]


class Trail:
    """The events of one task since its creation."""

    __slots__ = ("marks", "version")

    def __init__(self) -> None:
        """Begin before the first event."""
        self.version = 0
        self.marks: list[Mark] = []

    def add(self, mark: Mark) -> None:
        """Add an event, unless there are too many for a span already."""
        if len(self.marks) < _MOST_MARKS:
            self.marks.append(mark)


class Segment(NamedTuple):
    """What happened between two ends of a task.

    Attributes:
        first: Whether it begins with the task's creation.
        marks: Its events, without those of attempts.
    """

    first: bool
    marks: Sequence[Mark]


class Trails:
    """Keeps the trails of tasks whose every event was appended here; used by one thread."""

    def __init__(self, history_of: Callable[[bytes, int], Sequence[StoredEvent]], redactor: Redactor) -> None:
        """Start empty.

        Args:
            history_of: Reads the stream of a task up to a version; of a long one its beginning and its end.
            redactor: Masks what is shown of it.
        """
        self._history_of = history_of
        self._redactor = redactor
        self._kept: dict[bytes, Trail] = {}

    def begin(self, stream_id: bytes, version: int) -> Trail | None:
        """Give the trail of a task that is at this version, or None where others have appended to it."""
        if version == 0:
            if len(self._kept) >= _MOST_TASKS:
                for oldest in list(self._kept)[: _MOST_TASKS // _SHARE_DROPPED]:
                    del self._kept[oldest]
            trail = self._kept[stream_id] = Trail()
            return trail
        kept = self._kept.get(stream_id)
        if kept is None or kept.version == version:
            return kept
        del self._kept[stream_id]
        return None

    def end(self, stream_id: bytes, trail: Trail | None, version: int) -> Segment:
        """Give what happened up to the end of a task, which is the event of this version."""
        self._kept.pop(stream_id, None)
        if trail is not None:
            return Segment(first=True, marks=trail.marks)
        return read(self._history_of(stream_id, version), self._redactor)


def read(rows: Sequence[StoredEvent], redactor: Redactor) -> Segment:
    """Find the last segment of a stream; its last event is an end."""
    first, marks = True, list[Mark]()
    waiting: set[tuple[int | None, int | None]] = set()
    for row in rows:
        kind = SYSTEM_TYPES.get(row.code)
        known = None if kind is None else kind.event
        place = (row.step, row.attempt)
        if row.type == "step.waiting":
            waiting.add(place)
        elif known is not None and (known not in OF_ATTEMPT or place in waiting):
            marks.append(Mark(row.type, row.time, of_row(row, redactor)))
            if known in TASK_ENDS and row is not rows[-1]:
                first, marks = False, []
    return Segment(first, marks[:_MOST_MARKS])
