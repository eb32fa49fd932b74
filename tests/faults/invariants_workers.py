"""The invariants of workers: what a dead one may not do, and how much may run at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from tasker.codec.jsonbytes import mapping
from tasker.domain.control import scopes_over
from tasker.domain.events import TIMEOUT, WORKER_LOST
from tasker.domain.status import StepStatus
from tests.faults.evidence import Evidence, Move
from tests.faults.handlers import Line
from tests.faults.invariants import Violations

_OUTCOMES = {"step.completed", "step.waiting", "step.failed"}


def lost_workers_are_silent(evidence: Evidence) -> Violations:
    """Once one attempt of a worker was abandoned because it was lost, it starts nothing and reports nothing more."""
    lost: dict[str, int] = {}
    for move in evidence.moves:
        speaker = _speaker(move)
        if speaker in lost:
            yield f"{move.where}: by {speaker}, which was lost at position {lost[speaker]}"
        data = mapping(move.row.data)
        if move.row.type == "step.abandoned" and data.get("reason") == WORKER_LOST:
            lost.setdefault(str(data.get("worker_id")), move.row.position)


def dead_workers_are_silent(evidence: Evidence, graves: Mapping[str, int]) -> Violations:
    """Behind the position at which a worker was known to be dead it starts nothing and reports nothing."""
    for move in evidence.moves:
        speaker = _speaker(move)
        if speaker is not None and move.row.position > graves.get(speaker, move.row.position):
            yield f"{move.where}: by {speaker}, which was dead at position {graves[speaker]}"


def _speaker(move: Move) -> str | None:
    """Name the worker that started or reported an attempt with an event; None if it was somebody else."""
    row, number = move.row, move.row.step
    if number is None:
        return None
    if row.type == "step.started":
        return move.after.steps[number].worker_id
    before = move.before.steps[number]
    if row.type not in _OUTCOMES or row.actor is not None or before.status is not StepStatus.IN_PROGRESS:
        return None
    if row.type == "step.failed" and _kind(row.data) == TIMEOUT:
        return None  # a task whose time is over fails what runs, whoever notices
    return before.worker_id


def _kind(data: bytes) -> object:
    error = mapping(data).get("error")
    return error.get("kind") if isinstance(error, dict) else None


def limits_hold(evidence: Evidence, limits: Mapping[str, int]) -> Violations:
    """At no position more attempts run in a scope, over all workers, than its limit allows."""
    running: Counter[str] = Counter()
    for move in evidence.moves:
        number = move.row.step
        if number is None:
            continue
        before, after = move.before.steps[number].status, move.after.steps[number].status
        change = (after is StepStatus.IN_PROGRESS) - (before is StepStatus.IN_PROGRESS)
        for scope in scopes_over(move.after.definition, number) if change else ():
            running[scope] += change
            if change > 0 and running[scope] > limits.get(scope, running[scope]):
                yield f"{move.where}: {running[scope]} attempts run in {scope}, {limits[scope]} are allowed"


def slots_hold(ledger: Sequence[Line], slots: int) -> Violations:
    """No worker runs more handlers at once than it has slots."""
    running: Counter[str] = Counter()
    for line in ledger:
        worker = line.attempt[3]
        if line.word == "start":
            running[worker] += 1
            if running[worker] > slots:
                yield f"{worker} runs {running[worker]} handlers at once, {slots} are allowed: {line.attempt}"
        elif line.word == "end":
            running[worker] -= 1
