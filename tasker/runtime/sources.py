"""Where the views of tasks read payloads and histories: the log, or the log and what a decision is about to append."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasker.codec.decode import payload_of
from tasker.codec.encode import encode
from tasker.codec.recorded import RecordedEvent
from tasker.codec.rows import StoredEvent
from tasker.domain import events as ev
from tasker.errors import LogUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tasker.domain.events import TaskStreamEvent
    from tasker.domain.task import Task
    from tasker.log.port import EventLog


class LogSource:
    """Reads the stream of one task up to a version."""

    __slots__ = ("_log", "_stream_id", "_version", "_wait")

    def __init__(
        self, log: Callable[[], EventLog], stream_id: bytes, version: int, wait: Callable[[], bool] = lambda: False
    ) -> None:
        """Take the log, the stream and the version of the view's state.

        Args:
            log: Gives the log.
            stream_id: The task.
            version: Up to which version it is read.
            wait: Waits a moment after the log did not answer; False to give up.
        """
        self._log = log
        self._stream_id = stream_id
        self._version = version
        self._wait = wait

    def payload(self, version: int) -> object:
        """Give the payload of an event as a JSON value."""
        rows = self._read(version - 1, 1)
        return payload_of(rows[0]) if rows else None

    def history(self) -> Sequence[RecordedEvent]:
        """Give the stream up to the version."""
        rows = self._read(0, self._version)
        return [RecordedEvent(row, self._log().log_id) for row in rows]

    def _read(self, after: int, limit: int) -> list[StoredEvent]:
        while True:
            try:
                return self._log().stream(self._stream_id, after=after, limit=limit)
            except LogUnavailable:
                if not self._wait():
                    raise


class DraftSource:
    """Reads the stream of one task together with events that are decided and not appended yet."""

    def __init__(
        self, log: Callable[[], EventLog], stream_id: bytes, before: Task, events: Sequence[TaskStreamEvent]
    ) -> None:
        """Take the state in the log and what follows it."""
        header = log().header(stream_id)
        recorded = LogSource(log, stream_id, before.version)
        self._recorded = recorded
        self._version = before.version
        self._rows: list[StoredEvent] = []
        if header is None:
            return
        status = before.status
        for place, event in enumerate(events):
            number = None
            if isinstance(event, ev.TaskEvent):
                status = event.status
            elif isinstance(event, ev.StepEvent | ev.CustomEvent):
                number = before.definition.graph.ordinal[event.step]
            new = encode(event, event_id=bytes(16), number=number, status=status)
            version = before.version + 1 + place
            self._rows.append(StoredEvent(0, stream_id, version, *new, None, None, bytes(32), header))

    def payload(self, version: int) -> object:
        """Give the payload of an event as a JSON value."""
        place = version - self._version - 1
        return payload_of(self._rows[place]) if 0 <= place < len(self._rows) else self._recorded.payload(version)

    def history(self) -> Sequence[RecordedEvent]:
        """Give the stream and what follows it."""
        return [*self._recorded.history(), *(RecordedEvent(row) for row in self._rows)]
