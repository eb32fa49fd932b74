"""All processes of a history: who is started, who comes back after an end, and which ends are nobody's fault."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

from tests.faults.handlers import EXIT
from tests.faults.places import Place
from tests.faults.processes import AGAIN, GAVE_UP, Actor, Role, submit, work
from tests.faults.script import Script

_STOP_SECONDS = 15.0
_SLOW_SECONDS = 2.0
_BACK_AFTER = (0.0, 0.0, 0.05, 0.3)


class Cast:
    """The workers and submitters of a history.

    Attributes:
        workers: The workers.
        submitters: The submitters.
        exits: How many processes a handler has ended.
    """

    def __init__(self, script: Script, place: Place, folder: Path) -> None:
        """Name everybody; nobody lives yet."""
        self._rng = Random(f"cast {script.seed}")
        self._folder = folder
        self._due: dict[Actor, float] = {}
        self.exits = 0
        names = [f"worker{number}" for number in range(script.workers)]
        names += [f"submitter{number}" for number in range(len(script.shares))]
        clock = range(len(names)) if script.offsets else [None] * len(names)
        shares = [()] * script.workers + list(script.shares)
        roles = [
            Role(
                name, place.url_for(name), folder, script.seed, script.settings, script.slots, clock[number], share,
                subscribers=script.subscribers and not share,
            )
            for number, (name, share) in enumerate(zip(names, shares, strict=True))
        ]  # fmt: skip
        everybody = [Actor(role, number, submit if role.share else work) for number, role in enumerate(roles)]
        self.workers = everybody[: script.workers]
        self.submitters = everybody[script.workers :]

    @property
    def actors(self) -> list[Actor]:
        """Give everybody."""
        return [*self.workers, *self.submitters]

    @property
    def all_handed_in(self) -> bool:
        """Say whether every submitter is done."""
        return all(actor.exitcode == 0 for actor in self.submitters)

    def start(self) -> None:
        """Start everybody."""
        for actor in self.actors:
            actor.start()

    def look_after(self) -> Iterator[str]:
        """Bring back who has ended, at once or after a while; give a sentence for each end that nobody asked for."""
        for actor in self.actors:
            if actor.alive or not actor.begun or (actor.exitcode == 0 and actor in self.submitters):
                continue
            if actor not in self._due:
                yield from self._judge(actor)
                self._due[actor] = time.monotonic() + self._rng.choice(_BACK_AFTER)
            if time.monotonic() >= self._due[actor]:
                del self._due[actor]
                actor.start()

    def stop(self) -> Iterator[str]:
        """Ask the workers to stop, and give a sentence for each that does not."""
        for actor in self.workers:
            actor.thaw()
            actor.ask_to_stop()
        until = time.monotonic() + _STOP_SECONDS
        for actor in self.workers:
            actor.join(_SLOW_SECONDS)
            if actor.alive:
                actor.show_stacks()
            actor.join(max(0.1, until - time.monotonic()))
            if actor.alive:
                yield f"{actor.role.name} did not stop within {_STOP_SECONDS:g} s: {self.said()}"
            elif actor not in self._due:
                yield from self._judge(actor)

    def close(self) -> None:
        """End whoever still lives."""
        for actor in self.actors:
            actor.kill()

    def said(self) -> str:
        """Give the end of what the processes said."""
        path = self._folder / "said"
        return path.read_text(errors="replace")[-3000:] if path.exists() else ""

    def _judge(self, actor: Actor) -> Iterator[str]:
        """Say it if a process ended for no reason."""
        code = actor.exitcode
        expected = {-signal.SIGKILL, AGAIN, EXIT, GAVE_UP}
        if actor.asked:
            expected |= {0, -signal.SIGTERM}
        if code == EXIT:
            self.exits += 1
        if code not in expected:
            yield f"{actor.role.name} (process {actor.pid}) ended with {code}: {self.said()}"
