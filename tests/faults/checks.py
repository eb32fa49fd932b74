"""All invariants on what a history left, from the database and the notes outside it alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tasker import Tasker
from tasker.log.port import Store
from tests import emitted
from tests.faults import (
    invariants,
    invariants_effects,
    invariants_states,
    invariants_subscribers,
    invariants_workers,
    plans,
    told,
)
from tests.faults.evidence import Evidence, read, show
from tests.faults.follower import Follower
from tests.faults.handlers import SUMMARY, Line, lines
from tests.faults.invariants_subscribers import Deliveries
from tests.faults.processes import acknowledgements
from tests.faults.samples import Samples
from tests.faults.script import Script
from tests.faults.subscribers import GLOBS

_UNMEANT = ("a fault in the engine", "Traceback (most recent call last)")
_SHOWN = 6000
Findings = Iterator[tuple[str, Iterable[str]]]


@dataclass(frozen=True)
class Found:
    """What is looked at.

    Attributes:
        evidence: The log as it was read.
        store: Where it was read from.
        folder: The folder of the history.
        ledger: What handlers left.
        script: What was planned.
        follower: Whoever read the log as it grew.
        deliveries: What subscribers left.
    """

    evidence: Evidence
    store: Store
    folder: Path
    ledger: Sequence[Line]
    script: Script
    follower: Follower
    deliveries: Deliveries

    def broken(self) -> Findings:
        """Give what holds at any moment and does not, each invariant with its sentences."""
        evidence, ledger, script = self.evidence, self.ledger, self.script
        yield from ((one.__name__, one(evidence)) for one in invariants.ALWAYS)
        yield "annotations_are_recorded_once", invariants.annotations_are_recorded_once(evidence, SUMMARY)
        yield "work_matches", invariants_states.work_matches(evidence)
        yield "everything_has_a_waker", invariants_states.everything_has_a_waker(evidence)
        yield "folds_agree", invariants_states.folds_agree(evidence, self.store)
        yield "chain_verifies", invariants_states.chain_verifies(self.store)
        yield "lost_workers_are_silent", invariants_workers.lost_workers_are_silent(evidence)
        yield "dead_workers_are_silent", invariants_workers.dead_workers_are_silent(evidence, self.follower.graves)
        yield "limits_hold", invariants_workers.limits_hold(evidence, plans.scopes(script.seed))
        yield "slots_hold", invariants_workers.slots_hold(ledger, script.slots)
        yield "nothing_is_lost", invariants_effects.nothing_is_lost(evidence, acknowledgements(self.folder))
        yield "requests_are_kept", invariants_effects.requests_are_kept(evidence, _requests(script.seed))
        yield "effects_agree", invariants_effects.effects_agree(evidence, ledger)
        yield "once_means_once", invariants_effects.once_means_once(evidence, ledger)
        yield "readers_see_the_order", _same(evidence, self.follower)
        yield "events_fit_their_schemas", emitted.complaints(evidence.rows)
        yield "no_fault_in_the_engine", _faults(self.folder / "said")
        yield from ((one.__name__, one(self.deliveries)) for one in invariants_subscribers.ALWAYS)


def look(store: Store, folder: Path, script: Script, follower: Follower, samples: Samples) -> Found:
    """Read a log that nobody writes at the moment, and what lies beside it."""
    evidence = read(store)
    globs = GLOBS if script.subscribers else {}
    deliveries = Deliveries(evidence, told.read(folder), samples.all, samples.discarded(), globs)
    return Found(evidence, store, folder, lines(folder / "ledger"), script, follower, deliveries)


def last(found: Found, app: Tasker) -> Findings:
    """Give what holds at the end: everything has ended, and a replay agrees with the read model and has no effect."""
    yield "everything_ended", invariants_states.everything_ended(found.evidence)
    replayed = app.replay()
    yield "read_model_is_the_fold", replayed.differences
    events = len(found.evidence.rows)
    if replayed.events != events:
        yield "read_model_is_the_fold", [f"the log has {events} events, the read model knows {replayed.events}"]
    for task_id, task in found.evidence.states.items():
        if app.replay(task_id).status != task.status:
            yield "replay_is_the_fold", [f"{task_id}: expected {task.status}, replayed {app.replay(task_id).status}"]
    if len(lines(found.folder / "ledger")) != len(found.ledger):
        yield "replay_has_no_effect", ["handlers ran during a replay"]
    yield from ((one.__name__, one(found.deliveries)) for one in invariants_subscribers.LAST)


def keep(found: Found) -> None:
    """Write the log, the workers and the subscriptions as text, for whoever looks into a violation."""
    (found.folder / "log.txt").write_text("\n".join(show(found.evidence)) + "\n")
    rows = (repr(row) for row in found.store.workers.all())
    (found.folder / "workers.txt").write_text("\n".join(rows) + "\n")
    (found.folder / "samples.txt").write_text("\n".join(map(repr, found.deliveries.samples)) + "\n")


def _requests(seed: int) -> Mapping[str, Mapping[str, object]]:
    requests = plans.requests(seed, plans.definitions(seed))
    return {str(number): request for number, request in enumerate(requests)}


def _faults(said: Path) -> Iterator[str]:
    """No process met an error that nobody raises on purpose."""
    text = said.read_text(errors="replace") if said.exists() else ""
    for mark in _UNMEANT:
        if mark in text:
            place = text.index(mark)
            yield f"{text.count(mark)} times: {text[place : place + _SHOWN]}"
            return


def _same(evidence: Evidence, follower: Follower) -> Iterator[str]:
    """What a reader saw while the log grew is what stands in it, in the same order."""
    kept = [(row.position, row.hash.hex()) for row in evidence.rows]
    if kept != follower.seen:
        place = next((n for n, pair in enumerate(zip(kept, follower.seen, strict=False)) if pair[0] != pair[1]), -1)
        yield f"a reader saw {len(follower.seen)} events, the log has {len(kept)}; they differ at place {place}"
