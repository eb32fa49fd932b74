"""The invariants of a log alone, each a function that gives a sentence for every place where it does not hold.

They look at stored rows and know what an event means; they do not ask the engine whether it was right. The folded
states serve where the rule is about states.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from tasker.codec.decode import decode_control
from tasker.codec.recorded import CONTROL_NAMESPACE
from tasker.codec.registry import FIRST_CUSTOM_CODE
from tasker.domain.control import Control, evolve_control, pause_over
from tasker.domain.status import StepStatus
from tests.faults.evidence import Evidence, Move

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


def serial_tasks_hold(evidence: Evidence) -> Violations:
    """A task that is not concurrent has at most one running step."""
    for move in evidence.moves:
        if move.row.type == "step.started" and not move.after.definition.concurrent:
            running = [place for place, state in enumerate(move.after.steps) if state.status is StepStatus.IN_PROGRESS]
            if len(running) > 1:
                yield f"{move.where}: the steps {running} run at the same time"


def annotations_are_recorded_once(evidence: Evidence, kind: str) -> Violations:
    """A hook's annotation stands directly before an event that ends its task."""
    follows = {"task.completed", "task.failed"}
    ends = {(m.row.stream_id, m.row.version) for m in evidence.moves if m.row.type in follows}
    for move in evidence.moves:
        noted = move.row.type == "task.annotated" and kind.encode() in move.row.data
        if noted and (move.row.stream_id, move.row.version + 1) not in ends:
            yield f"{move.where}: the note of the hook is not followed by the end of the task"


ALWAYS: tuple[Callable[[Evidence], Violations], ...] = (
    positions_are_gapless,
    versions_are_contiguous,
    attempts_are_fenced,
    parents_come_first,
    stops_hold,
    paused_scopes_hold,
    serial_tasks_hold,
)
"""What holds for a log at any moment, whoever wrote it."""


def broken(evidence: Evidence, invariants: Iterable[Callable[[Evidence], Violations]] = ALWAYS) -> list[str]:
    """Give every violation, with the name of its invariant."""
    return [f"{one.__name__}: {text}" for one in invariants for text in one(evidence)]
