"""The runner: finds ready steps, starts them within slots and limits, runs their handlers and reports.

It works between `open` and `close`, under the one runner's lock of its log. What the leader calls runs under the
leader's lock; everything else may be called from any thread.
"""

from __future__ import annotations

import os
import secrets
import socket
from collections import deque
from functools import partial
from typing import TYPE_CHECKING

from tasker.domain.events import WORKER_LOST, WORKER_STOPPED
from tasker.domain.status import LIVE
from tasker.domain.work import WorkKind
from tasker.errors import LogUnavailable, TaskerError
from tasker.instrument import logger
from tasker.runtime.claiming import Claiming
from tasker.runtime.crew import Crew
from tasker.runtime.roster import Roster
from tasker.runtime.slots import Running, Slots
from tasker.runtime.ticket import Ticket
from tasker.runtime.watch import Watch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tasker.domain.commands import Report
    from tasker.domain.events import TaskStreamEvent
    from tasker.domain.task import Task
    from tasker.domain.work import WorkItem
    from tasker.log.port import EventLog, LiveWork
    from tasker.runtime.commander import Commander, Office
    from tasker.runtime.execution import Execution
    from tasker.runtime.staged import Staged
    from tasker.runtime.threads import Threads
    from tasker.runtime.turn import Turn

_log = logger("runner")
_LAST_TURN_SECONDS = 5.0
_PAGE = 1000


def new_worker_id() -> str:
    """Name a runner: host, process and a random part, new for each start."""
    return f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"


