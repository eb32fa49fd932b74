"""Leader and followers: whoever brings a command puts it into the inbox and tries to lead; the leader decides for all.

A leader takes what waits, decides, appends once, makes it known, and repeats until the inbox is empty. The others wait
for their own command or go on with other work. So one commit carries what many threads asked for, no thread is handed a
decision it could make itself, and commands on one task never race within a process.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasker.clock import id_maker, micros_maker
from tasker.codec.decode import decode_control, text_id
from tasker.domain.control import Control, evolve_control
from tasker.errors import Overloaded
from tasker.instrument import logger
from tasker.runtime.identity import CONTROL_ID
from tasker.runtime.inbox import Inbox
from tasker.runtime.turn import Turn

if TYPE_CHECKING:
    from collections.abc import Callable

    from tasker.clock import Clock, IdSource
    from tasker.errors import LogUnavailable
    from tasker.log.port import EventLog
    from tasker.runtime.staged import Runs
    from tasker.runtime.streams import Streams
    from tasker.runtime.threads import Threads
    from tasker.runtime.ticket import Ticket
    from tasker.telemetry.telemetry import Telemetry

_log = logger("runtime")
_RETRY_SECONDS = 0.2


class Office:
    """What a turn works with. `runs` is the runner while there is one; `now` tells the time in microseconds."""

    def __init__(
        self,
        log: Callable[[], EventLog],
        streams: Streams,
        telemetry: Telemetry,
        *,
        clock: Clock,
        ids: IdSource,
        threads: Threads,
    ) -> None:
        """Take the log as a function, for it is opened at first use."""
        self.telemetry = telemetry
        self.log = log
        self.streams = streams
        self.clock = clock
        self.ids = ids
        self.event_id: Callable[[], bytes] = id_maker(ids)
        self.now: Callable[[], int] = micros_maker(clock)
        self.inbox = Inbox(threads)
        self.control_id = CONTROL_ID
        self.control = Control()
        self.runs: Runs | None = None
        self.stalled_until = 0.0
        self.on_commit: Callable[[int, int, Callable[[], set[str]]], None] = lambda _first, _last, _types: None
        self._threads = threads

    def text_id(self, stream_id: bytes) -> str:
        """Write the id of a stream."""
        return text_id(stream_id)

    def stalled(self, error: LogUnavailable) -> None:
        """Note that the log does not answer: reports are tried again after a while, nothing is claimed until then."""
        _log.warning("the log does not answer; nothing starts, and what has to be reported is kept: %s", error)
        self.stalled_until = self._threads.monotonic() + _RETRY_SECONDS

    @property
    def is_stalled(self) -> bool:
        """Say whether the log has failed a moment ago."""
        return self._threads.monotonic() < self.stalled_until

    def refresh_control(self) -> None:
        """Read the pauses of scopes anew; whatever is new, what a pause held is looked at again."""
        control = known = self.control
        for row in self.log().stream(CONTROL_ID, after=known.version):
            control = evolve_control(control, decode_control(row))
        if control.version > known.version:
            self.control = control
            if self.runs is not None:
                self.runs.control_changed()


class Commander:
    """The leader's lock and the ways to bring a command."""

    def __init__(self, office: Office, threads: Threads) -> None:
        """Start with nobody leading."""
        self._office = office
        self._threads = threads
        self._leading = threads.lock()

    @property
    def at_rest(self) -> bool:
        """Say whether nothing waits for a turn and nobody leads."""
        return not self._office.inbox.waiting and not self._leading.locked()

    def execute(self, ticket: Ticket) -> None:
        """Bring a command and return when it is settled: durable if it made events, or refused.

        Raises:
            TaskerError: The command was refused, or the log is unavailable.
            Overloaded: The inbox stayed full.
        """
        self.execute_all([ticket])
        if ticket.error is not None:
            raise ticket.error

    def execute_all(self, tickets: list[Ticket]) -> None:
        """Bring many commands and return when all are settled; the error of each stands in its ticket.

        What found no room within the inbox's patience is settled with `Overloaded`, and so is what came after it.
        """
        inbox = self._office.inbox
        for place, ticket in enumerate(tickets):
            if inbox.is_full_for(ticket):
                self._lead(None)  # what fills it may be this caller's own
            ticket.gate = self._threads.lock()
            ticket.gate.acquire()
            try:
                inbox.put(ticket)
            except Overloaded as error:
                for late in tickets[place:]:
                    late.error, late.settled = error, True
                break
        for ticket in reversed(tickets):
            self._await(ticket)

    def _await(self, ticket: Ticket) -> None:
        """Lead, or wait for the leader, until a ticket is settled."""
        if not ticket.settled:
            self._lead(ticket)
        while not ticket.settled:
            if ticket.gate is not None:
                ticket.gate.acquire()
            if not ticket.settled:
                self._lead(ticket)

    def post(self, ticket: Ticket) -> None:
        """Bring a report or a timer; lead one turn if nobody does."""
        ticket.report = True
        self._office.inbox.put(ticket)
        self._lead(None, once=True)

    def leave(self, ticket: Ticket) -> None:
        """Bring a report and leave it to the next who leads; the caller sees to it that somebody does soon."""
        ticket.report = True
        self._office.inbox.put(ticket)

    def lead(self) -> None:
        """Lead if there is something to do and nobody does."""
        self._lead(None)

    def nudge(self) -> None:
        """Ask for a turn although there is nothing to decide."""
        self._office.inbox.nudge()
        self._lead(None)

    def call(self, errand: Callable[[], None]) -> None:
        """Have something done by the leader, between two turns; lead one if nobody does."""
        self._office.inbox.errands.append(errand)
        self._lead(None, once=True)

    def _lead(self, own: Ticket | None, *, once: bool = False) -> None:
        """Lead while there is something to do.

        A caller with a ticket of its own leads no longer than for that, and with `once` a single turn: a busy runner
        never lets the inbox run empty, and `start` shall return.
        """
        office, inbox = self._office, self._office.inbox
        while inbox.waiting and (own or not office.is_stalled) and self._leading.acquire(blocking=False):
            try:
                while inbox.waiting and (own or not office.is_stalled):
                    self._turn()
                    if once or (own is not None and own.settled):
                        break
            finally:
                self._leading.release()
            if once or (own is not None and own.settled):
                self._hand_over()
                return

    def _turn(self) -> None:
        errands = self._office.inbox.errands
        while errands:
            errands.popleft()()
        turn = Turn(self._office, self._office.inbox.take())
        try:
            turn.run()
        except Exception as error:  # noqa: BLE001 - a fault must reach everybody who waits, whatever it is
            _log.exception("a fault in the engine; what waited for this turn was told")
            turn.broken(error)

    def _hand_over(self) -> None:
        """Let somebody else lead if there is something left to do."""
        inbox = self._office.inbox
        if not inbox.waiting:
            return
        waiter = inbox.next_waiter()
        if waiter is not None:
            waiter.call()
        elif self._office.runs is not None and self._office.runs.wake():
            return
        else:
            self._lead(None)
