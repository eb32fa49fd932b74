"""Faults of processes and of their clocks, on any back end."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import psycopg

from tests.faults.faults import Fault
from tests.faults.places import POSTGRES

if TYPE_CHECKING:
    from tests.faults.processes import Actor
    from tests.faults.stage import Stage


class KillWorker(Fault):
    """`kill -9` of a worker."""

    name = "kill worker"
    weight = 6.0
    measured = True

    def inject(self, stage: Stage) -> None:
        """Kill one, if possible in the middle of something; at times all of them."""
        workers = [actor for actor in stage.cast.workers if actor.alive]
        if not workers:
            return
        if stage.rng.random() < 0.15:
            self.hits += sum(actor.kill() for actor in workers)
            return
        actor = stage.watch.busiest(workers) or stage.rng.choice(workers)
        actor.freeze()  # so that what it holds stays what it holds
        stage.watch.before_kill(actor)
        self.hits += actor.kill()


class KillSubmitter(Fault):
    """`kill -9` of a submitter."""

    name = "kill submitter"
    weight = 2.0

    def inject(self, stage: Stage) -> None:
        """Kill one that is not done."""
        busy = [actor for actor in stage.cast.submitters if actor.alive]
        if busy:
            self.hits += stage.rng.choice(busy).kill()


class KillEverybody(Fault):
    """`kill -9` of all processes, and a look at the log before anybody comes back."""

    name = "kill everybody"
    weight = 1.5

    def inject(self, stage: Stage) -> None:
        """Kill all, and check what holds at any moment."""
        self.hits += sum(actor.kill() for actor in stage.cast.actors)
        stage.inspect()


class StopWorker(Fault):
    """A worker is asked to stop, as a release does it; handlers that run longer are left behind."""

    name = "stop worker"
    weight = 1.5

    def inject(self, stage: Stage) -> None:
        """Ask one."""
        self.hits += stage.rng.choice(stage.cast.workers).ask_to_stop()


class Freeze(Fault):
    """A process stands still for less than a lease, wherever it is at that moment."""

    name = "freeze"
    weight = 3.0
    lasts = (0.05, 0.9)
    _actor: Actor | None = None

    def inject(self, stage: Stage) -> None:
        """Stop one."""
        self._actor = stage.rng.choice(stage.cast.actors)
        self.hits += self._actor.freeze()

    def heal(self, stage: Stage) -> None:
        """Let it go on."""
        if self._actor is not None and self.hits:
            self._actor.thaw()


class FreezeBeyondLease(Freeze):
    """A worker stands still until it counts as dead; what it reports afterwards is refused."""

    name = "freeze beyond lease"
    backends = (POSTGRES,)
    weight = 3.0
    lasts = (0.3, 1.2)
    outlives_lease = True

    def inject(self, stage: Stage) -> None:
        """Stop a worker, if possible in the middle of something."""
        self._actor = stage.watch.busiest(stage.cast.workers) or stage.rng.choice(stage.cast.workers)
        self.hits += self._actor.freeze()


class HoldLog(Fault):
    """Somebody else holds the lock under which everybody appends."""

    name = "hold log"
    weight = 2.0
    lasts = (0.05, 0.5)

    def inject(self, stage: Stage) -> None:
        """Hold it; it comes back by itself."""
        try:
            stage.place.hold(self.seconds)
        except (sqlite3.Error, psycopg.Error) as error:
            stage.say(f"nobody can hold the log now: {error}")
            return
        self.hits += 1


class SetClock(Fault):
    """The clock of a running process jumps."""

    name = "set clock"
    weight = 3.0
    needs_wrong_clocks = True

    def inject(self, stage: Stage) -> None:
        """Put one ahead or behind."""
        actor = stage.rng.choice(stage.cast.actors)
        stage.clocks.set(actor.place, stage.rng.choice((-200.0, 0.0, 90.0, 300.0)))
        self.hits += 1
