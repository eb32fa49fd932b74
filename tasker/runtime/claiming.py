"""What a runner may start: ready steps, best first, within slots, limits and pauses. It belongs to the leader alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasker.domain.commands import EndAttempt, StartStep
from tasker.domain.control import pause_over
from tasker.domain.work import WorkKind, item_of, next_in_line, task_item, work
from tasker.errors import LogUnavailable, NotAllowed, TaskerError
from tasker.instrument import logger
from tasker.runtime.agenda import Agenda, Entry
from tasker.runtime.slots import Running
from tasker.runtime.ticket import Ticket

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tasker.domain.commands import TaskCommand
    from tasker.domain.task import Task
    from tasker.domain.work import WorkItem
    from tasker.runtime.commander import Office
    from tasker.runtime.execution import Execution
    from tasker.runtime.slots import Scopes, Slots
    from tasker.runtime.staged import Staged
    from tasker.runtime.turn import Turn

_log = logger("runner")
UNREADABLE = "log"
"""Holds steps whose task could not be read; lifted by the next turn."""


class Claiming:
    """The agenda of one runner, and the claims of the present turn."""

    def __init__(self, office: Office, execution: Execution, slots: Slots, worker_id: str) -> None:
        """Start with nothing to do and switched off."""
        self.agenda = Agenda()
        self.on = False
        self._office = office
        self._execution = execution
        self._slots = slots
        self._worker_id = worker_id
        self._claims: list[tuple[bytes, int, Scopes]] = []

    def claim(self, turn: Turn) -> None:
        """Start as many ready steps as there are free slots, best first, in the append of this turn."""
        agenda, now = self.agenda, turn.now
        for stream_id, staged in turn.staged.items():
            self._note(stream_id, staged, now)
        self._claims = []
        if not self.on or self._office.is_stalled:
            return
        agenda.lift(UNREADABLE)
        for entry in agenda.pop_due(now):
            self._expire(entry, now)
        free = self._slots.free
        while free > 0 and (ready := self._next_ready()) is not None:
            free -= self._try(turn, ready)

    def _next_ready(self) -> Entry | None:
        """Take the ready step that comes first; what a limit held competes again as soon as the limit has room."""
        for scope in self._slots.limits:
            if not self._slots.full((scope,)):
                self.agenda.lift_first(f"limit:{scope}")
        return self.agenda.pop_ready()

    @property
    def is_behind(self) -> bool:
        """Say whether something could start that a turn has not looked at since the log failed."""
        return self.on and ((self.agenda.has_ready and self._slots.free > 0) or UNREADABLE in self.agenda.reasons)

    def started(self, won: dict[bytes, Staged]) -> list[Running]:
        """Give the attempts of this turn that became durable; the slots of the others come back."""
        running: list[Running] = []
        for stream_id, number, scopes in self._claims:
            staged = won.get(stream_id)
            if staged is None:
                self._slots.release(scopes)
            else:
                running.append(Running(stream_id, staged.task, number, scopes))
                if staged.task.timeout_at != staged.base.timeout_at:
                    self._note_timeout(stream_id, staged.task)
        self._claims = []
        return running

    def unclaim(self, stream_id: bytes) -> None:
        """Give back the slots that this turn took for a task whose decisions were thrown away."""
        for claimed, _, scopes in self._claims:
            if claimed == stream_id:
                self._slots.release(scopes)
        self._claims = [claim for claim in self._claims if claim[0] != stream_id]

    def note_all(self, stream_id: bytes, task: Task) -> Iterable[WorkItem]:
        """Note everything that waits in a task; gives what runs in it."""
        now = self._office.now()
        running: list[WorkItem] = []
        for item in work(task).values():
            if item.kind is WorkKind.RUNNING:
                running.append(item)
            else:
                self.agenda.add(stream_id, item, now)
        return running

    def note_next(self, stream_id: bytes, task: Task, now: int) -> None:
        """Note the step that a task which is not concurrent may start next."""
        number = next_in_line(task, now)
        item = None if number is None else item_of(task, number)
        if item is not None:
            self.agenda.add(stream_id, item, now)

    def give_back(self, running: Running) -> None:
        """Take back a slot."""
        self._slots.release(running.scopes)

    def later(self, stream_id: bytes, make: Callable[[], TaskCommand], *, hooked: bool = True) -> None:
        """Put a command of the engine's own into the inbox; a task that cannot be read here is left to others.

        Args:
            stream_id: The task.
            make: Makes the command.
            hooked: False if the task's hook shall not run, even if the command ends the task.
        """
        try:
            ticket = Ticket(stream_id, make())
            task = self._office.streams.known(stream_id).task
            ticket.hooked = hooked and isinstance(ticket.command, EndAttempt) and self._execution.has_hook(task)
        except TaskerError as error:
            _log.warning("a task is left to others: %s", error)
            return
        ticket.report = True
        self._office.inbox.put(ticket)

    def _note(self, stream_id: bytes, staged: Staged, now: int) -> None:
        """Put what changed for a task on the agenda; of one that is not concurrent only the next in line."""
        concurrent = staged.task.definition.concurrent
        for item in staged.changes.values():
            if item is None or item.kind is WorkKind.RUNNING:
                continue
            if concurrent or item.kind is not WorkKind.READY or (item.due or 0) > now:
                self.agenda.add(stream_id, item, now)
        if not concurrent and staged.events:
            self.note_next(stream_id, staged.task, now)

    def _note_timeout(self, stream_id: bytes, task: Task) -> None:
        """Note the timeout of a task whose time began with a claim: what `_note` saw was the state before it."""
        item = task_item(task)
        if item is not None:
            self.agenda.add(stream_id, item, self._office.now())

    def _expire(self, entry: Entry, now: int) -> None:
        try:
            command = self._execution.expiry(entry.stream_id, entry.item)
        except LogUnavailable as error:
            self.agenda.add(entry.stream_id, entry.item, now)
            self._office.stalled(error)
            return
        self.later(entry.stream_id, lambda: command)

    def _try(self, turn: Turn, entry: Entry) -> bool:
        """Claim one ready step if nothing keeps it; True if it was claimed."""
        staged = self._staged(turn, entry)
        if staged is None:
            return False
        task, number = staged.task, entry.item.step
        if task.steps[number].attempt != entry.item.attempt:
            return False
        scopes = self._slots.scopes(task.definition, number)
        reason = self._reason(task, number, scopes)
        if reason is not None:
            self.agenda.hold(reason, entry)
            return False
        start = StartStep(now=turn.now, step=task.definition.graph.names[number], worker_id=self._worker_id)
        try:
            turn.start(staged, start)
        except NotAllowed:  # the entry is stale; what keeps the step from starting has noted, or will note, another
            return False
        self._slots.take(scopes)
        self._claims.append((entry.stream_id, number, scopes))
        return True

    def _staged(self, turn: Turn, entry: Entry) -> Staged | None:
        try:
            return turn.stage(entry.stream_id)
        except LogUnavailable as error:
            self.agenda.hold(UNREADABLE, entry)
            self._office.stalled(error)
        except TaskerError as error:
            _log.warning("a step is left to others: %s", error)
        return None

    def _reason(self, task: Task, number: int, scopes: Scopes) -> str | None:
        """Say what holds a ready step back here, or None."""
        pause = pause_over(self._office.control, task.definition, number)
        if pause is not None:
            return f"pause:{pause[0]}"
        full = self._slots.full(scopes)
        if full is not None:
            return f"limit:{full}"
        return self._execution.lacking(task, number)
