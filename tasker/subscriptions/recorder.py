"""`Recorder`: stores what batches brought; those that end together are stored in one transaction."""

from __future__ import annotations

from collections import deque
from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tasker.subscriptions.ledger import Ledger
    from tasker.subscriptions.values import Entry


class _Waiting:
    """An entry on its way, and what came of it."""

    def __init__(self, entry: Entry) -> None:
        """Take the entry."""
        self.entry = entry
        self.done = False
        self.state: str | None = None
        self.error: BaseException | None = None


class Recorder:
    """Whoever comes first stores what all others brought meanwhile."""

    def __init__(self, ledger: Ledger) -> None:
        """Take where it is stored."""
        self._ledger = ledger
        self._storing = Lock()
        self._waiting: deque[_Waiting] = deque()

    def record(self, entry: Entry) -> str | None:
        """Store one entry; give the state of its subscription, or None if another process took it over.

        Raises:
            LogUnavailable: The store failed; nothing of it is stored.
        """
        mine = _Waiting(entry)
        self._waiting.append(mine)
        with self._storing:
            if not mine.done:
                self._store()
        if mine.error is not None:
            raise mine.error
        return mine.state

    def _store(self) -> None:
        """Store everything that waits."""
        together = [self._waiting.popleft() for _ in range(len(self._waiting))]
        try:
            states = self._ledger.commit([one.entry for one in together])
        except BaseException as error:  # noqa: BLE001 - each of those that wait raises it
            for one in together:
                one.error, one.done = error, True
            return
        for one, state in zip(together, states, strict=True):
            one.state, one.done = state, True
