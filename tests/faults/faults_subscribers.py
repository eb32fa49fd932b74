"""Faults that hit a subscriber while it delivers: between its sending and the storing of that, or for too long."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, ClassVar

from tests.faults import told
from tests.faults.faults import Fault
from tests.faults.faults_postgres import Crash
from tests.faults.places import BACKENDS, POSTGRES
from tests.faults.subscribers import BULK, GLOBS
from tests.faults.told import FREEZE_AFTER, FREEZE_BEFORE, KILL, caught, set_trap, trap_of

if TYPE_CHECKING:
    from tests.faults.stage import Stage


_SEARCH_SECONDS = 0.5


class Trap(Fault):
    """Waits for whatever subscriber delivers next; counts if one came."""

    needs_subscribers = True
    lasts = (0.6, 2.0)
    kinds: ClassVar[tuple[str, ...]] = (KILL,)
    names: ClassVar[tuple[str, ...]] = tuple(GLOBS)
    deliveries: ClassVar[tuple[int, int]] = (0, 0)

    def inject(self, stage: Stage) -> None:
        """Set it."""
        rng = stage.rng
        self._trap = trap_of(stage.folder, rng.choice(self.names))
        kind = rng.choice(self.kinds)
        set_trap(self._trap, kind, rng.randint(*self.deliveries))
        stage.say(f"{kind} waits for {self._trap.name}")

    def heal(self, stage: Stage) -> None:
        """Take it away."""
        pid = caught(self._trap)
        self.hits += pid is not None
        for actor in stage.cast.workers:
            if actor.pid == pid:
                actor.thaw()


class KillAfterSend(Trap):
    """A subscriber's process is killed after it has sent an event and before its checkpoint is stored."""

    name = "kill after send"
    backends = BACKENDS
    weight = 6.0


class KillInBatch(Trap):
    """The same in the middle of a batch, of which some events were sent before."""

    name = "kill in batch"
    backends = BACKENDS
    weight = 6.0
    names = (BULK,)
    deliveries = (2, 12)


class FreezeInDelivery(Trap):
    """The owner of a subscription stands still until it has lost it, with an event in its hand."""

    name = "freeze in delivery"
    backends = (POSTGRES,)
    weight = 7.0
    kinds = (FREEZE_BEFORE, FREEZE_AFTER)
    outlives_lease = True


class CrashAfterFailure(Crash):
    """The server crashes just after a delivery failed: what is stored of that, and what its owner remembers, agree."""

    name = "crash after failure"
    weight = 2.0
    measured = False
    needs_subscribers = True

    def inject(self, stage: Stage) -> None:
        """Wait for a failure, and a moment."""
        if stage.down:
            return
        before, until = told.failures(stage.folder), time.monotonic() + _SEARCH_SECONDS
        while told.failures(stage.folder) == before and time.monotonic() < until:
            time.sleep(0.002)
        time.sleep(stage.rng.random() / 20)
        super().inject(stage)
