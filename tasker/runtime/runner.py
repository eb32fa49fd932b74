"""The runner: finds ready steps, starts them within slots and limits, runs their handlers and reports.

It works between `open` and `close`, as one worker of its log. What the leader calls runs under the leader's lock;
everything else may be called from any thread.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from tasker.domain.events import WORKER_STOPPED
from tasker.domain.status import LIVE
from tasker.instrument import logger
from tasker.log.port import Fenced, LimitReached
from tasker.log.workers import Vitals
from tasker.runtime.claiming import Claiming
from tasker.runtime.crew import Crew
from tasker.runtime.dispatch import Dispatch
from tasker.runtime.execution import MISSING
from tasker.runtime.lease import Lease
from tasker.runtime.lookout import Lookout
from tasker.runtime.roster import Roster
from tasker.runtime.slots import Running, Slots
from tasker.runtime.standing import Standing
from tasker.runtime.ticket import Ticket
from tasker.runtime.watch import Watch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tasker.domain.commands import Report
    from tasker.domain.events import TaskStreamEvent
    from tasker.domain.task import Task
    from tasker.runtime.context import Context
    from tasker.runtime.execution import Execution
    from tasker.runtime.lease import Tempo
    from tasker.runtime.staged import Lost, Staged
    from tasker.runtime.turn import Turn

_log = logger("runner")
_LAST_TURN_SECONDS = 5.0


class Runner:
    """One worker, from its start to its stop; `Runs` for the leader."""

    def __init__(
        self, context: Context, execution: Execution, *, capacity: int, limits: Mapping[str, int], tempo: Tempo
    ) -> None:
        """Make it; nothing runs before `open`."""
        threads, office = context.threads, context.office
        self.slots = Slots(capacity, limits, threads)
        self.crew = Crew(capacity, threads)
        self._roster = Roster(threads)
        self._office = office
        self._commander = context.commander
        self._execution = execution
        self._closed = False
        lease = Lease(lambda: context.store.workers, self._vitals, slots=capacity, seconds=tempo.lease)
        self._claiming = Claiming(office, execution, self.slots, lease)
        self._agenda = self._claiming.agenda
        store = lambda: context.store  # noqa: E731 - it is opened, and in tests replaced, later
        self._lookout = Lookout(store, office, self._claiming, self.slots, self._roster, threads)
        self.dispatch = Dispatch(store, office, self._claiming, self.slots, self._lookout.note_all)
        self._lookout.wake = self.dispatch.wake = self.wake
        self._standing = Standing(store, office, lease, self._claiming, self._lookout, self._roster)
        self._begin = partial(self._standing.start, tempo.heartbeat, threads)
        self._watch = Watch(self, threads)

    @property
    def worker_id(self) -> str:
        """Give the name under which this worker starts and reports attempts."""
        return self._standing.worker_id

    # --- life ---

    def open(self) -> None:
        """Take over: register, abandon what dead workers left, find what waits, and begin.

        Raises:
            LogUnavailable: The store failed; nothing runs.
        """
        office = self._office
        office.refresh_control()
        office.runs = self
        try:
            self._lookout.begin()
            self._begin()
        except BaseException:
            office.runs = None
            self._standing.stop()
            raise
        self._watch.start()
        self._lookout.start()
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
            self._claiming.abandon(running.stream_id, running.number, running.attempt, WORKER_STOPPED)
        self._commander.nudge()
        settled = self.crew.wait(lambda: self._commander.at_rest, _LAST_TURN_SECONDS)
        self._lookout.stop()
        self._watch.stop()
        self._standing.stop()
        self._office.runs = None
        self._closed = True
        if settled:
            self._standing.sign_off()
        self._execution.close()
        self.crew.close(0.2 if left else 2.0)
        return clean

    def work(self, *, on: bool) -> None:
        """Begin to start steps and fire timers, or stop doing so; what runs goes on."""
        self._claiming.on = on and not self._standing.draining
        if on:
            self._lookout.catch_up()
            self.lift()

    @property
    def drained(self) -> bool:
        """Say whether it was asked to drain and nothing runs here any more."""
        return self._standing.draining and not self.slots.busy and self._commander.at_rest

    @property
    def first(self) -> bool:
        """Say whether this is the worker that does what one does for all."""
        return self._standing.first

    def _vitals(self) -> Vitals:
        lacking = sorted(one.removeprefix(MISSING) for one in self._agenda.reasons if one.startswith(MISSING))
        return Vitals(tuple(sorted(self._execution.handlers)), tuple(lacking))

    # --- called by the leader ---

    def claim(self, turn: Turn) -> None:
        """Start what may start, in the append of this turn."""
        for ticket in turn.batch:
            if ticket.returns is not None and ticket not in turn.postponed:
                self._give_back(ticket.returns)
                ticket.returns = None
        self._lookout.more_timers(turn.now)
        self._claiming.claim(turn)
        self._lookout.refill()

    def committed(self, turn: Turn, won: dict[bytes, Staged], appended: int) -> None:
        """Hand durable attempts to the crew, fence what no longer counts."""
        self._lookout.appended(appended)
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
        self.dispatch.offer(won, turn.now)

    def lost(self, stream_id: bytes, task: Task | None, reason: Lost | None) -> None:
        """Note anew what waits in a task whose decisions were thrown away, and act on why they were."""
        self._claiming.unclaim(stream_id)
        if isinstance(reason, Fenced):
            self._standing.fenced(reason.worker_id)
        elif isinstance(reason, LimitReached):
            self._claiming.full_elsewhere.add(reason.scope)
        if task is not None:
            self._claiming.note_all(stream_id, task)
        else:
            self._lookout.doubtful |= reason is None  # a start may have become durable all the same
            self._lookout.look_again()
        self._office.inbox.nudge()

    def control_changed(self) -> None:
        """Have the leader look again at everything that was held."""
        self._office.inbox.errands.append(self._agenda.lift_all)
        self.wake()

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
        if running.worker_id != self.worker_id:
            self.returned(running)
            return
        self.crew.ending()
        self.slots.unstick(running)
        ticket = Ticket(running.stream_id, command, size=size)
        ticket.worker_id = running.worker_id
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
        ticket.worker_id = running.worker_id
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

    @property
    def idle(self) -> bool:
        """Say whether nothing can run at the clock's present time."""
        due = self._agenda.next_due
        waits = self._agenda.has_ready or self._agenda.more
        startable = waits and self._claiming.on and not self.slots.unhealthy
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

    def expire_attempts(self, monotonic: float) -> None:
        """Report a timeout for every attempt whose deadline or heartbeat has passed."""
        for running in self._roster.all():
            why = running.overdue(monotonic)
            if why is not None and not running.timed_out:
                self.timed_out(running, self._execution.timeout(running, why))
