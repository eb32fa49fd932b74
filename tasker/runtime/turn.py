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
from tasker.errors import LogUnavailable, TaskerError
from tasker.instrument import logger
from tasker.log.port import Append, Appended, IdentityTaken
from tasker.runtime.staged import Staged
from tasker.runtime.streams import Known

if TYPE_CHECKING:
    from tasker.domain.commands import StartStep, TaskCommand
    from tasker.domain.control import Control
    from tasker.domain.events import ControlEvent, TaskStreamEvent
    from tasker.log.port import AppendResult, VersionConflict
    from tasker.runtime.commander import Office
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
        self._control: Control = office.control
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
        guard = (office.control_id, office.control.version)
        appends = [staged.append(stream_id, office.event_id, guard) for stream_id, staged in writing.items()]
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

    def start(self, staged: Staged, command: StartStep) -> None:
        """Decide a claim.

        Raises:
            NotAllowed: The step may not start as things stand.
        """
        events, task = react(staged.task, command)
        staged.take(events, task)
        staged.claimed.append(task.number(command.step))

    def _decide(self, ticket: Ticket) -> None:
        if isinstance(ticket.command, (PauseScope, ResumeScope)):
            self._decide_control(ticket, ticket.command)
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
            events, task = react(staged.task, command)
        except TaskerError:
            if not self._refreshed(ticket, staged):
                raise
            return react(staged.task, command)
        if not events and self._refreshed(ticket, staged):
            events, task = react(staged.task, command)
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
        version = self.office.control.version
        return Append(self.office.control_id, version, rows, None if version else CONTROL_HEADER)

    def _settle(self, by_stream: dict[bytes, AppendResult], results: list[AppendResult]) -> None:
        """Make known what won, and hand back what lost for another decision on a newer state."""
        office = self.office
        won: dict[bytes, Staged] = {}
        for stream_id, result in by_stream.items():
            staged = self.staged[stream_id]
            if isinstance(result, Appended):
                staged.known = Known(staged.task, result.last)
                won[stream_id] = staged
            else:
                self._lost(stream_id, staged, result)
        office.streams.put_all([(stream_id, staged.known) for stream_id, staged in won.items()])
        if self._control_tickets:
            self._settle_control(results)
        ranges = [result for result in results if isinstance(result, Appended)]
        if ranges:
            office.committed(ranges[0].first, ranges[-1].last, self._types)
        if office.runs is not None:
            office.runs.committed(self, won)
        for stream_id, staged in self.staged.items():
            if stream_id in won or not staged.events:
                staged.settle()

    def _types(self) -> set[str]:
        """Name the types of everything decided in this turn."""
        decided: list[TaskStreamEvent | ControlEvent] = [*self._control_events]
        for staged in self.staged.values():
            decided.extend(staged.events)
        return {event.name if isinstance(event, CustomEvent) else event.type for event in decided}

    def _lost(self, stream_id: bytes, staged: Staged, result: VersionConflict | IdentityTaken) -> None:
        office = self.office
        if isinstance(result, IdentityTaken):
            for ticket in staged.tickets:
                ticket.taken_by = result.stream_id
                ticket.settle()
            return
        known = office.streams.current(stream_id)
        if staged.claimed:
            office.refresh_control()
        office.inbox.give_back(staged.tickets)
        if office.runs is not None:
            office.runs.lost(stream_id, known.task)

    def _settle_control(self, results: list[AppendResult]) -> None:
        office = self.office
        if not self._control_events or isinstance(results[-1], Appended):
            office.control = self._control
            if office.runs is not None:
                office.runs.control_changed()
            last = results[-1].last if self._control_events and isinstance(results[-1], Appended) else 0
            for ticket in self._control_tickets:
                ticket.position = last
                ticket.settle()
            return
        office.refresh_control()
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
                office.runs.lost(stream_id, None if error.outcome_unknown or not staged.base.version else staged.base)
        for ticket in self._control_tickets:
            ticket.refuse(error)
        office.inbox.give_back(kept)
        office.stalled(error)