class Runner:
    """One start of a runner; `Runs` for the leader."""

    def __init__(
        self,
        office: Office,
        commander: Commander,
        execution: Execution,
        *,
        capacity: int,
        limits: Mapping[str, int],
        threads: Threads,
    ) -> None:
        """Make it; nothing runs before `open`."""
        self.worker_id = new_worker_id()
        self.slots = Slots(capacity, limits, threads)
        self.crew = Crew(capacity, threads)
        self._claiming = Claiming(office, execution, self.slots, self.worker_id)
        self._agenda = self._claiming.agenda
        self._roster = Roster(threads)
        self._office = office
        self._commander = commander
        self._execution = execution
        self._closed = False
        self._seen = 0
        self._own: deque[tuple[int, int]] = deque()
        self._looking = threads.lock()
        self._watch = Watch(self, threads)

    # --- life ---

    def open(self, live: LiveWork) -> None:
        """Take over: abandon what earlier runners left, note what waits, and begin."""
        office = self._office
        office.refresh_control()
        self._seen = office.log().head()
        now = office.now()
        for stream_id, item in live.all():
            if item.kind is WorkKind.RUNNING:
                self._abandon_later(stream_id, item.step, item.attempt, WORKER_LOST)
            else:
                self._agenda.add(stream_id, item, now)
        office.runs = self
        self._watch.start()
        self._commander.nudge()

    def close(self, seconds: float) -> bool:
        """Claim nothing more, wait for what runs, then stop it and record that this worker stopped.

        Args:
            seconds: How long to wait for running handlers.

        Returns:
            True if every handler returned in time.
        """
        self._claiming.on = False
        clean = self.crew.wait(lambda: not self.slots.busy and self.crew.at_rest, seconds)
        left = self._roster.all()
        for running in left:
            running.cancel()
            self._abandon_later(running.stream_id, running.number, running.attempt, WORKER_STOPPED)
        self._commander.nudge()
        self.crew.wait(lambda: self._commander.at_rest, _LAST_TURN_SECONDS)
        self._watch.stop()
        self._office.runs = None
        self._closed = True
        self._execution.close()
        self.crew.close(0.2 if left else 2.0)
        return clean

    def work(self, *, on: bool) -> None:
        """Begin to start steps and fire timers, or stop doing so; what runs goes on."""
        self._claiming.on = on
        if on:
            self.lift()

    # --- called by the leader ---

    def claim(self, turn: Turn) -> None:
        """Start what may start, in the append of this turn."""
        for ticket in turn.batch:
            if ticket.returns is not None and ticket not in turn.postponed:
                self._give_back(ticket.returns)
                ticket.returns = None
        self._claiming.claim(turn)

    def committed(self, turn: Turn, won: dict[bytes, Staged]) -> None:
        """Hand durable attempts to the crew, fence what no longer counts."""
        ended = False
        for stream_id, staged in won.items():
            self._roster.cancel_fenced(stream_id, staged.task)
            ended = ended or staged.task.status not in LIVE
            if not staged.task.definition.concurrent:
                self._claiming.note_next(stream_id, staged.task, turn.now)
        started = self._claiming.started(won)
        if started:
            self._roster.add(started)
            self.crew.give([partial(self._execution.run, self, running) for running in started])
        if ended:
            self.crew.stir()
        if self._agenda.next_due is not None:
            self._watch.expect(self._agenda.next_due)

    def lost(self, stream_id: bytes, task: Task | None) -> None:
        """Note anew what waits in a task whose decisions were thrown away."""
        self._claiming.unclaim(stream_id)
        if task is not None:
            self._claiming.note_all(stream_id, task)
        self._office.inbox.nudge()

    def appended(self, first: int, last: int) -> None:
        """Take note of the positions that this process appended; what lies between them is others'."""
        self._own.append((first, last))

    def control_changed(self) -> None:
        """Look again at everything that was held."""
        self._agenda.lift_all()
        self._office.inbox.nudge()

    def run_hook(self, ticket: Ticket, staged: Staged, task: Task, events: tuple[TaskStreamEvent, ...]) -> None:
        """Have the crew run the task's hook, then hand the report in again."""
        drafted = [*staged.events, *events]
        self.crew.give([partial(self._execution.run_hook, self, ticket, staged.base, task, drafted)])

    def wake(self) -> bool:
        """Have the crew lead."""
        self.crew.give([self._commander.nudge])
        return True

    # --- called from anywhere ---

    def report(self, running: Running, command: Report, *, size: int, hooked: bool) -> None:
        """Bring the outcome of an attempt whose handler has returned; its slot comes back with it."""
        if self._closed:
            _log.info("a handler returned after its worker had stopped, which had given its attempt back")
            return
        self.crew.ending()
        self.slots.unstick(running)
        ticket = Ticket(running.stream_id, command, size=size)
        ticket.returns = running
        ticket.hooked = hooked
        self._commander.leave(ticket)
        if not self.crew.after_jobs(self._commander.lead):
            self._commander.lead()

    def timed_out(self, running: Running, command: Report) -> None:
        """Report a timeout for a handler that has not returned; its thread keeps the slot until it does."""
        if not self.slots.stick(running):
            return
        running.cancel()
        ticket = Ticket(running.stream_id, command)
        ticket.hooked = self._execution.has_hook(running.task)
        self._commander.post(ticket)

    def again(self, ticket: Ticket) -> None:
        """Hand in a report whose hook has run."""
        self.crew.ending()
        self._commander.post(ticket)

    def returned(self, running: Running) -> None:
        """Take back the slot of an attempt that has nothing to report."""
        self.crew.ending()
        self.slots.unstick(running)
        self._commander.call(partial(self._give_back, running))

    def lift(self) -> None:
        """Look again at held steps, for instance because a handler was registered; the errand's turn claims."""
        self._commander.call(self._agenda.lift_all)

    def limits_held(self) -> dict[str, tuple[int, tuple[str, ...]]]:
        """Give each limited scope with its limit and the tasks whose attempts hold it."""
        holders: dict[str, list[str]] = {scope: [] for scope in self.slots.limits}
        for running in self._roster.all():
            for scope in running.scopes:
                holders[scope].append(running.task.id)
        return {scope: (most, tuple(holders[scope])) for scope, most in self.slots.limits.items()}

    @property
    def idle(self) -> bool:
        """Say whether nothing can run at the clock's present time."""
        due = self._agenda.next_due
        startable = self._agenda.has_ready and self._claiming.on and not self.slots.unhealthy
        return (
            self._commander.at_rest
            and self.slots.busy == self.slots.stuck
            and self.crew.at_rest
            and not startable
            and (due is None or due > self._office.now())
        )

    @property
    def next_due(self) -> int | None:
        """Give the earliest due time of a timer that this runner would fire, or None."""
        return self._agenda.next_due if self._claiming.on else None

    def now(self) -> int:
        """Give the present time of the given clock, in microseconds."""
        return self._office.now()

    def _give_back(self, running: Running) -> None:
        self._roster.drop(running)
        self._claiming.give_back(running)

    # --- called by the watch ---

    def tick(self) -> None:
        """Do what time asks for: timers that fell due, appends of other processes, a log that was unavailable."""
        office, due = self._office, self.next_due
        if office.is_stalled:
            return
        if any(map(self._execution.found, self._agenda.reasons)):
            self.lift()
        if (due is not None and due <= office.now()) or office.inbox.waiting or self._claiming.is_behind:
            self.wake()  # never here: a watch that leads runs beside the handlers' thread, and each waits for the other
        self._follow()

    def expire_attempts(self, monotonic: float) -> None:
        """Report a timeout for every attempt whose deadline or heartbeat has passed."""
        for running in self._roster.all():
            why = running.overdue(monotonic)
            if why is not None and not running.timed_out:
                self.timed_out(running, self._execution.timeout(running, why))

    # --- what other processes append ---

    def _follow(self) -> None:
        """Have the leader look where the log goes beyond what this process is known to have appended.

        Only between two turns is that known for sure: a turn that has committed may not have said so yet.
        """
        if self._goes_on():
            self._office.inbox.errands.append(self._take_in)
            self.wake()

    def _goes_on(self) -> bool:
        with self._looking:
            own = self._own
            while own and own[0][0] <= self._seen + 1:
                self._seen = own.popleft()[1]
            return self._office.log().head() != self._seen

    def _take_in(self) -> None:
        """Take note of what other processes appended since the last look.

        Positions tell, not versions: a reader of this process may have brought a state up to date before the runner
        has heard of it.
        """
        try:
            if self._goes_on():
                with self._looking:
                    self._adopt_tail(self._office.log())
                self._office.inbox.nudge()
        except LogUnavailable as error:  # nothing counts as seen; the watch asks again
            self._office.stalled(error)

    def _adopt_tail(self, log: EventLog) -> None:
        own, seen = self._own, self._seen
        foreign: dict[bytes, None] = {}
        while rows := log.tail(seen, limit=_PAGE):
            for row in rows:
                while own and own[0][1] < row.position:
                    own.popleft()
                if not own or row.position < own[0][0]:
                    foreign[row.stream_id] = None
            seen = rows[-1].position
        self._adopt(list(foreign))
        self._seen = seen

    def _refresh_control(self) -> None:
        self._office.refresh_control()
        self.control_changed()

    def _adopt(self, streams: list[bytes]) -> None:
        for stream_id in streams:
            if stream_id == self._office.control_id:
                self._refresh_control()
                continue
            try:
                known = self._office.streams.current(stream_id)
            except LogUnavailable:
                raise
            except TaskerError as error:
                _log.warning("a task is left to others: %s", error)
                continue
            self._roster.cancel_fenced(stream_id, known.task)
            for item in self._claiming.note_all(stream_id, known.task):
                self._disown(stream_id, item)

    def _disown(self, stream_id: bytes, item: WorkItem) -> None:
        """Give back an attempt whose start turned out durable although its append had failed: no handler runs it."""
        if item.worker_id == self.worker_id and not self._roster.has(stream_id, item.step):
            self._abandon_later(stream_id, item.step, item.attempt, WORKER_STOPPED)

    def _abandon_later(self, stream_id: bytes, number: int, attempt: int, reason: str) -> None:
        make = partial(self._execution.abandonment, stream_id, number, attempt, reason)
        self._claiming.later(stream_id, make, hooked=reason == WORKER_LOST)
