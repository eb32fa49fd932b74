"""What a runner may start: ready steps, best first, within slots, limits and pauses. It belongs to the leader alone."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import TYPE_CHECKING

from tasker.domain.commands import EndAttempt, StartStep
from tasker.domain.control import pause_over
from tasker.domain.events import WORKER_LOST
from tasker.domain.work import WorkKind, item_of, next_in_line, task_item, work
from tasker.errors import LogUnavailable, NotAllowed, TaskerError, UnknownTask
from tasker.instrument import logger
from tasker.runtime.agenda import Agenda, Entry
from tasker.runtime.slots import Running
from tasker.runtime.ticket import Ticket

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tasker.domain.commands import TaskCommand
    from tasker.domain.task import Task
    from tasker.domain.work import WorkItem
    from tasker.log.port import Share
    from tasker.runtime.commander import Office
    from tasker.runtime.execution import Execution
    from tasker.runtime.lease import Lease
    from tasker.runtime.slots import Scopes, Slots
    from tasker.runtime.staged import Staged
    from tasker.runtime.turn import Turn

_log = logger("runner")
UNREADABLE = "log"
"""Holds steps whose task could not be read; lifted by the next turn."""


class Claiming:
    """The agenda of one runner, and the claims of the present turn.

    Attributes:
        agenda: What could be done next.
        on: True while steps are to be started and timers to be fired.
        share: The streams that this worker prefers, where others work beside it; None for all.
        full_elsewhere: Limits that were found reached in the log although this worker has room under them.
        begun: How many attempts were started.
        left_to_others: Tasks that cannot be read here, for instance because a newer release wrote to them.
    """

    def __init__(self, office: Office, execution: Execution, slots: Slots, lease: Lease) -> None:
        """Start with nothing to do and switched off."""
        self.agenda = Agenda()
        self.on = False
        self.share: Share | None = None
        self.full_elsewhere: set[str] = set()
        self.begun = 0
        self.left_to_others: dict[bytes, None] = {}
        self._office = office
        self._execution = execution
        self._slots = slots
        self._lease = lease
        self._claims: list[tuple[bytes, int, Scopes]] = []

    def claim(self, turn: Turn) -> None:
        """Start as many ready steps as there are free slots, best first, in the append of this turn."""
        agenda, now = self.agenda, turn.now
        guests: list[bytes] = []
        for stream_id, staged in turn.staged.items():
            if staged.created and not self._is_mine(stream_id):
                guests.append(stream_id)
            else:
                self._note(stream_id, staged, now)
        self._claims = []
        if not self.on or self._office.is_stalled:
            return
        agenda.lift(UNREADABLE)
        for entry in agenda.pop_due(now):
            self._expire(entry, now)
        if not self._lease.held:
            return
        free = self._start(turn, self._slots.free)
        if guests and free > 0:  # what finds no slot here is left to the worker that prefers its stream
            for stream_id in guests[:free]:
                self._note(stream_id, turn.staged[stream_id], now)
            self._start(turn, free)

    @property
    def worker_id(self) -> str:
        """Give the name under which attempts are started."""
        return self._lease.worker_id

    def _is_mine(self, stream_id: bytes) -> bool:
        return self.share is None or stream_id[-1] % self.share[1] == self.share[0]

    def _start(self, turn: Turn, free: int) -> int:
        """Start ready steps on so many free slots; give how many are left."""
        while free > 0 and (batch := self._next_ready(free)):
            try:
                self._office.streams.load([entry.stream_id for entry in batch if entry.stream_id not in turn.staged])
            except LogUnavailable as error:
                for entry in batch:
                    self.agenda.hold(UNREADABLE, entry)
                self._office.stalled(error)
                return 0
            for entry in batch:
                free -= self._try(turn, entry)
        return free

    def _next_ready(self, most: int) -> list[Entry]:
        """Take the ready steps that come first; what a limit held competes again as soon as the limit has room."""
        batch: list[Entry] = []
        while len(batch) < most:
            for scope in self._slots.limits:
                if self._full((scope,)) is None:
                    self.agenda.lift_first(f"limit:{scope}")
            entry = self.agenda.pop_ready()
            if entry is None:
                break
            batch.append(entry)
        return batch

    def make_room(self, holders: Iterable[tuple[str, bytes, int]]) -> None:
        """Try again under limits that were reached, where the log has room by now.

        Args:
            holders: Who holds places under them, as (scope, stream, step).
        """
        held = Counter(scope for scope, _, _ in holders)
        self.full_elsewhere = {scope for scope in self.full_elsewhere if held[scope] >= self._slots.limits[scope]}
        self._office.inbox.nudge()

    def _full(self, scopes: Scopes) -> str | None:
        """Name the first scope whose limit is reached, here or by the log, or None."""
        elsewhere = next((scope for scope in scopes if scope in self.full_elsewhere), None)
        return elsewhere or self._slots.full(scopes)

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
                running.append(Running(stream_id, staged.task, number, scopes, self.worker_id))
                if staged.task.timeout_at != staged.base.timeout_at:
                    self._note_timeout(stream_id, staged.task)
        self._claims = []
        self.begun += len(running)
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
        """Take back a slot, and with it a place under each of its limits."""
        self._slots.release(running.scopes)
        self.full_elsewhere.difference_update(running.scopes)

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
        except LogUnavailable as error:  # what found it finds it again
            self._office.stalled(error)
            return
        except TaskerError as error:
            self.leave_to_others(stream_id, error)
            return
        ticket.report = True
        self._office.inbox.put(ticket)

    def abandon(self, stream_id: bytes, number: int, attempt: int, reason: str) -> None:
        """Give back an attempt that no handler runs any more, or shall run no longer.

        Args:
            stream_id: The task.
            number: Ordinal of the step.
            attempt: The attempt.
            reason: `worker_lost` or `worker_stopped`.
        """
        make = partial(self._execution.abandonment, stream_id, number, attempt, reason)
        self.later(stream_id, make, hooked=reason == WORKER_LOST)

    def leave_to_others(self, stream_id: bytes, error: TaskerError) -> None:
        """Look no more at a task that cannot be read here; one that does not exist was a request made before."""
        if isinstance(error, UnknownTask):
            return
        if stream_id not in self.left_to_others:
            _log.warning("a task is left to others: %s", error)
            self.left_to_others[stream_id] = None

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
        except TaskerError as error:
            self.leave_to_others(entry.stream_id, error)
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
        start = StartStep(now=turn.now, step=task.definition.graph.names[number], worker_id=self.worker_id)
        try:
            turn.start(staged, start, [(scope, self._slots.limits[scope]) for scope in scopes])
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
            self.leave_to_others(entry.stream_id, error)
        return None

    def _reason(self, task: Task, number: int, scopes: Scopes) -> str | None:
        """Say what holds a ready step back here, or None."""
        pause = pause_over(self._office.control, task.definition, number)
        if pause is not None:
            return f"pause:{pause[0]}"
        full = self._full(scopes)
        if full is not None:
            return f"limit:{full}"
        return self._execution.lacking(task, number)
