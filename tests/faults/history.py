"""One history: processes on one log, killed and restarted at once until everything has ended; then the checks."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import time
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random

from tasker.domain.status import LIVE
from tasker.domain.work import WorkKind
from tasker.errors import NotAllowed
from tasker.log.open import open_store
from tests.faults import invariants, plans
from tests.faults.evidence import read
from tests.faults.handlers import SUMMARY, lines
from tests.faults.processes import Place

PATIENCE = 30.0
"""Seconds after which a history that has not ended is a violation."""
_STOP_SECONDS = 15.0
_LOOK_SECONDS = 0.005
_DEAD_BY_KILL = -9
_DEAD_BEFORE_IT_LISTENED = -15
_OPERATORS = ("cancel", "pause", "pause", "pause_scope", "pause_scope", "retry", "retry", "resolve", "reset_step")


@dataclass
class Outcome:
    """What a history was and what it found.

    Attributes:
        seed: Its seed.
        kills: How many processes got a SIGKILL.
        events: How many events its log has.
        resumed: Seconds from a kill of the worker to the first step that its successor started, where one was due.
        violations: A sentence each.
        kept: Where its files are, if something was found.
    """

    seed: int
    kills: int = 0
    events: int = 0
    resumed: list[float] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    kept: Path | None = None


def play(seed: int) -> Outcome:
    """Play the history of a seed; its folder is kept if something was found."""
    folder = Path(tempfile.mkdtemp(prefix=f"tasker-faults-{seed}-"))
    history = History(seed, folder)
    try:
        history.run()
    finally:
        history.close()
    history.outcome.violations = list(dict.fromkeys(history.outcome.violations))
    if history.outcome.violations:
        history.outcome.kept = folder
    else:
        shutil.rmtree(folder)
    return history.outcome


class Follower:
    """Reads the log as it grows: what it saw stays, what waits for somebody outside is noted, ends are counted."""

    def __init__(self, app) -> None:
        """Begin at the first event."""
        self.seen: list[tuple[int, str]] = []
        self.statuses: dict[str, str] = {}
        self.waiting: dict[tuple[str, str], float] = {}
        self.started: list[tuple[float, str]] = []
        self._app = app

    def look(self, patience) -> None:
        """Read what is new.

        Args:
            patience: Gives the seconds after which a waiting step is answered.
        """
        for event in self._app.events(after=len(self.seen)):
            self.seen.append((event.position, event.hash))
            if event.type.startswith("task."):
                self.statuses[event.stream_id] = event.body["status"]
            elif event.type == "step.waiting":
                self.waiting[event.stream_id, event.step] = time.monotonic() + patience()
            elif event.type == "step.started":
                self.started.append((event.time.timestamp(), event.body["worker_id"]))

    def live(self) -> list[str]:
        """List the tasks that have not ended."""
        return [task for task, status in self.statuses.items() if status in LIVE]


class History:
    """The processes of one history and whoever acts on it from outside."""

    def __init__(self, seed: int, folder: Path) -> None:
        """Draw what will happen; nothing is started yet."""
        self.rng = Random(seed)
        self.outcome = Outcome(seed)
        self.place = Place(folder, seed, concurrency=self.rng.choice((1, 2, 4, 16)))
        self.app = self.place.tasker()
        self.follower = Follower(self.app)
        self.kills_left = self.rng.randint(1, 6)
        self.paused: list[tuple[float, dict[str, str]]] = []
        self._killed: tuple[float, int] | None = None
        self._broken = False
        self.worker = self.submitter = None

    def close(self) -> None:
        """End what still runs."""
        for process in (self.worker, self.submitter):
            if process is not None and process.is_alive():
                process.kill()
                process.join()
        self.app.close()

    def run(self) -> None:
        """Play until everything has ended, then check."""
        self.app.events()
        self._start_worker()
        self.submitter = self.place.submitter()
        deadline = time.monotonic() + PATIENCE
        while not self._broken and not self._over():
            self._step()
            if time.monotonic() > deadline:
                self._tell("everything_ended", [f"after {PATIENCE:g} s: {self._reasons()}"])
                os.kill(self.worker.pid, signal.SIGUSR1)
                break
            time.sleep(_LOOK_SECONDS)
        self._stop()
        self._check(final=True)

    def _step(self) -> None:
        self.follower.look(lambda: self.rng.random() / 5)
        self._measure()
        self._answer()
        self._operate()
        self._resume(time.monotonic())
        self._watch()
        if self.kills_left and time.monotonic() >= self.next_kill:
            self.kills_left -= 1
            self._kill()

    def _over(self) -> bool:
        self.follower.look(lambda: self.rng.random() / 5)
        return self.submitter.exitcode == 0 and not self.follower.live() and not self.paused and self._complete()

    def _complete(self) -> bool:
        return {task for _, task in self.place.acknowledgements()} <= self.follower.statuses.keys()

    def _reasons(self) -> str:
        return "; ".join(reason.text for task in self.follower.live()[:3] for reason in self.app.why(task))

    # --- processes ---

    def _start_worker(self) -> None:
        self.worker = self.place.worker()
        self.next_kill = time.monotonic() + self.rng.choice((self.rng.random() / 20, self.rng.random() / 2))

    def _watch(self) -> None:
        """Start the submitter anew after a kill; nobody may end in any other way."""
        for who, process in (("worker", self.worker), ("submitter", self.submitter)):
            if process.exitcode not in (None, 0, _DEAD_BY_KILL) or (who == "worker" and process.exitcode == 0):
                said = self.place.said.read_text()[-2000:] if self.place.said.exists() else ""
                self._tell("nobody_ends_by_itself", [f"the {who} ended with {process.exitcode}: {said}"])
                self._broken = True
        if self.submitter.exitcode == _DEAD_BY_KILL:
            self.submitter = self.place.submitter()

    def _kill(self) -> None:
        """Kill the worker, at times the submitter too; then, if all is quiet, look at the log before the restart."""
        inspected = self.rng.random() < 0.3
        if inspected or self.rng.random() < 0.3:
            self._end(self.submitter)
        if inspected and self.rng.random() < 0.2:
            self.worker.terminate()
            self.worker.join(_STOP_SECONDS)
        at = time.time()
        self._end(self.worker)
        if inspected:
            self._check(final=False)
        elif self._due():
            self._killed = (at, len(self.follower.started))
        self._start_worker()

    def _end(self, process) -> None:
        if process.is_alive():
            process.kill()
            self.outcome.kills += 1
        process.join()

    def _due(self) -> bool:
        """Say whether a successor has something to start at once."""
        if self.paused:
            return False
        store = open_store(self.place.url)
        try:
            now = time.time() * 1e6
            return any(item.kind is WorkKind.READY and (item.due or 0) <= now for _, item in store.work.all())
        finally:
            store.close()

    def _measure(self) -> None:
        """Note how long it took until the successor of a killed worker started a step."""
        if self._killed is None:
            return
        at, before = self._killed
        mine = f"-{self.worker.pid}-"
        first = next((when for when, worker in self.follower.started[before:] if mine in worker), None)
        if first is not None:
            self.outcome.resumed.append(first - at)
            self._killed = None

    def _stop(self) -> None:
        """Let the last worker stop as it is asked to."""
        self.worker.terminate()
        self.worker.join(_STOP_SECONDS)
        if self.worker.exitcode not in (0, _DEAD_BEFORE_IT_LISTENED):
            self._tell("a_worker_stops", [f"asked by SIGTERM, it ended with {self.worker.exitcode}"])

    # --- people ---

    def _answer(self) -> None:
        """Complete what waits for somebody outside."""
        for (task, step), when in list(self.follower.waiting.items()):
            if time.monotonic() >= when:
                del self.follower.waiting[task, step]
                self._try(partial(self.app.complete_step, task, step, results={"by": "people"}))

    def _operate(self) -> None:
        """Now and then do what an operator may do."""
        if not self.kills_left or not self.follower.statuses or self.rng.random() > 0.03:
            return
        what, task = self.rng.choice(_OPERATORS), self.rng.choice(list(self.follower.statuses))
        until = time.monotonic() + self.rng.random() / 3
        if what == "pause_scope":
            scope = self.rng.choice(("all", "namespace:default", "task:default.plan0", "system:shop"))
            if self._try(partial(self.app.pause, scope=scope)):
                self.paused.append((until, {"scope": scope}))
        elif what == "pause":
            if self._try(partial(self.app.pause, task)):
                self.paused.append((until, {"task_id": task}))
        elif what == "reset_step":
            self._try(partial(self.app.reset_step, task, "s0"))
        else:
            self._try(partial(getattr(self.app, what), task))

    def _resume(self, now: float) -> None:
        for until, what in list(self.paused):
            if now >= until or not self.kills_left:
                self.paused.remove((until, what))
                self._try(partial(self.app.resume, **what))

    def _try(self, command) -> bool:
        """Give a command that may have become illegal meanwhile."""
        try:
            command(actor="people", reason="a history")
        except NotAllowed:
            return False
        return True

    # --- checks ---

    def _tell(self, invariant: str, violations) -> None:
        self.outcome.violations.extend(f"{invariant}: {text}" for text in violations)

    def _check(self, *, final: bool) -> None:
        """Check every invariant on a log that nobody writes at the moment."""
        self.follower.look(lambda: 0.0)
        store = open_store(self.place.url)
        try:
            evidence = read(store)
            self._tell("chain_verifies", invariants.chain_verifies(store))
        finally:
            store.close()
        self.outcome.events = len(evidence.rows)
        ledger = lines(self.place.ledger)
        bounds = invariants.Bounds(self.place.concurrency, plans.LIMITED, ledger)
        self.outcome.violations.extend(invariants.broken(evidence))
        self._tell("bounds_hold", invariants.bounds_hold(evidence, bounds))
        self._tell("annotations_are_recorded_once", invariants.annotations_are_recorded_once(evidence, SUMMARY))
        self._tell("nothing_is_lost", invariants.nothing_is_lost(evidence, self.place.acknowledgements()))
        self._tell("effects_agree", invariants.effects_agree(evidence, ledger))
        kept = [(row.position, row.hash.hex()) for row in evidence.rows]
        if kept != self.follower.seen:
            self._tell("readers_see_the_order", ["what a reader saw while the log grew is not what stands in it"])
        if final:
            self._tell("everything_ended", invariants.everything_ended(evidence))
            self._replay(len(ledger))

    def _replay(self, effects: int) -> None:
        """Compare the read model with a fold of the whole log; neither has an effect outside."""
        with self.place.tasker() as app:
            self._tell("read_model_is_the_fold", app.replay().differences)
            for task in self.follower.statuses:
                app.replay(task)
        if len(lines(self.place.ledger)) != effects:
            self._tell("replay_has_no_effect", ["handlers ran during a replay"])
