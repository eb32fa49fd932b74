"""The invariants of everything that is derived from a log: states by either fold, live work, wakers, the chain."""

from __future__ import annotations

from tasker.audit import Audit
from tasker.codec.recorded import CONTROL_NAMESPACE
from tasker.domain.status import LIVE
from tasker.domain.work import work
from tasker.errors import ChainBroken
from tasker.fold import fold_heads
from tasker.log.port import Store
from tests.faults.evidence import Evidence
from tests.faults.invariants import Violations


def work_matches(evidence: Evidence) -> Violations:
    """The stored live work is what the folded states ask for."""
    wanted = {task_id: items for task_id, task in evidence.states.items() if (items := work(task))}
    for task_id in sorted(wanted.keys() | evidence.work.keys()):
        if wanted.get(task_id) != evidence.work.get(task_id):
            yield f"live work of {task_id}: expected {wanted.get(task_id)}, found {evidence.work.get(task_id)}"


def everything_has_a_waker(evidence: Evidence) -> Violations:
    """A live task that is not paused has something that runs, is ready, or waits for a time or for somebody."""
    for task_id, task in evidence.states.items():
        if task.status in LIVE and task.pause is None and not any(number >= 0 for number in work(task)):
            yield f"{task_id}: it is {task.status} and nothing will ever move it"


def everything_ended(evidence: Evidence) -> Violations:
    """Every task has reached an end."""
    for task_id, task in evidence.states.items():
        if task.status in LIVE:
            yield f"{task_id}: still {task.status}: {[state.status.value for state in task.steps]}"


def folds_agree(evidence: Evidence, store: Store) -> Violations:
    """The compiled fold, where there is one, gives the state that the fold event by event gives."""
    streams = {row.stream_id: row for row in evidence.rows if row.header.namespace != CONTROL_NAMESPACE}
    last = {row.stream_id: row.position for row in evidence.rows}
    states = {move.row.stream_id: move.after for move in evidence.moves}
    for stream_id in streams:
        task = states[stream_id]
        found = fold_heads(task.definition, stream_id, store.log.heads_of(stream_id), store.log.events_at)
        if found is not None and found != (task, last[stream_id]):
            yield f"{task.id}: folded event by event {task}, folded compiled {found}"


def chain_verifies(store: Store) -> Violations:
    """The hash chain verifies from stored bytes."""
    try:
        Audit(store).verify()
    except ChainBroken as error:
        yield f"the chain is broken: {error}"
