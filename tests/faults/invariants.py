"""The invariants of a log, each a function that gives a sentence for every place where it does not hold.

They look at stored rows and know what an event means; they do not ask the engine whether it was right. The folded
states serve where the rule is about states.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from tasker.audit import Audit
from tasker.codec.decode import decode_control
from tasker.codec.recorded import CONTROL_NAMESPACE
from tasker.codec.registry import FIRST_CUSTOM_CODE
from tasker.domain.control import Control, evolve_control, pause_over
from tasker.domain.status import LIVE, StepStatus
from tasker.domain.work import work
from tasker.errors import ChainBroken
from tasker.log.port import Store
from tests.faults.evidence import Evidence, Move
from tests.faults.handlers import Line

Violations = Iterator[str]
_ENDS = {"step.completed", "step.failed", "step.abandoned", "step.cancelled", "step.resolved_manually"}
_SATISFY = {"step.completed", "step.skipped", "step.resolved_manually"}


def positions_are_gapless(evidence: Evidence) -> Violations:
    """Positions count from 1 without a gap."""
    for place, row in enumerate(evidence.rows, 1):
        if row.position != place:
            yield f"expected position {place}, found {row.position}"
            return


def versions_are_contiguous(evidence: Evidence) -> Violations:
    """The versions of each stream count from 1 without a gap, and its times never go back."""
    ends: dict[bytes, tuple[int, int]] = {}
    for row in evidence.rows:
        version, time = ends.get(row.stream_id, (0, 0))
        if row.version != version + 1:
            yield f"position {row.position}: expected version {version + 1} of its stream, found {row.version}"
        if row.time < time:
            yield f"position {row.position}: its time lies before that of the event before it"
        ends[row.stream_id] = (row.version, row.time)


@dataclass
class _Step:
    """What the rows of one step said so far."""

    last: int = 0
    open: int | None = None
    waiting: int | None = None
    completed: int = 0
    resets: int = 0
    counted: int = 0
    published: set[int] = field(default_factory=set)
    ended_well: set[int] = field(default_factory=set)


def attempts_are_fenced(evidence: Evidence) -> Violations:
    """Attempt numbers grow; one runs at a time; only it reports; a step completes once per budget and keeps to it."""
    steps: dict[tuple[bytes, int], _Step] = defaultdict(_Step)
    for move in evidence.moves:
        if move.row.step is not None:
            yield from _follow(steps[move.row.stream_id, move.row.step], move)
    for (_, number), seen in steps.items():
        if seen.published - seen.ended_well:
            yield f"step {number}: attempts {seen.published - seen.ended_well} published and did not complete"


def _follow(seen: _Step, move: Move) -> Violations:
    row, attempt = move.row, move.row.attempt or 0
    if row.code >= FIRST_CUSTOM_CODE:
        seen.published.add(attempt)
    elif row.type == "step.started":
        yield from _started(seen, move, attempt)
    elif row.type == "step.completed":
        if attempt not in (seen.open, seen.waiting):
            yield f"{move.where}: attempt {attempt} neither runs nor waits"
        seen.completed += 1
        seen.ended_well.add(attempt)
        if seen.completed > 1 + seen.resets:
            yield f"{move.where}: the step is complete already"
    elif row.type == "step.abandoned" and attempt != seen.open:
        yield f"{move.where}: attempt {attempt} does not run"
    elif row.type == "step.reset":
        seen.resets, seen.counted = seen.resets + 1, 0
    _close(seen, move)


def _started(seen: _Step, move: Move, attempt: int) -> Violations:
    if seen.open is not None or seen.waiting is not None:
        yield f"{move.where}: attempt {seen.open or seen.waiting} has not ended"
    if attempt != seen.last + 1:
        yield f"{move.where}: expected attempt {seen.last + 1}, found {attempt}"
    seen.last = seen.open = attempt
    seen.counted += 1
    limit = move.after.limit(move.row.step or 0)
    if seen.counted > limit:
        yield f"{move.where}: {seen.counted} attempts of one budget, {limit} are allowed"


def _close(seen: _Step, move: Move) -> None:
    if move.row.type == "step.waiting":
        seen.waiting, seen.open = seen.open, None
    elif move.row.type in _ENDS:
        seen.open = seen.waiting = None
        if move.row.type == "step.abandoned" and b"worker_stopped" in move.row.data:
            seen.counted -= 1


def parents_come_first(evidence: Evidence) -> Violations:
    """No step starts, and none is skipped, before each of its parents is satisfied."""
    satisfied: dict[bytes, set[str]] = defaultdict(set)
    for move in evidence.moves:
        done, step = satisfied[move.row.stream_id], move.step
        if move.row.type in {"step.started", "step.skipped"}:
            missing = set(move.before.definition.graph.parents(str(step))) - done
            if missing:
                yield f"{move.where}: its parents {sorted(missing)} are not satisfied"
        if move.row.type in _SATISFY:
            done.add(str(step))


def stops_hold(evidence: Evidence) -> Violations:
    """Nothing of a task starts while it is paused or after it has ended."""
    stopped: dict[bytes, set[str]] = defaultdict(set)
    opens = {"task.resumed": "task.paused", "task.retried": "task.failed"}
    closes = {"task.paused", "task.failed", "task.completed", "task.cancelled", "task.resolved_manually"}
    for move in evidence.moves:
        reasons = stopped[move.row.stream_id]
        if move.row.type == "step.started" and reasons:
            yield f"{move.where}: it starts after {sorted(reasons)}"
        if move.row.type in closes:
            reasons.add(move.row.type)
        reasons.discard(opens.get(move.row.type, ""))


def paused_scopes_hold(evidence: Evidence) -> Violations:
    """Nothing in a scope starts behind the position of its pause."""
    control = Control()
    moves = {move.row.position: move for move in evidence.moves}
    for row in evidence.rows:
        if row.header.namespace == CONTROL_NAMESPACE:
            control = evolve_control(control, decode_control(row))
        elif row.type == "step.started":
            move = moves[row.position]
            pause = pause_over(control, move.after.definition, row.step or 0)
            if pause is not None:
                yield f"{move.where}: the scope {pause[0]} is paused since before"


@dataclass(frozen=True)
class Bounds:
    """What may run at once.

    Attributes:
        concurrency: Slots of every worker.
        systems: Limits by dependent system.
        ledger: When handlers returned.
    """

    concurrency: int
    systems: Mapping[str, int]
    ledger: Sequence[Line]


def bounds_hold(evidence: Evidence, bounds: Bounds) -> Violations:
    """At no time a worker runs more than its slots, a system more than its limit, a serial task more than one step.

    In the order of time and not of positions, and an attempt ends when its handler has returned, if that was earlier
    than its record: a report that has to be decided anew, because somebody else changed its task, is recorded later
    than the start that took its slot.
    """
    returned = {line.attempt[:3]: line.time for line in bounds.ledger if line.word == "end"}
    changes: list[tuple[int, int, int]] = []
    for place, move in enumerate(evidence.moves):
        change, time = _change(move), move.row.time
        if change:
            changes.append((min(time, returned.get(_attempt(move), time)) if change < 0 else time, change, place))
    running: Counter[tuple[str, str]] = Counter()
    for _, change, place in sorted(changes):
        move = evidence.moves[place]
        for key, most in _bounds(move, bounds).items():
            running[key] += change
            if change > 0 and running[key] > most:
                yield f"{move.where}: {running[key]} attempts of {key}, {most} are allowed"


def _change(move: Move) -> int:
    """Give 1 if an attempt begins to run, -1 if it ends."""
    number = move.row.step
    if number is None:
        return 0
    before, after = move.before.steps[number].status, move.after.steps[number].status
    return (after is StepStatus.IN_PROGRESS) - (before is StepStatus.IN_PROGRESS)


def _bounds(move: Move, bounds: Bounds) -> dict[tuple[str, str], int]:
    number, definition = move.row.step or 0, move.after.definition
    states = move.before if move.after.steps[number].status is not StepStatus.IN_PROGRESS else move.after
    system = definition.step_templates[number].dependent_system
    found = {("worker", str(states.steps[number].worker_id)): bounds.concurrency}
    if not definition.concurrent:
        found["task", move.after.id] = 1
    if system in bounds.systems:
        found["system", system] = bounds.systems[system]
    return found


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


def annotations_are_recorded_once(evidence: Evidence, kind: str) -> Violations:
    """A hook's annotation stands directly before an event that ends its task."""
    follows = {"task.completed", "task.failed"}
    ends = {(m.row.stream_id, m.row.version) for m in evidence.moves if m.row.type in follows}
    for move in evidence.moves:
        noted = move.row.type == "task.annotated" and kind.encode() in move.row.data
        if noted and (move.row.stream_id, move.row.version + 1) not in ends:
            yield f"{move.where}: the note of the hook is not followed by the end of the task"


