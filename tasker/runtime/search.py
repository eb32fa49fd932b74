"""Searches of the live work: what this worker could start, what falls due soon, and which of its attempts are fenced.

They cost by what they find, not by what others did: the tail of the log is never read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasker.domain.work import WorkKind

if TYPE_CHECKING:
    from collections.abc import Callable

    from tasker.domain.work import WorkItem
    from tasker.log.port import Found, Share, Store
    from tasker.runtime.claiming import Claiming
    from tasker.runtime.commander import Office
    from tasker.runtime.roster import Roster
    from tasker.runtime.slots import Slots
    from tasker.runtime.threads import Threads

PAGE = 1000
"""Items that one query reads."""
GRACE_SECONDS = 0.1
"""How long the share of another worker is left to it by one that has nothing to do."""
AHEAD = 10_000_000
"""How far ahead timers are read, in microseconds."""
_ENOUGH = 1000
_OTHERS = 200
_LONG_GRACE_SECONDS = 0.9
_A_FEW = 8
_LATE = 5_000_000


class Search:
    """What one worker looks for; `left` is what it has seen lately in the shares of others."""

    def __init__(
        self, store: Callable[[], Store], office: Office, claiming: Claiming, slots: Slots, threads: Threads
    ) -> None:
        """Take where to look and what is known already."""
        self._store = store
        self._office = office
        self._claiming = claiming
        self._slots = slots
        self._threads = threads
        self.left: dict[tuple[bytes, int, int], float] = {}

    @property
    def wants(self) -> bool:
        """Say whether more could be started than is known."""
        claiming = self._claiming
        return claiming.on and self._slots.free > 0 and not claiming.agenda.has_ready

    def everything(self) -> tuple[list[Found], int, bool]:
        """Read what is ready, and what falls due soon.

        Returns:
            The items, how many had found no room on the agenda before, and whether these are all there are.
        """
        unnoted, share = self._claiming.agenda.unnoted, self._claiming.share
        found, complete = self._ready(share)
        if share is not None and not found and self.wants:
            found = self.of_others(share)
        found += self.timers()
        return found, unnoted, complete

    def _ready(self, share: Share | None) -> tuple[list[Found], bool]:
        """Read ready items, page after page, until there is enough that is not noted yet."""
        work, knows = self._store().work, self._claiming.agenda.knows
        found: list[Found] = []
        after = None
        while True:
            page = work.ready(after=after, limit=PAGE, share=share)
            found += [one for one in page if not knows(*one)]
            if len(page) < PAGE:
                return found, True
            if len(found) >= _ENOUGH:
                return found, False
            stream_id, item = page[-1]
            after = (item.rank, stream_id, item.step)

    def of_others(self, share: Share) -> list[Found]:
        """Take, from the shares of others, what has lain there for a while; from anywhere, for others look too.

        A worker with enough to do takes a few all the same: they may wait for something that only this one has.
        """
        now = self._threads.monotonic()
        grace, most = (GRACE_SECONDS, self._slots.free) if self.wants else (_LONG_GRACE_SECONDS, _A_FEW)
        page = self._store().work.ready(after=None, limit=_OTHERS, share=None)
        page = [one for one in page if one[0][-1] % share[1] != share[0]]
        left = {(stream_id, item.step, item.attempt): now for stream_id, item in page}
        left |= {key: since for key, since in self.left.items() if key in left}
        self.left = left
        old = [one for one in page if now - left[one[0], one[1].step, one[1].attempt] >= grace]
        first = int(self._office.ids.jitter() * len(old))
        return (old[first:] + old[:first])[:most]

    def timers(self) -> list[Found]:
        """Read timers of this share, and those of others that are late."""
        now, share = self._office.now(), self._claiming.share
        page = self._store().work.timers(before=now + AHEAD, limit=PAGE)
        if share is None:
            return page
        index, of = share
        return [one for one in page if one[0][-1] % of == index or (one[1].due or now) < now - _LATE]

    def fenced(self, roster: Roster) -> list[tuple[bytes, int]]:
        """Name the streams and steps of attempts that run here and, by the live work, do so no longer."""
        running = {(one.stream_id, one.number): one.attempt for one in roster.all()}
        if not running:
            return []
        found = {(stream_id, item.step): item for stream_id, item in self._store().work.at(list(running))}
        return [place for place, attempt in running.items() if not _runs(found.get(place), attempt)]


def _runs(item: WorkItem | None, attempt: int) -> bool:
    return item is not None and item.kind is WorkKind.RUNNING and item.attempt == attempt
