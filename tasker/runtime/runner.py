"""The runner: finds ready steps, starts them within slots and limits, runs their handlers and reports.

It works between `open` and `close`, under the one runner's lock of its log. What it may touch is said at each method: what
the leader calls runs under the leader's lock; everything else may be called from any thread.
"""

from __future__ import annotations

import os
import secrets
import socket
from functools import partial
from typing import TYPE_CHECKING

from tasker.domain import commands as cmd
from tasker.domain.control import pause_over
from tasker.domain.events import WORKER_LOST, WORKER_STOPPED
from tasker.domain.status import LIVE, StepStatus
from tasker.domain.work import WorkItem, WorkKind, item_of, next_in_line, obstacle, work
from tasker.errors import LogUnavailable, TaskerError
from tasker.instrument import logger
from tasker.runtime.agenda import Agenda, Entry
from tasker.runtime.crew import Crew
from tasker.runtime.slots import Running, Slots
from tasker.runtime.ticket import Ticket
from tasker.runtime.watch import Watch

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tasker.domain.events import TaskStreamEvent
    from tasker.domain.task import Task
    from tasker.log.port import LiveWork
    from tasker.runtime.commander import Commander, Office
    from tasker.runtime.execution import Execution
    from tasker.runtime.threads import Threads
    from tasker.runtime.turn import Staged, Turn

