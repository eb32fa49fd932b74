"""People who look after subscriptions: they pause some for a while, and see to what has stopped or is parked."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from functools import partial
from random import Random

from tasker import Tasker
from tasker.errors import InvalidRequest, LogUnavailable, NotAllowed
from tasker.subscriptions.tables import PAUSED
from tests.faults.plans import POISONED
from tests.faults.samples import Samples
from tests.faults.subscribers import BULK, POISON

_LONGEST_PAUSE = 0.6


class Tending:
    """What people do with the subscriptions of a history; they know what stands in the rows, and no more."""

    def __init__(self, app: Tasker, samples: Samples, rng: Random) -> None:
        """Take how they reach the log, and what they see of it."""
        self._subscriptions = app.subscriptions
        self._samples = samples
        self._rng = rng
        self._until = 0.0

    def look(self, *, calm: bool) -> None:
        """Do what is to be done; while it is calm, only bring back what has stopped."""
        now = time.monotonic()
        for name, standing in self._samples.latest.items():
            if standing.state == PAUSED and (calm or now >= self._until):
                self._try(partial(self._subscriptions.resume, name))
            for position, (_, error) in standing.parked.items():
                if POISONED not in error:
                    self._try(partial(self._subscriptions.retry, name, position, actor="people"))
        if not calm and self._samples.names:
            self._meddle()

    def _meddle(self) -> None:
        if self._rng.random() < 0.01:
            self._until = time.monotonic() + self._rng.random() * _LONGEST_PAUSE
            self._try(partial(self._subscriptions.pause, self._rng.choice((BULK, BULK, POISON))))
        poison = self._samples.latest.get(POISON)
        if poison is not None and poison.parked and self._rng.random() < 0.04:
            free = self._rng.choice((self._subscriptions.retry, self._subscriptions.discard))
            self._try(partial(free, POISON, self._rng.choice(sorted(poison.parked)), actor="people"))

    @staticmethod
    def _try(command: Callable[[], None]) -> None:
        """Give a command that may have become illegal meanwhile, or cannot be given now."""
        with contextlib.suppress(NotAllowed, InvalidRequest, LogUnavailable):
            command()
