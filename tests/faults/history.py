"""One history: processes on one log, to which things are done until everything has ended; then the checks."""

from __future__ import annotations

import shutil
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from tasker.log.open import open_store
from tests.faults import checks, told
from tests.faults.cast import Cast
from tests.faults.clocks import Clocks
from tests.faults.follower import Follower
from tests.faults.handlers import MISCHIEF, lines
from tests.faults.measures import Measured, Watch
from tests.faults.people import People
from tests.faults.places import Backends
from tests.faults.processes import Role, acknowledgements
from tests.faults.samples import Samples
from tests.faults.script import Script
from tests.faults.stage import Stage
from tests.faults.subscribers import GLOBS
from tests.faults.weather import Weather

PATIENCE = 90.0
"""Seconds after which a history that has not ended is a violation."""
_LOOK_SECONDS = 0.01
_PEOPLE = 15


@dataclass
class Outcome:
    """What a history was and what it found.

    Attributes:
        seed: Its seed.
        backend: Where its log was.
        faults: How often each kind of fault from outside hit something.
        subscribers: True if it had subscribers.
        mischief: How often a handler did each thing that it should not.
        told: How often subscribers did each thing, for all subscriptions together.
        events: How many events its log has.
        measured: How quickly things went on.
        violations: A sentence each.
        kept: Where its files are, if something was found.
    """

    seed: int
    backend: str
    subscribers: bool = False
    faults: Counter[str] = field(default_factory=Counter)
    mischief: Counter[str] = field(default_factory=Counter)
    told: Counter[str] = field(default_factory=Counter)
    events: int = 0
    measured: Measured = field(default_factory=Measured)
    violations: list[str] = field(default_factory=list)
    kept: Path | None = None


def play(script: Script, backends: Backends, *, keep: bool = False) -> Outcome:
    """Play a history; its folder is kept if something was found, or if it is asked for."""
    folder = Path(tempfile.mkdtemp(prefix=f"tasker-faults-{script.seed}-"))
    history = History(script, backends, folder)
    outcome = history.outcome
    try:
        history.run()
    except Exception:  # noqa: BLE001 - the other histories of a series go on
        outcome.violations.append(f"the harness failed: {traceback.format_exc()}")
    finally:
        history.close()
    outcome.violations = list(dict.fromkeys(outcome.violations))
    if outcome.violations or keep:
        outcome.kept = folder
    else:
        shutil.rmtree(folder)
    return outcome


