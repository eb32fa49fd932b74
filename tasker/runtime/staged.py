"""What a turn of the leader works on: the decisions for one task so far, and what the leader asks of a runner."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from tasker.codec.encode import encode
from tasker.codec.rows import NewEvent, StreamHeader
from tasker.domain import events as ev
from tasker.domain.work import TASK, WorkChange, WorkItem, item_of, task_item
from tasker.log.port import Append, Holding
from tasker.telemetry.change import Change

if TYPE_CHECKING:
    from collections.abc import Callable

    from tasker.domain.events import TaskStreamEvent
    from tasker.domain.task import Task
    from tasker.log.port import Fenced, IdentityTaken, LimitReached, VersionConflict
    from tasker.runtime.plans import Plan
    from tasker.runtime.streams import Known
    from tasker.runtime.ticket import Ticket
    from tasker.runtime.turn import Turn

    Lost = VersionConflict | IdentityTaken | Fenced | LimitReached


class Staged:
    """What a turn has decided for one task so far."""

    __slots__ = ("base", "changes", "claimed", "created", "events", "fresh", "holdings", "known", "task", "tickets")

    def __init__(self, known: Known, created: tuple[Plan, StreamHeader] | None, *, fresh: bool) -> None:
        """Begin at a state; `fresh` if it was read from the log in this turn."""
        self.known = known
        self.base = self.task = known.task
        self.created = created
        self.fresh = fresh
        self.events: list[TaskStreamEvent] = []
        self.tickets: list[Ticket] = []
        self.claimed: list[int] = []
        self.holdings: list[Holding] = []
        self.changes: dict[int, WorkItem | None] = {}

    def take(self, events: tuple[TaskStreamEvent, ...], task: Task) -> None:
        """Add a decision."""
        self.events.extend(events)
        self.task = task

    def settle(self) -> None:
        """Tell everybody whose command led here; `known` is durable by now."""
        for ticket in self.tickets:
            ticket.known = self.known
            ticket.settle()

    @property
    def metadata(self) -> bytes | None:
        """Give the trace and request ids that came with the request for a new task."""
        return self.tickets[0].metadata if self.created and self.tickets else None

    def change(self, stream_id: bytes) -> Change:
        """Give what telemetry is told, once this is durable."""
        return Change(stream_id, self.base, self.task, self.events, self.metadata)

    def work(self) -> list[WorkChange]:
        """Give the changes of live work, with what was claimed after they were first computed."""
        for number in self.claimed:
            self.changes[number] = item_of(self.task, number)
        if self.claimed and self.task.timeout_at is not None:
            self.changes[TASK] = task_item(self.task)
        return list(self.changes.items())

    def append(
        self, stream_id: bytes, event_id: Callable[[], bytes], guard: tuple[bytes, int], worker_id: str | None
    ) -> Append:
        """Give everything decided as one append; its later events name the first as their cause.

        Args:
            stream_id: The task.
            event_id: Makes ids.
            guard: The stream of pauses and its version as known here: what was claimed must not pass a newer pause.
            worker_id: The worker that leads here, if one does: what it claims and reports counts only while it lives.
        """
        numbers = self.base.definition.graph.ordinal
        first: bytes | None = None
        status = self.base.status
        rows: list[NewEvent] = []
        erases = False
        metadata = self.metadata
        for event in self.events:
            own = event_id()
            number = None
            if isinstance(event, ev.StepEvent):
                number = numbers[event.step]
            elif isinstance(event, ev.TaskEvent):
                status = event.status
                erases = erases or isinstance(event, ev.TaskErased)
            else:
                number = numbers[event.step]
            rows.append(
                encode(event, event_id=own, number=number, status=status, causation_id=first, metadata=metadata)
            )
            first, metadata = first or own, None
        created = self.created
        return Append(
            stream_id,
            self.base.version,
            rows,
            created[1] if created else None,
            (created[0].digest, created[0].encoded) if created else None,
            self.work(),
            erases,
            guard if self.claimed else None,
            worker_id if self.claimed or any(ticket.worker_id for ticket in self.tickets) else None,
            self.holdings,
        )


class Runs(Protocol):
    """What the leader asks of a runner, and tells it; without a runner nothing is claimed."""

    @property
    def worker_id(self) -> str:
        """Give the name under which attempts are started and reported."""

    def claim(self, turn: Turn) -> None:
        """Start what may start."""

    def committed(self, turn: Turn, won: dict[bytes, Staged], appended: int) -> None:
        """Take note of what became durable, and of how many positions this process appended."""

    def lost(self, stream_id: bytes, task: Task | None, reason: Lost | None) -> None:
        """Take note that decisions on a stream were thrown away.

        Args:
            stream_id: The task.
            task: Its state; None where it is not known, or does not exist.
            reason: What the log said; None where it did not answer.
        """

    def run_hook(self, ticket: Ticket, staged: Staged, task: Task, events: tuple[TaskStreamEvent, ...]) -> None:
        """Run the task's hook before a report that would end it, then hand the report in again."""

    def control_changed(self) -> None:
        """Take note, in any thread, that pauses of scopes changed."""

    def lift(self) -> None:
        """Look again at held steps."""

    def wake(self) -> bool:
        """Have a thread of the runner lead; False if it has none."""
