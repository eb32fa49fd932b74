"""What other processes appended, and what they left for this worker to do: looked for on a thread of its own.

What a look finds are hints for the leader; a state decides. Workers that share a log prefer different streams, so that
they seldom try for the same step, and take what is left of another's share once it has lain there for a moment.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from tasker.domain.events import WORKER_STOPPED
from tasker.domain.work import item_of, task_item
from tasker.errors import LogUnavailable, TaskerError
from tasker.instrument import logger
from tasker.runtime.search import AHEAD, GRACE_SECONDS, PAGE, Search

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Sequence

    from tasker.domain.task import Task
    from tasker.domain.work import WorkItem
    from tasker.log.port import Found, Share, Signals, Store
    from tasker.runtime.claiming import Claiming
    from tasker.runtime.commander import Office
    from tasker.runtime.roster import Roster
    from tasker.runtime.slots import Slots
    from tasker.runtime.threads import Threads

_RESTS = 9
_REMEMBERED = 8
"""What a look takes is an average of about so many: one that had to wait for others does not put a worker to rest."""
_PAID = 100
"""So many steps started since the last look have paid for the next one."""
_STALLED_SECONDS = 0.1
_log = logger("runner")


class Lookout:
    """Looks when it is told that the log has grown, and now and then; every look may find nothing."""

    def __init__(
        self, store: Callable[[], Store], office: Office, claiming: Claiming, slots: Slots, roster: Roster,
        threads: Threads,
    ) -> None:  # fmt: skip
        """Make it; `start` begins.

        Args:
            store: The log and what lives beside it.
            office: Where errands for the leader are left.
            claiming: The agenda, and whether anything is to be started.
            slots: How many attempts may start.
            roster: The attempts that run here.
            threads: Gives locks, time and the thread.
        """
        self._store = store
        self._office = office
        self._claiming = claiming
        self._search = Search(store, office, claiming, slots, threads)
        self._roster = roster
        self._threads = threads
        self._changed = threads.condition()
        self._looking = threads.lock()
        self._before = 0
        self._own = 0
        self._others = 0
        self._rests_until = 0.0
        self._takes = 0.0
        self._begun = 0
        self._grown = False
        self._missed = False
        self._stopping = False
        self._thread: threading.Thread | None = None
        self._signals: Signals | None = None
        self.doubtful = False
        self.wake: Callable[[], object] = lambda: None

    # --- life ---

    def begin(self) -> None:
        """Note where the log ends, and find what there is to do now."""
        self._before = self._office.log().head()
        self._own = self._others = 0
        self._look()

    def start(self) -> None:
        """Look from now on."""
        self._signals = self._store().signals()
        self._signals.listen(self._hear)
        self._thread = self._threads.start("tasker-lookout", self._loop)

    def stop(self) -> None:
        """End; the thread has gone when this returns."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(timeout=5)

    # --- what others tell it ---

    def appended(self, positions: int) -> None:
        """Count the positions that this process appended; what else is in the log is others'."""
        self._own += positions

    def divide(self, share: Share | None) -> None:
        """Take another share of all streams; None for all of them."""
        if share != self._claiming.share:
            self._claiming.share = share
            self._office.inbox.errands.append(self._look_at_timers)
            self.look_again()

    def refill(self) -> None:
        """Have a look soon if more could be started, and ready steps may wait that are not noted."""
        missed = self._missed and self._search.wants
        if (missed or self._claiming.agenda.runs_low) and not (self._grown and self._rests):
            self.look_again()

    def look_again(self) -> None:
        """Have a look soon, whatever else was appended."""
        with self._changed:
            self._grown = True
            self._changed.notify_all()

    def catch_up(self) -> None:
        """Find, before this returns, what others had appended when it was called, unless the log is unavailable."""
        try:
            if self._counts_others():
                self._grown = True
            if self._grown:
                self._look()
        except LogUnavailable as error:
            self._office.stalled(error)

    def _hear(self) -> None:
        """Take a hint; a worker that has enough to do looks when it has not."""
        self._missed = True
        self.refill()

    # --- the thread ---

    def _loop(self) -> None:
        while not self._stopping:
            try:
                self._round()
            except LogUnavailable as error:
                self._office.stalled(error)
            except Exception:  # noqa: BLE001 - without it a worker would not see what others do
                _log.exception("looking for the work of others met an error and goes on")
            with self._changed:
                patience = self._patience()
                if patience > 0 and not self._stopping:
                    self._changed.wait(patience)

    @property
    def _rests(self) -> bool:
        """Say whether another look is too soon: all looks take a tenth of the time, unless steps have paid for one."""
        paid = self._claiming.begun - self._begun >= _PAID
        return not paid and self._threads.monotonic() < self._rests_until

    def _patience(self) -> float:
        """Give the seconds until the next round."""
        if self._office.is_stalled:
            return _STALLED_SECONDS
        if self._grown:
            return self._rests_until - self._threads.monotonic() if self._rests else 0.0
        if self._search.left and self._search.wants:
            return GRACE_SECONDS
        return self._signals.poll_seconds if self._signals is not None else 1.0

    def _round(self) -> None:
        if self._office.is_stalled or self._rests:
            return
        if self._counts_others():
            self._office.inbox.errands.append(self._confirm)
            self.wake()
        self.refill()
        if self._grown or self.doubtful or self._claiming.full_elsewhere:
            self._look()
        elif self._claiming.share is not None:
            self._help(self._claiming.share)

    def _counts_others(self) -> bool:
        """Count what others appended; only the leader knows for sure: a turn may not have said what it committed."""
        return self._office.log().head() - self._before - self._own != self._others

    def _confirm(self) -> None:
        """Count again between two turns."""
        try:
            others = self._office.log().head() - self._before - self._own
        except LogUnavailable as error:
            self._office.stalled(error)
            return
        if others != self._others:
            self._others = others
            self.look_again()

    def _help(self, share: Share) -> None:
        """Take what lies in the shares of others, and nothing else."""
        found = self._search.of_others(share)
        if found:
            self._office.inbox.errands.append(partial(self.note_all, found))
            self.wake()

    # --- a look ---

    def _look(self) -> None:
        """Find, and have the leader adopt.

        Raises:
            LogUnavailable: The store failed; the next round looks again.
        """
        try:
            self._search_and_tell()
        except LogUnavailable:
            self._grown = True
            raise
        self.wake()

    def _search_and_tell(self) -> None:
        with self._looking:
            self._grown = self._missed = False
            self._begun = self._claiming.begun
            began = self._threads.monotonic()
            found, unnoted, complete = self._search.everything()
            fenced = self._search.fenced(self._roster)
            errands: list[Callable[[], None]] = [partial(self._adopt, found, unnoted, complete)]
            if fenced:
                errands.append(partial(self._review, fenced))
            self._office.refresh_control()
            full = self._claiming.full_elsewhere
            if full:
                errands.append(partial(self._claiming.make_room, self._store().work.holders(list(full))))
            if self.doubtful:
                self.doubtful = False
                errands.append(self._disown)
            self._office.inbox.errands.extend(errands)
            now, share = self._threads.monotonic(), self._claiming.share
            self._takes += (now - began - self._takes) / _REMEMBERED
            self._rests_until = now + self._takes * _RESTS * (1 if share is None else share[1])

    # --- called by the leader ---

    def more_timers(self, now: int) -> None:
        """Read, when their time has come, the timers that the agenda has not noted."""
        agenda = self._claiming.agenda
        if agenda.timers_from is not None and agenda.timers_from <= now:
            self._look_at_timers()

    def _look_at_timers(self) -> None:
        agenda, now = self._claiming.agenda, self._office.now()
        try:
            found = self._search.timers()
        except LogUnavailable as error:
            agenda.timers_from = now
            self._office.stalled(error)
            return
        self._note_timers(found, now)

    def _note_timers(self, found: Sequence[Found], now: int) -> None:
        self._claiming.agenda.timers_from = now + AHEAD
        if len(found) >= PAGE:
            self._claiming.agenda.timers_from = found[-1][1].due
        for stream_id, item in found:
            self._note(stream_id, item, now)

    def _adopt(self, found: Sequence[Found], unnoted: int, complete: bool) -> None:  # noqa: FBT001 - what a search gives
        """Put what was found on the agenda."""
        agenda = self._claiming.agenda
        if agenda.unnoted == unnoted:
            agenda.more = not complete
        self.note_all([one for one in found if one[1].due is None])
        self._note_timers([one for one in found if one[1].due is not None], self._office.now())

    def note_all(self, found: Sequence[Found]) -> None:
        """Note what was found, and have a turn look at it."""
        now = self._office.now()
        for stream_id, item in found:
            self._note(stream_id, item, now)
        self._office.inbox.nudge()

    def _note(self, stream_id: bytes, item: WorkItem, now: int) -> None:
        """Note one item; what is remembered of its task is in doubt if it says something else."""
        if stream_id in self._claiming.left_to_others or not self._claiming.agenda.add(stream_id, item, now):
            return
        known = self._office.streams.remembered(stream_id)
        if known is not None and _item(known.task, item.step) != item:
            self._office.streams.doubt(stream_id)

    def _review(self, fenced: Sequence[tuple[bytes, int]]) -> None:
        """Read the states of attempts that seem to be fenced, and ask the handlers of those that are to stop."""
        for stream_id, number in fenced:
            if not self._roster.has(stream_id, number):
                continue
            try:
                self._roster.cancel_fenced(stream_id, self._office.streams.current(stream_id).task)
            except LogUnavailable as error:
                self._office.stalled(error)
                self.look_again()
                return
            except TaskerError as error:
                self._claiming.leave_to_others(stream_id, error)

    def _disown(self) -> None:
        """Give back attempts whose start turned out durable although their append had failed: no handler runs them."""
        try:
            held = self._store().work.held_by(self._claiming.worker_id)
        except LogUnavailable as error:
            self.doubtful = True
            self._office.stalled(error)
            return
        for stream_id, item in held:
            if not self._roster.has(stream_id, item.step):
                self._office.streams.doubt(stream_id)
                self._claiming.abandon(stream_id, item.step, item.attempt, WORKER_STOPPED)


def _item(task: Task, number: int) -> WorkItem | None:
    return item_of(task, number) if number >= 0 else task_item(task)
