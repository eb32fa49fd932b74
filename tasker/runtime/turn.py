"""One turn of the leader: decide for every ticket of a batch, claim what may start, append once, make it known."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasker.codec.encode import encode
from tasker.codec.rows import StreamHeader
from tasker.domain.commands import CreateTask, PauseScope, ResumeScope
from tasker.domain.control import decide_control, evolve_control
from tasker.domain.decide import react
from tasker.domain.events import CustomEvent
from tasker.domain.status import TaskStatus
from tasker.domain.task import Task, blank
from tasker.domain.work import changes
from tasker.errors import Conflict, LogUnavailable, StaleAttempt, TaskerError
from tasker.instrument import logger
from tasker.log.port import Append, Appended, Holding, IdentityTaken
from tasker.runtime.staged import Staged
from tasker.runtime.streams import Known

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tasker.domain.commands import StartStep, TaskCommand
    from tasker.domain.events import ControlEvent, TaskStreamEvent
    from tasker.log.port import AppendResult
    from tasker.runtime.commander import Office
    from tasker.runtime.staged import Lost
    from tasker.runtime.ticket import Ticket

_log = logger("runtime")
CONTROL_HEADER = StreamHeader("$control", "$control", "0.0.0", bytes(32), None, None)
_ENDED = frozenset({TaskStatus.COMPLETE, TaskStatus.ERROR})


class Turn:
    """One batch from the inbox to its durable end. Made and used by the leader alone."""

    def __init__(self, office: Office, batch: list[Ticket]) -> None:
        """Take the batch."""
        self.office = office
        self.batch = batch
        self.now = office.now()
        self.staged: dict[bytes, Staged] = {}
        self.postponed: list[Ticket] = []
        # Other threads read pauses anew at any time: what this turn decides holds for those it began with.
        self._known_control = self._control = office.control
        self._control_events: list[ControlEvent] = []
        self._control_tickets: list[Ticket] = []

    def run(self) -> None:
        """Decide, claim, append, make known."""
        for ticket in self.batch:
            self._decide(ticket)
        for staged in self.staged.values():
            staged.changes = dict(changes(staged.base, staged.task, staged.events))
        if self.office.runs is not None:
            self.office.runs.claim(self)
        writing = {stream_id: staged for stream_id, staged in self.staged.items() if staged.events}
        office = self.office
        guard = (office.control_id, self._known_control.version)
        worker_id = None if office.runs is None else office.runs.worker_id
        if any(staged.holdings for staged in writing.values()):  # what ends makes room for what starts
            writing = dict(sorted(writing.items(), key=lambda one: bool(one[1].holdings)))
        appends = [one.append(stream_id, office.event_id, guard, worker_id) for stream_id, one in writing.items()]
        if self._control_events:
            appends.append(self._control_append())
        try:
            results = self.office.log().append(appends) if appends else []
        except LogUnavailable as error:
            self._unavailable(error)
            return
        self._settle(dict(zip(writing, results, strict=False)), results)

    def broken(self, error: Exception) -> None:
        """Tell all who wait that this turn met a fault of the program; nothing of it was appended or all of it."""
        for ticket in self.batch:
            if not ticket.settled:
                ticket.refuse(error)
        for stream_id in self.staged:
            self.office.streams.forget(stream_id)

    def stage(self, stream_id: bytes) -> Staged:
        """Give what is decided for a task so far, beginning with its known state.

        Raises:
            UnknownTask: There is no such stream.
            UnsupportedEvent: A newer release wrote an event of it.
        """
        staged = self.staged.get(stream_id)
        if staged is None:
            known = self.office.streams.known(stream_id)
            staged = self.staged[stream_id] = Staged(known, None, fresh=False)
        return staged

    def start(self, staged: Staged, command: StartStep, limits: Sequence[tuple[str, int]]) -> None:
        """Decide a claim.

        Args:
            staged: What is decided for the task so far.
            command: The claim.
            limits: The limited scopes it counts in, and how many attempts may run in each.

        Raises:
            NotAllowed: The step may not start as things stand.
        """
        events, task = react(staged.task, command)
        staged.take(events, task)
        number = task.number(command.step)
        staged.claimed.append(number)
        attempt = task.steps[number].attempt
        staged.holdings.extend(Holding(scope, most, number, attempt) for scope, most in limits)

    def _decide(self, ticket: Ticket) -> None:
        if isinstance(ticket.command, (PauseScope, ResumeScope)):
            self._decide_control(ticket, ticket.command)
            return
        if ticket.worker_id is not None and self.office.runs and ticket.worker_id != self.office.runs.worker_id:
            self._refuse_fenced(ticket)
            return
        try:
            staged = self._stage_for(ticket)
            events, task = self._react(ticket, staged, ticket.command)
        except LogUnavailable as error:
            self._unreadable(ticket, error)
            return
        except TaskerError as error:
            self._refuse(ticket, error)
            return
        if ticket.hooked and self.office.runs and task.status in _ENDED and staged.task.status not in _ENDED:
            self.postponed.append(ticket)
            self.office.runs.run_hook(ticket, staged, task, events)
            return
        staged.take(events, task)
        staged.tickets.append(ticket)

    def _refuse_fenced(self, ticket: Ticket) -> None:
        """Refuse the report of an attempt whose worker was declared dead: others run the step again."""
        _log.info("a report came after worker %s, which had started the attempt, was declared dead", ticket.worker_id)
        ticket.refuse(StaleAttempt(f"expected the report of a living worker, found one of {ticket.worker_id}"))

    def _refuse(self, ticket: Ticket, error: TaskerError) -> None:
        """Refuse a command; one decided behind others of this turn, on a state that may be stale, is decided again."""
        staged = self.staged.get(ticket.stream_id)
        if staged is not None and staged.events and not staged.fresh:
            self.office.inbox.give_back([ticket])
            return
        if ticket.report:
            _log.info("a report or timer was refused: %s", error)
        ticket.refuse(error)

    def _unreadable(self, ticket: Ticket, error: LogUnavailable) -> None:
        """Keep a report whose task cannot be read now; tell all others."""
        if ticket.report:
            self.office.inbox.give_back([ticket])
            self.office.stalled(error)
        else:
            ticket.refuse(error)

    def _stage_for(self, ticket: Ticket) -> Staged:
        if ticket.created is None or ticket.stream_id in self.staged:
            return self.stage(ticket.stream_id)
        plan, header = ticket.created
        task_id = self.office.text_id(ticket.stream_id)
        return Staged(Known(blank(task_id, plan.definition), 0), (plan, header), fresh=True)

    def _react(self, ticket: Ticket, staged: Staged, command: TaskCommand) -> tuple[tuple[TaskStreamEvent, ...], Task]:
        """Decide; before a refusal or a silent repeat is believed, the state is brought up to date with the log."""
        try:
            events, task = _decided(ticket, staged.task, command)
        except TaskerError:
            if not self._refreshed(ticket, staged):
                raise
            return _decided(ticket, staged.task, command)
        if not events and self._refreshed(ticket, staged):
            events, task = _decided(ticket, staged.task, command)
        if isinstance(command, CreateTask):
            self.staged[ticket.stream_id] = staged
        return events, task

    def _refreshed(self, ticket: Ticket, staged: Staged) -> bool:
        if staged.fresh or staged.events:
            return False
        staged.fresh = True
        known = self.office.streams.current(ticket.stream_id)
        if known.task.version == staged.base.version:
            return False
        staged.known = known
        staged.base = staged.task = known.task
        return True

    def _decide_control(self, ticket: Ticket, command: PauseScope | ResumeScope) -> None:
        try:
            events = decide_control(self._control, command)
        except TaskerError as error:
            ticket.refuse(error)
            return
        for event in events:
            self._control = evolve_control(self._control, event)
        self._control_events.extend(events)
        self._control_tickets.append(ticket)

    def _control_append(self) -> Append:
        rows = [
            encode(event, event_id=self.office.event_id(), number=None, status=TaskStatus.PENDING)
            for event in self._control_events
        ]
        version = self._known_control.version
        return Append(self.office.control_id, version, rows, None if version else CONTROL_HEADER)

    def _settle(self, by_stream: dict[bytes, AppendResult], results: list[AppendResult]) -> None:
        """Make known what won, and only then hand back what lost, for another decision on a newer state."""
        won: dict[bytes, Staged] = {}
        lost: dict[bytes, Lost] = {}
        for stream_id, result in by_stream.items():
            if isinstance(result, Appended):
                staged = won[stream_id] = self.staged[stream_id]
                staged.known = Known(staged.task, result.last)
            else:
                lost[stream_id] = result
        self._make_known(won, results)
        for stream_id, staged in self.staged.items():
            if stream_id in won or not staged.events:
                staged.settle()
        for stream_id, reason in lost.items():
            self._lost(stream_id, self.staged[stream_id], reason)

    def _make_known(self, won: dict[bytes, Staged], results: list[AppendResult]) -> None:
        office = self.office
        control = self._control_events if results and isinstance(results[-1], Appended) else ()
        if office.telemetry.enabled and (won or control):
            office.telemetry.committed([staged.change(stream_id) for stream_id, staged in won.items()], control)
        office.streams.put_all([(stream_id, staged.known) for stream_id, staged in won.items()])
        if self._control_tickets:
            self._settle_control(results)
        ranges = [result for result in results if isinstance(result, Appended)]
        if ranges:
            office.on_commit(ranges[0].first, ranges[-1].last, self._types)
        if office.runs is not None:
            office.runs.committed(self, won, ranges[-1].last - ranges[0].first + 1 if ranges else 0)

    def _types(self) -> set[str]:
        """Name the types of everything decided in this turn."""
        decided: list[TaskStreamEvent | ControlEvent] = [*self._control_events]
        for staged in self.staged.values():
            decided.extend(staged.events)
        return {event.name if isinstance(event, CustomEvent) else event.type for event in decided}

    def _lost(self, stream_id: bytes, staged: Staged, result: Lost) -> None:
        office = self.office
        if isinstance(result, IdentityTaken):
            for ticket in staged.tickets:
                ticket.taken_by = result.stream_id
                ticket.settle()
            return
        task = None
        try:
            if not staged.created:
                office.streams.doubt(stream_id)
                task = office.streams.known(stream_id).task
            if staged.claimed:
                office.refresh_control()
        except LogUnavailable as error:
            office.stalled(error)
        except TaskerError as error:  # deciding again meets it again, and says so to whoever asked
            _log.debug("a task cannot be read: %s", error)
        office.inbox.give_back(staged.tickets)
        if office.runs is not None:
            office.runs.lost(stream_id, task, result)

    def _settle_control(self, results: list[AppendResult]) -> None:
        office = self.office
        if not self._control_events or isinstance(results[-1], Appended):
            if self._control.version > office.control.version:
                office.control = self._control
            if office.runs is not None:
                office.runs.control_changed()
            last = results[-1].last if self._control_events and isinstance(results[-1], Appended) else 0
            for ticket in self._control_tickets:
                ticket.position = last
                ticket.settle()
            return
        try:
            office.refresh_control()
        except LogUnavailable as error:
            office.stalled(error)
        office.inbox.give_back(self._control_tickets)

    def _unavailable(self, error: LogUnavailable) -> None:
        """Keep the reports for another try; tell all others. What was claimed goes back."""
        office = self.office
        kept: list[Ticket] = []
        for stream_id, staged in self.staged.items():
            if error.outcome_unknown:
                office.streams.forget(stream_id)
            for ticket in staged.tickets:
                if ticket.report:
                    kept.append(ticket)
                else:
                    ticket.refuse(error)
            if office.runs is not None and (staged.claimed or staged.changes):
                task = None if error.outcome_unknown or not staged.base.version else staged.base
                office.runs.lost(stream_id, task, None)
        for ticket in self._control_tickets:
            ticket.refuse(error)
        office.inbox.give_back(kept)
        office.stalled(error)


def _decided(ticket: Ticket, task: Task, command: TaskCommand) -> tuple[tuple[TaskStreamEvent, ...], Task]:
    """Decide a command on a task that is at the version which the caller has seen.

    Raises:
        Conflict: The task has moved on.
    """
    if ticket.expected is not None and task.version != ticket.expected:
        message = (
            f"expected task {task.id} at version {ticket.expected}, found it at {task.version}; "
            "read it again and decide anew"
        )
        raise Conflict(message, field="expected_version")
    return react(task, command)