_log = logger("runner")
_LAST_TURN_SECONDS = 5.0
_PAGE = 1000
UNREADABLE = "log"


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
        self._running: dict[bytes, dict[int, Running]] = {}
        self._book = threads.lock()
        self._office = office
        self._commander = commander
        self._execution = execution
        self._threads = threads
        self._agenda = Agenda()
        self._claims: list[tuple[bytes, int, tuple[str, ...]]] = []
        self._claiming = False
        self._seen = 0
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
                lost = partial(self._execution.abandonment, stream_id, item.step, item.attempt, WORKER_LOST)
                self._post_later(stream_id, lost)
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
        self._claiming = False
        clean = self.crew.wait(lambda: not self.slots.busy and self.crew.at_rest, seconds)
        left = self.attempts()
        for running in left:
            running.cancel()
            self._post_later(
                running.stream_id,
                partial(self._execution.abandonment, running.stream_id, running.number, running.attempt, WORKER_STOPPED),
            )
        self._commander.nudge()
        self.crew.wait(lambda: self._commander.at_rest, _LAST_TURN_SECONDS)
        self._watch.stop()
        self._office.runs = None
        self._execution.close()
        self.crew.close(0.2 if left else 2.0)
        return clean

    def work(self, *, on: bool) -> None:
        """Begin to start steps and fire timers, or stop doing so; what runs goes on."""
        self._claiming = on
        if on:
            self.lift()

    # --- called by the leader ---

    def claim(self, turn: Turn) -> None:
        """Start as many ready steps as there are free slots, best first, in the append of this turn."""
        agenda, now = self._agenda, turn.now
        for ticket in turn.batch:
            if ticket.returns is not None and ticket not in turn.postponed:
                self._give_back(ticket.returns)
                ticket.returns = None
        for stream_id, staged in turn.staged.items():
            self._note(stream_id, staged, now)
        self._claims = []
        if not self._claiming or self._office.is_stalled:
            return
        agenda.lift(UNREADABLE)
        for entry in agenda.pop_due(now):
            self._expire(entry)
        free = self.slots.free
        while free > 0 and (ready := agenda.pop_ready()) is not None:
            free -= self._try(turn, ready)

    def committed(self, turn: Turn, won: dict[bytes, Staged]) -> None:
        """Hand durable attempts to the crew, fence what no longer counts."""
        jobs: list[Callable[[], None]] = []
        for stream_id, number, scopes in self._claims:
            staged = won.get(stream_id)
            if staged is None:
                self.slots.release(scopes)
                continue
            running = Running(stream_id, staged.task, number, scopes)
            with self._book:
                self._running.setdefault(stream_id, {})[number] = running
            jobs.append(partial(self._execution.run, self, running))
        self._claims = []
        ended = False
        for stream_id, staged in won.items():
            self._cancel_fenced(stream_id, staged.task)
            ended = ended or staged.task.status not in LIVE
            if not staged.task.definition.concurrent:
                self._note_next(stream_id, staged.task, turn.now)
        if jobs:
            self.crew.give(jobs)
        if ended:
            self.crew.stir()
        if self._agenda.next_due is not None:
            self._watch.expect(self._agenda.next_due)

    def lost(self, stream_id: bytes, task: Task | None) -> None:
        """Note anew what waits in a task whose decisions were thrown away."""
        for claimed, _, scopes in self._claims:
            if claimed == stream_id:
                self.slots.release(scopes)
        self._claims = [claim for claim in self._claims if claim[0] != stream_id]
        if task is not None:
            now = self._office.now()
            for item in work(task).values():
                if item.kind is not WorkKind.RUNNING:
                    self._agenda.add(stream_id, item, now)

    def appended(self, first: int, last: int) -> None:
        """Take note of the positions that this process appended; what lies between them is others'."""
        if first == self._seen + 1:
            self._seen = last

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

    def report(self, running: Running, command: cmd.Report, *, size: int, hooked: bool) -> None:
        """Bring the outcome of an attempt whose handler has returned; its slot comes back with it."""
        self._forget(running)
        self.slots.unstick(running)
        ticket = Ticket(running.stream_id, command, size=size)
        ticket.returns = running
        ticket.hooked = hooked
        self._commander.leave(ticket)
        if not self.crew.after_jobs(self._commander.lead):
            self._commander.lead()

    def timed_out(self, running: Running, command: cmd.Report) -> None:
        """Report a timeout for a handler that has not returned; its thread keeps the slot until it does."""
        if not self.slots.stick(running):
            return
        running.cancel()
        ticket = Ticket(running.stream_id, command)
        ticket.hooked = self._execution.has_hook(running.task)
        self._commander.post(ticket)

    def again(self, ticket: Ticket) -> None:
        """Hand in a report whose hook has run."""
        self._commander.post(ticket)

    def returned(self, running: Running) -> None:
        """Take back the slot of an attempt that has nothing to report."""
        self._forget(running)
        self.slots.unstick(running)
        self._commander.call(partial(self._give_back, running))
        self._commander.nudge()

    def lift(self) -> None:
        """Look again at held steps, for instance because a handler was registered."""
        self._commander.call(self._agenda.lift_all)
        self._commander.nudge()

    def attempts(self) -> list[Running]:
        """Give the attempts that hold a slot and have not reported."""
        return [running for of_task in tuple(self._running.values()) for running in tuple(of_task.values())]

    def limits_held(self) -> dict[str, tuple[int, tuple[str, ...]]]:
        """Give each limited scope with its limit and the tasks whose attempts hold it."""
        holders: dict[str, list[str]] = {scope: [] for scope in self.slots.limits}
        for running in self.attempts():
            for scope in running.scopes:
                holders[scope].append(running.task.id)
        return {scope: (most, tuple(holders[scope])) for scope, most in self.slots.limits.items()}

    @property
    def idle(self) -> bool:
        """Say whether nothing can run at the clock's present time."""
        due = self._agenda.next_due
        return (
            self._commander.at_rest
            and self.slots.busy == self.slots.stuck
            and self.crew.at_rest
            and not (self._agenda.has_ready and self._claiming and not self.slots.unhealthy)
            and (due is None or due > self._office.now())
        )

    @property
    def next_due(self) -> int | None:
        """Give the earliest due time of a timer that this runner would fire, or None."""
        return self._agenda.next_due if self._claiming else None

    def tick(self) -> None:
        """Do what time asks for: timers that fell due, appends of other processes, a log that was unavailable."""
        office = self._office
        due = self._agenda.next_due if self._claiming else None
        if any(map(self._execution.found, self._agenda.reasons)):
            self.lift()
        if (due is not None and due <= office.now()) or (office.inbox.waiting and not office.is_stalled):
            self._commander.nudge()
        if not office.is_stalled:
            self._follow()

    def now(self) -> int:
        """Give the present time of the given clock, in microseconds."""
        return self._office.now()

    def expire_attempts(self, monotonic: float) -> None:
        """Report a timeout for every attempt whose deadline or heartbeat has passed."""
        for running in self.attempts():
            why = running.overdue(monotonic)
            if why is not None and not running.timed_out:
                self.timed_out(running, self._execution.timeout(running, why))

    # --- inner workings ---

    def _follow(self) -> None:
        """Take note of what other processes appended since the last look."""
        office = self._office
        log = office.log()
        if log.head() == self._seen:
            return
        foreign: dict[bytes, None] = {}
        while rows := log.tail(self._seen, limit=_PAGE):
            for row in rows:
                known = office.streams.remembered(row.stream_id)
                if row.stream_id == office.control_id:
                    if row.version > office.control.version:
                        self._commander.call(self._refresh_control)
                elif known is None or known.task.version < row.version:
                    foreign[row.stream_id] = None
            self._seen = max(self._seen, rows[-1].position)
        if foreign:
            self._commander.call(partial(self._adopt, list(foreign)))

    def _refresh_control(self) -> None:
        self._office.refresh_control()
        self.control_changed()

    def _adopt(self, streams: list[bytes]) -> None:
        now = self._office.now()
        for stream_id in streams:
            try:
                known = self._office.streams.current(stream_id)
            except TaskerError as error:
                _log.warning("a task is left to others: %s", error)
                continue
            self._cancel_fenced(stream_id, known.task)
            for item in work(known.task).values():
                if item.kind is not WorkKind.RUNNING:
                    self._agenda.add(stream_id, item, now)
                elif item.worker_id == self.worker_id and item.step not in self._running.get(stream_id, {}):
                    self._disown(stream_id, item)

    def _disown(self, stream_id: bytes, item: WorkItem) -> None:
        """Give back an attempt whose start turned out durable although its append had failed: no handler runs it."""
        started = partial(self._execution.abandonment, stream_id, item.step, item.attempt, WORKER_STOPPED)
        self._post_later(stream_id, started)

    def _post_later(self, stream_id: bytes, make: Callable[[], cmd.TaskCommand]) -> None:
        """Put a command of the engine's own into the inbox; a task that cannot be read here is left to others."""
        try:
            ticket = Ticket(stream_id, make())
        except TaskerError as error:
            _log.warning("a task is left to others: %s", error)
            return
        ticket.report = True
        self._office.inbox.put(ticket)

    def _forget(self, running: Running) -> None:
        with self._book:
            of_task = self._running.get(running.stream_id, {})
            if of_task.get(running.number) is running:
                del of_task[running.number]
                if not of_task:
                    self._running.pop(running.stream_id, None)

    def _give_back(self, running: Running) -> None:
        self.slots.release(running.scopes)
        for scope in running.scopes:
            self._agenda.lift(f"limit:{scope}")

    def _note(self, stream_id: bytes, staged: Staged, now: int) -> None:
        """Put what changed for a task on the agenda; of one that is not concurrent only the next in line."""
        concurrent = staged.task.definition.concurrent
        for item in staged.changes.values():
            if item is not None and item.kind is not WorkKind.RUNNING:
                if concurrent or item.kind is not WorkKind.READY or (item.due or 0) > now:
                    self._agenda.add(stream_id, item, now)
        if not concurrent and staged.events:
            self._note_next(stream_id, staged.task, now)

    def _note_next(self, stream_id: bytes, task: Task, now: int) -> None:
        number = next_in_line(task, now)
        item = None if number is None else item_of(task, number)
        if item is not None:
            self._agenda.add(stream_id, item, now)

    def _expire(self, entry: Entry) -> None:
        self._post_later(entry.stream_id, partial(self._execution.expiry, entry.stream_id, entry.item))

    def _try(self, turn: Turn, entry: Entry) -> bool:
        """Claim one ready step if nothing keeps it; True if it was claimed."""
        try:
            staged = turn.stage(entry.stream_id)
        except LogUnavailable as error:
            self._agenda.hold(UNREADABLE, entry)
            self._office.stalled(error)
            return False
        except TaskerError as error:
            _log.warning("a step is left to others: %s", error)
            return False
        task, number = staged.task, entry.item.step
        if task.steps[number].attempt != entry.item.attempt or obstacle(task, number, turn.now) is not None:
            return False
        pause = pause_over(self._office.control, task.definition, number)
        scopes = self.slots.scopes(task.definition, number)
        full = self.slots.full(scopes)
        reason = f"pause:{pause[0]}" if pause else f"limit:{full}" if full else self._execution.lacking(task, number)
        if reason is not None:
            self._agenda.hold(reason, entry)
            return False
        turn.start(staged, cmd.StartStep(now=turn.now, step=task.definition.graph.names[number], worker_id=self.worker_id))
        self.slots.take(scopes)
        self._claims.append((entry.stream_id, number, scopes))
        return True

    def _cancel_fenced(self, stream_id: bytes, task: Task) -> None:
        """Ask the handlers of attempts that no longer count to stop."""
        for running in tuple(self._running.get(stream_id, {}).values()):
            state = task.steps[running.number]
            if state.status is not StepStatus.IN_PROGRESS or state.attempt != running.attempt:
                running.cancel()