class History:
    """The processes of one history and whoever acts on it from outside."""

    def __init__(self, script: Script, backends: Backends, folder: Path) -> None:
        """Set the stage; nothing is started yet."""
        self.script = script
        self.outcome = Outcome(script.seed, script.backend, script.subscribers)
        self.folder = folder
        self.rng = Random(f"history {script.seed}")
        self.clocks = Clocks(folder / "clocks")
        for place, seconds in enumerate(script.offsets):
            self.clocks.set(place, seconds)
        self.place = backends.place(script.backend, folder)
        self.store = open_store(self.place.url)
        self.store.log.head()
        self.follower = Follower(self.store, lambda: self.rng.random() / 5)
        clock = _PEOPLE if script.offsets else None
        mine = Role("people", self.place.url, folder, script.seed, script.settings, script.slots, clock)
        self.samples = Samples(self.store, frozenset(GLOBS if script.subscribers else ()))
        self.people = People(mine, self.follower, self.samples)
        self.cast = Cast(script, self.place, folder)
        watch = Watch(self.store, self.follower, lambda: not self.people.paused and not self.clocks.wrong)
        self.stage = Stage(self.rng, folder, self.place, self.cast, self.clocks, watch, self.samples, self._inspect)
        self.weather = Weather(script.faults)

    def run(self) -> None:
        """Play until everything has ended, then check."""
        self.cast.start()
        self.people.start()
        deadline = time.monotonic() + PATIENCE
        while not self.outcome.violations and not self._over():
            self._step()
            if time.monotonic() > deadline:
                self.tell("everything_ended", [f"after {PATIENCE:g} s: {self._reasons()}"])
            time.sleep(_LOOK_SECONDS)
        self.stage.say("everything has ended")
        self.weather.clear(self.stage)
        self.clocks.agree()
        self._stop()
        with self.people.still():
            self.place.settle()
            self._check(final=not self.outcome.violations)
        self._sum_up()
        self.stage.say("checked")

    def close(self) -> None:
        """End what still runs."""
        self.weather.clear(self.stage)
        self.cast.close()
        self.people.close()
        self.store.close()
        self.place.close()

    def tell(self, invariant: str, violations: Iterable[str]) -> None:
        """Note violations."""
        for text in violations:
            self.outcome.violations.append(f"{invariant}: {text}")
            self.stage.say(f"VIOLATION {invariant}: {text}")

    def _step(self) -> None:
        self.follower.look()
        self.samples.look()
        self.stage.watch.look(self.cast)
        self.weather.pass_by(self.stage)
        self.tell("nobody_ends_by_itself", self.cast.look_after())
        if self.people.error:
            self.tell("people_are_told", [self.people.error])
        self.people.calm = self.weather.over or self.stage.watch.measuring
        if self.weather.over:
            self.clocks.agree()

    def _over(self) -> bool:
        """Say whether all work is done; what was planned to happen to it afterwards happens no more."""
        if not self.cast.all_handed_in or self.stage.down or not self._nothing_is_left():
            return False
        self.people.at_home = True  # whatever they have begun may have brought something back to life
        with self.people.still():
            return self._nothing_is_left() and not self.people.paused

    def _nothing_is_left(self) -> bool:
        self.follower.look()
        acknowledged = {task for _, task in acknowledgements(self.folder)}
        if self.follower.live() or not acknowledged <= self.follower.statuses.keys():
            return False
        self.samples.look(at_once=True)
        return not list(self.samples.unsettled(len(self.follower.seen)))

    def _reasons(self) -> str:
        for actor in self.cast.actors:
            actor.show_stacks()
        time.sleep(0.2)
        self.stage.say(self.place.describe())
        why = [reason.text for task in self.follower.live()[:3] for reason in self.people.app.why(task)]
        why += self.samples.unsettled(len(self.follower.seen))
        handed = "" if self.cast.all_handed_in else "not every request was acknowledged; "
        return f"{handed}paused {self.people.paused}; {'; '.join(why)}; said: {self.cast.said()}"

    def _stop(self) -> None:
        began = time.monotonic()
        self.tell("a_worker_stops", self.cast.stop())
        self.stage.watch.measured.stopped.append(time.monotonic() - began)
        self.stage.say("all workers have stopped")

    def _inspect(self) -> None:
        """Check what holds at any moment; nobody lives."""
        if self.stage.down:
            self.stage.say("nothing can be inspected while the server is away")
            return
        self.place.terminate()  # what a dead process left open may hold the people up
        with self.people.still():
            self.place.settle()
            self._check(final=False)

    def _check(self, *, final: bool) -> None:
        """Check a log that nobody writes at the moment."""
        self.follower.look()
        self.samples.look(at_once=True)
        found = checks.look(self.store, self.folder, self.script, self.follower, self.samples)
        self.outcome.events = len(found.evidence.rows)
        for invariant, violations in found.broken():
            self.tell(invariant, violations)
        if final:
            for invariant, violations in checks.last(found, self.people.app):
                self.tell(invariant, violations)
        if self.outcome.violations or final:
            checks.keep(found)

    def _sum_up(self) -> None:
        words = Counter(line.word for line in lines(self.folder / "ledger"))
        self.outcome.mischief = Counter({word: words[word] for word in MISCHIEF if words[word]})
        self.outcome.faults = +self.weather.hits
        self.outcome.told = told.counts(told.read(self.folder))
        if self.script.offsets:
            self.outcome.faults["wrong clock"] = sum(map(bool, self.script.offsets))
        self.outcome.measured = self.stage.watch.measured
