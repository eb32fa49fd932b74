"""`Dispatch`: steps that this worker could not start are offered to others, and offers of others are taken up.

An offer is a hint, as a notification is: the live work says what is ready, and the append decides who starts it.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from tasker.domain.work import WorkKind

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tasker.log.port import Found, Store
    from tasker.runtime.claiming import Claiming
    from tasker.runtime.commander import Office
    from tasker.runtime.slots import Slots
    from tasker.runtime.staged import Staged


class Reference(NamedTuple):
    """A step that was ready: its task, its ordinal in the pinned definition, and its number of attempts so far."""

    stream_id: bytes
    step: int
    attempt: int


class Dispatch:
    """Offers and takes up; `note` has the leader put items on the agenda.

    Attributes:
        listener: Is given what this worker could not start, by the leader after the commit; None: nobody is.
    """

    def __init__(
        self, store: Callable[[], Store], office: Office, claiming: Claiming, slots: Slots,
        note: Callable[[Sequence[Found]], None],
    ) -> None:  # fmt: skip
        """Take the parts of one runner; nothing is offered yet."""
        self.wake: Callable[[], object] = lambda: None
        self.listener: Callable[[list[Reference]], None] | None = None
        self._store = store
        self._office = office
        self._claiming = claiming
        self._slots = slots
        self._note = note

    def offer(self, won: Mapping[bytes, Staged], now: int) -> None:
        """Offer what became ready and was not started in the same append, unless there is nobody else to start it.

        Called by the leader.
        """
        listener = self.listener
        if listener is None or self._claiming.share is None:
            return
        surplus = [
            Reference(stream_id, number, item.attempt)
            for stream_id, staged in won.items()
            if staged.task.definition.concurrent or not staged.claimed
            for number, item in staged.changes.items()
            if item is not None and item.kind is WorkKind.READY and (item.due is None or item.due <= now)
        ]
        if surplus:
            listener(surplus)

    def take(self, offered: Sequence[Reference]) -> int:
        """Note what may be started here; gives how much that is.

        What this worker prefers it notes as a whole. Of the rest it takes as much as it has free slots for, if it has
        nothing else to start, the newest first: who offered it begins with the oldest.

        Raises:
            LogUnavailable: The store failed; whoever looks for work finds it there later.
        """
        share, agenda = self._claiming.share, self._claiming.agenda
        mine: list[Reference] = []
        others: list[Reference] = []
        for one in dict.fromkeys(offered):
            prefers = share is None or one.stream_id[-1] % share[1] == share[0]
            (mine if prefers else others).append(one)
        free = self._slots.free if self._claiming.on and not agenda.has_ready else 0
        chosen = {(one.stream_id, one.step): one.attempt for one in (*mine, *reversed(others[-free:] if free else ()))}
        if not chosen or self._office.is_stalled:
            return 0
        found = [
            (stream_id, item)
            for stream_id, item in self._store().work.at(list(chosen))
            if item.kind is WorkKind.READY
            and item.attempt == chosen[stream_id, item.step]
            and not agenda.knows(stream_id, item)
        ]
        if found:
            self._office.inbox.errands.append(partial(self._note, found))
            self.wake()
        return len(found)
