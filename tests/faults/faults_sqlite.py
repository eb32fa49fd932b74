"""Faults that only a SQLite file can have."""

from __future__ import annotations

import contextlib
import resource
from typing import TYPE_CHECKING

from tests.faults.faults import Fault
from tests.faults.places import SQLITE

if TYPE_CHECKING:
    from tests.faults.stage import Stage

_UNLIMITED = resource.RLIM_INFINITY


class FullDisk(Fault):
    """The write-ahead log cannot grow any more: writes end in the middle of a page."""

    name = "full disk"
    backends = (SQLITE,)
    weight = 4.0
    lasts = (0.05, 0.8)

    def __init__(self, seconds: float) -> None:
        """Limit nobody yet."""
        super().__init__(seconds)
        self._limited: list[int] = []

    def inject(self, stage: Stage) -> None:
        """Limit the size of files for every process that is there."""
        ahead = stage.folder / "log.db-wal"
        size = ahead.stat().st_size if ahead.exists() else 0
        if size < 100_000:  # below that the limit would hit the ledger of the handlers, too
            stage.say("too early for a full disk")
            return
        for actor in stage.cast.actors:
            if actor.alive and _limit(actor.pid, size + stage.rng.randrange(9_000)):
                self._limited.append(actor.pid)
        self.hits += bool(self._limited)

    def heal(self, stage: Stage) -> None:
        """Make room."""
        for pid in self._limited:
            _limit(pid, _UNLIMITED)


def _limit(pid: int, size: int) -> bool:
    with contextlib.suppress(ProcessLookupError):
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, _UNLIMITED))
        return True
    return False
