"""Subscribers in the workers of a history: good ones, one that raises, one that hangs, and one with poison events."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from random import Random

from tasker import BaseSubscriber, PermanentError, RetryableError, Tasker
from tasker.subscriptions import retry
from tests.faults.handlers import Mute
from tests.faults.plans import POISONED
from tests.faults.told import BUS, DONE, HUNG, RAISED, SENT, World, spring

PLAIN, BULK, RAISES, HANGS, POISON = "plain", "bulk", "raises", "hangs", "poison"
_FIRST_DELAY = 2_000
_RAISES, _HANGS = 0.08, 0.03


class Sender(BaseSubscriber):
    """Leaves a line in the world outside for each event; falls into the traps that are set for it."""

    name = PLAIN
    subscribe_to = "*"

    def __init__(self, folder: Path, seed: int) -> None:
        """Take the folder and the seed of the history."""
        self._world = World(folder)
        self._luck = Random(f"{self.name} {seed} {time.time_ns()}")

    def handle(self, event):
        """Send an event."""
        trap = self._world.trap(self.name)
        spring(trap, sent=False)
        self._world.tell(SENT, self.name, event)
        spring(trap, sent=True)
        self.receive(event)
        self._world.tell(DONE, self.name, event)

    def receive(self, event):
        """Do what this subscriber does with what was sent."""

    def close(self):
        """Close the file."""
        self._world.close()


class Bulk(Sender):
    """The same, for one that people pause now and then: it has many events to catch up with at once."""

    name = BULK


class Raises(Sender):
    """Raises now and then, in every way there is."""

    name = RAISES
    subscribe_to = ("step.*", "faults.*")

    def receive(self, event):
        """Raise, or not."""
        if self._luck.random() < _RAISES:
            self._world.tell(RAISED, self.name, event)
            raise self._odd()

    def _odd(self):
        errors = (ValueError("no"), RetryableError("busy", retry_after=0.02), RetryableError("busy", retry_after=1.0))
        return self._luck.choice((*errors, SystemExit(3), Mute(), KeyboardInterrupt(), PermanentError("never")))


class Hangs(Sender):
    """Hangs now and then for longer than it is waited for."""

    name = HANGS
    subscribe_to = ("task.*", "step.completed")
    delivery_timeout = 0.25

    def receive(self, event):
        """Hang, or not."""
        if self._luck.random() < _HANGS:
            self._world.tell(HUNG, self.name, event)
            time.sleep(self.delivery_timeout + self._luck.choice((0.05, 0.2, 0.4)))


class Poison(Sender):
    """Never takes an event of certain tasks."""

    name = POISON
    subscribe_to = ("task.*", "step.*")

    def receive(self, event):
        """Refuse poison."""
        if event.correlation_id.startswith(POISONED):
            self._world.tell(RAISED, self.name, event)
            raise _poison(event.correlation_id)


def _poison(which):
    """Give an error that asks for the usual delays, for short ones, or for no further try; each says what it is."""
    errors = (ValueError(POISONED), RetryableError(POISONED, retry_after=0.01), PermanentError(POISONED))
    return errors[int(which.rpartition("-")[2]) % 3]


KINDS: tuple[type[Sender], ...] = (Sender, Bulk, Raises, Hangs, Poison)
GLOBS = {kind.name: kind.subscribe_to for kind in KINDS}
"""What each subscription wants, by its name; all begin with the first event."""


def attach(app: Tasker, folder: Path, seed: int) -> None:
    """Subscribe all of them durably, and two receivers to the bus, one of which always raises."""
    retry.FIRST_DELAY = _FIRST_DELAY  # in this process alone: ten tries take seconds, and not an hour
    logging.getLogger("tasker.bus").setLevel(logging.ERROR)  # what the receiver raises is meant
    world = World(folder)
    app.bus.on("*", _refuse)
    app.bus.on("*", lambda event: world.tell(SENT, BUS, event))
    for kind in KINDS:
        app.subscribe(kind(folder, seed), start="beginning")


def _refuse(event):
    raise ValueError("a receiver that raises")
