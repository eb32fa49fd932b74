"""The invariants of what happened outside the log: requests that were acknowledged, and effects of handlers."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from tasker.codec.decode import payload_of
from tests.faults.evidence import Evidence, Move
from tests.faults.handlers import Line
from tests.faults.invariants import Violations


def nothing_is_lost(evidence: Evidence, acknowledged: Sequence[tuple[str, str]]) -> Violations:
    """Every acknowledged request has its task, and one key has one."""
    tasks: dict[str, set[str]] = defaultdict(set)
    for key, task_id in acknowledged:
        tasks[key].add(task_id)
        if task_id not in evidence.states:
            yield f"{task_id}: acknowledged, and not in the log"
    yield from (f"the key {key} has the tasks {sorted(ids)}" for key, ids in tasks.items() if len(ids) > 1)


def requests_are_kept(evidence: Evidence, requests: Mapping[str, Mapping[str, object]]) -> Violations:
    """Every task stands in the log as it was asked for, and no request has two.

    Args:
        evidence: The log.
        requests: The requests by the number in their context.
    """
    seen: Counter[str] = Counter()
    for move in evidence.moves:
        if move.row.type != "task.created":
            continue
        context = payload_of(move.row)
        number = str(context.get("number")) if isinstance(context, dict) else ""
        seen[number] += 1
        asked = requests.get(number)
        if asked is None or (context, move.row.header.task_name) != (asked["context"], asked["name"]):
            yield f"{move.where}: it is not what was asked for: {context}"
        elif seen[number] > 1:
            yield f"{move.where}: the request {number} has {seen[number]} tasks"


def effects_agree(evidence: Evidence, ledger: Sequence[Line]) -> Violations:
    """A started attempt is executed at most once, no other is, and what was completed had its effect."""
    started = {(*_attempt(move), _worker(move)) for move in evidence.moves if move.row.type == "step.started"}
    for (word, attempt), times in Counter((line.word, line.attempt[:3]) for line in ledger).items():
        if times > 1:
            yield f"{word} of {attempt} happened {times} times"
    for attempt in dict.fromkeys(line.attempt for line in ledger):
        if attempt not in started:
            yield f"{attempt}: this attempt was executed, and is not in the log"
    had = {line.attempt[:3] for line in ledger if line.word == "effect"}
    for move in evidence.moves:
        if move.row.type == "step.completed" and move.row.actor is None and _attempt(move) not in had:
            yield f"{move.where}: completed, and its effect did not happen"


def once_means_once(evidence: Evidence, ledger: Sequence[Line]) -> Violations:
    """A step that must not be retried was executed at most once for each budget that a person gave it."""
    budgets: Counter[tuple[str, str]] = Counter()
    for move in evidence.moves:
        if move.row.type == "step.reset":
            budgets[move.after.id, str(move.step)] += 1
    ran = Counter((line.attempt[0], line.attempt[1]) for line in ledger if line.word == "start")
    for (task_id, step), times in ran.items():
        task = evidence.states.get(task_id)
        if task is None or task.template(task.number(step)).default_retryable:
            continue
        if times > 1 + budgets[task_id, step]:
            yield f"{task_id} {step}: executed {times} times, and may not be retried"


def _attempt(move: Move) -> tuple[str, str, str]:
    return move.after.id, str(move.step), str(move.row.attempt)


def _worker(move: Move) -> str:
    return str(move.after.steps[move.row.step or 0].worker_id)