def nothing_is_lost(evidence: Evidence, acknowledged: Sequence[tuple[str, str]]) -> Violations:
    """Every acknowledged request has its task, and one key has one."""
    tasks: dict[str, set[str]] = defaultdict(set)
    for key, task_id in acknowledged:
        tasks[key].add(task_id)
        if task_id not in evidence.states:
            yield f"{task_id}: acknowledged, and not in the log"
    yield from (f"the key {key} has the tasks {sorted(ids)}" for key, ids in tasks.items() if len(ids) > 1)


def effects_agree(evidence: Evidence, ledger: Sequence[Line]) -> Violations:
    """A started attempt is executed at most once, no other is, and what was completed had its effect."""
    started = {(*_attempt(move), _worker(move)) for move in evidence.moves if move.row.type == "step.started"}
    for (word, attempt), times in Counter((line.word, line.attempt) for line in ledger).items():
        if times > 1:
            yield f"{word} of {attempt} happened {times} times"
        if attempt not in started:
            yield f"{word} of {attempt}: this attempt is not in the log"
    had = {line.attempt[:3] for line in ledger if line.word == "effect"}
    for move in evidence.moves:
        if move.row.type == "step.completed" and move.row.actor is None and _attempt(move) not in had:
            yield f"{move.where}: completed, and its effect did not happen"


def _attempt(move: Move) -> tuple[str, str, str]:
    return move.after.id, str(move.step), str(move.row.attempt)


def _worker(move: Move) -> str:
    return str(move.after.steps[move.row.step or 0].worker_id)


def chain_verifies(store: Store) -> Violations:
    """The hash chain verifies from stored bytes."""
    try:
        Audit(store).verify()
    except ChainBroken as error:
        yield f"the chain is broken: {error}"


ALWAYS: tuple[Callable[[Evidence], Violations], ...] = (
    positions_are_gapless,
    versions_are_contiguous,
    attempts_are_fenced,
    parents_come_first,
    stops_hold,
    paused_scopes_hold,
    work_matches,
    everything_has_a_waker,
)
"""What holds for a log at any moment, whoever wrote it."""


def broken(evidence: Evidence, invariants: Iterable[Callable[[Evidence], Violations]] = ALWAYS) -> list[str]:
    """Give every violation, with the name of its invariant."""
    return [f"{one.__name__}: {text}" for one in invariants for text in one(evidence)]
