"""What telemetry is told of: what one append did to one task."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tasker.domain.events import TaskStreamEvent
    from tasker.domain.task import Task


class Change(NamedTuple):
    """What one append, durable by now, did to one task.

    Attributes:
        stream_id: The task.
        before: Its state before.
        after: Its state after.
        events: What was appended, in order.
        metadata: Of a new task the stored bytes of trace and request ids, or None.
    """

    stream_id: bytes
    before: Task
    after: Task
    events: Sequence[TaskStreamEvent]
    metadata: bytes | None
