"""`why`: what every unfinished thing of a task waits for, and how the finished ones ended, in words and as data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from tasker.domain import steps as outcome
from tasker.domain.control import Control, scopes_over
from tasker.domain.definition import MANUAL
from tasker.domain.events import UNKNOWN
from tasker.domain.status import FINISHED, LIVE, SATISFIED, StepStatus, TaskStatus

if TYPE_CHECKING:
    from tasker.domain.events import Instant, Json
    from tasker.domain.steps import StepState
    from tasker.domain.task import Pause, Task
    from tasker.errors import UnsupportedEvent

PARENTS = "parents"
DUE = "due"
NOT_BEFORE = "not_before"
RUNNING = "running"
OUTSIDE = "outside"
LIMIT = "limit"
PAUSED = "paused"
NO_WORKER_HAS_HANDLER = "no_worker_has_handler"
MISSING_ENV = "missing_env"
UNSUPPORTED_EVENT = "unsupported_event"
FINISHED_CODE = "finished"

_NO_PAUSES = Control()
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_OUTCOMES = {
    outcome.RUNNING: "running",
    outcome.COMPLETED: "completed",
    outcome.FAILED: "failed",
    outcome.ABANDONED: "abandoned",
    outcome.WAITING: "waiting",
    outcome.CANCELLED: "cancelled",
    outcome.FENCED: "fenced",
}
_ENDS = {
    StepStatus.COMPLETE: "is complete",
    StepStatus.SKIPPED: "was skipped, as its request asked",
    StepStatus.CANCELLED: "was cancelled",
    StepStatus.RESOLVED_MANUALLY: "was resolved by hand",
}


class Reason(NamedTuple):
    """One thing that holds up a step, or how it ended.

    Attributes:
        step: Name of the step, None for the task as a whole.
        code: The kind of reason, for programs.
        text: A sentence for people.
        details: What the sentence says, as JSON values; instants are RFC 3339.
    """

    step: str | None
    code: str
    text: str
    details: Mapping[str, Json]


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What `why` has to know beside the task.

    Attributes:
        now: The present time (microseconds).
        control: The paused scopes.
        handlers: Registry names that some live worker has; None where nobody knows.
        missing_env: Variables that are missing, by registry name of a handler or by name of a step.
        limits: For a scope that is limited, how many attempts may run, and the ids of the tasks whose attempts do.
        leases: Until when each worker is known to live (microseconds); None for one without an end.
        waits: What waiting steps wait for in their handlers' words, by name of the step.
    """

    now: Instant
    control: Control = _NO_PAUSES
    handlers: frozenset[str] | None = None
    missing_env: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    limits: Mapping[str, tuple[int, tuple[str, ...]]] = field(default_factory=dict)
    leases: Mapping[str, Instant | None] = field(default_factory=dict)
    waits: Mapping[str, str] = field(default_factory=dict)


def why(task: Task, world: World, step: str | None = None) -> list[Reason]:
    """Say what a task, or one of its steps, waits for.

    Args:
        task: The task.
        world: What is so around it.
        step: A step's name; None for the task: its end, if it has ended, then every step that is not finished.

    Returns:
        For an unfinished step everything that holds it up, at least one reason; for a finished one how it ended.

    Raises:
        UnknownStep: There is no step of this name.
    """
    if step is not None:
        return list(_step_reasons(task, world, task.number(step)))
    found = [] if task.status in LIVE else [_task_ended(task)]
    for number in task.definition.graph.order:
        if task.steps[number].status not in FINISHED:
            found.extend(_step_reasons(task, world, number))
    return found


def unreadable(error: UnsupportedEvent) -> Reason:
    """Give the reason for a task whose history this release cannot read.

    Args:
        error: What reading it raised.
    """
    text = f"the task waits for a worker of a newer release: {error}"
    return Reason(None, UNSUPPORTED_EVENT, text, {"position": error.position, "type": error.type})


def _shown(at: Instant) -> str:
    return (_EPOCH + timedelta(microseconds=at)).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _shown_or_none(at: Instant | None) -> str | None:
    return None if at is None else _shown(at)


def _name(task: Task, number: int) -> str:
    return task.definition.graph.names[number]


def _task_ended(task: Task) -> Reason:
    failed = {
        _name(task, number): state.failure[1] or state.failure[0]
        for number, state in enumerate(task.steps)
        if state.failure is not None
    }
    text = f"the task ended as {task.status} at {_shown(task.ended_at or task.last_at)}"
    if failed:
        text += ": " + "; ".join(f"step {name!r} failed: {message}" for name, message in failed.items())
    if task.status is TaskStatus.ERROR:
        text += "; retry, resolve or cancel it"
    details: dict[str, Json] = {
        "status": str(task.status),
        "ended_at": _shown_or_none(task.ended_at),
        "failed_steps": [{"name": name, "message": message} for name, message in failed.items()],
    }
    return Reason(None, FINISHED_CODE, text, details)


def _step_reasons(task: Task, world: World, number: int) -> Iterator[Reason]:
    match task.steps[number].status:
        case StepStatus.IN_PROGRESS:
            yield _running(task, world, number)
        case StepStatus.WAITING:
            yield _outside(task, world, number)
        case StepStatus.PENDING | StepStatus.WAITING_FOR_RETRY if task.status in LIVE:
            yield from _held_up(task, world, number)
        case StepStatus.PENDING if task.steps[number].blockers:
            yield _parents(task, number)
        case StepStatus.PENDING:
            yield _never_began(task, number)
        case _:
            yield _ended(task, number)


def _running(task: Task, world: World, number: int) -> Reason:
    state, name = task.steps[number], _name(task, number)
    worker = state.worker_id or UNKNOWN
    until = world.leases.get(worker)
    if worker not in world.leases:
        lease = "whose lease is not known"
    elif until is None:
        lease = "whose lease has no end"
    elif until < world.now:
        lease = f"whose lease ran out at {_shown(until)}: the attempt is about to be abandoned"
    else:
        lease = f"whose lease runs until {_shown(until)}"
    since = _shown_or_none(state.started_at)
    text = f"attempt {state.attempt} of step {name!r} runs since {since} on worker {worker}, {lease}"
    lease_until = _shown_or_none(until)
    details = {"attempt": state.attempt, "since": since, "worker_id": worker, "lease_until": lease_until}
    return Reason(name, RUNNING, text, details)


def _outside(task: Task, world: World, number: int) -> Reason:
    state, name = task.steps[number], _name(task, number)
    end = "without end" if state.due is None else f"until {_shown(state.due)}"
    text = f"step {name!r} waits {end} for somebody outside to complete it"
    reason = world.waits.get(name)
    if reason and task.template(number).handler != MANUAL:  # whose words are these very ones
        text += f" (reason: {reason})"
    details = {"attempt": state.attempt, "until": _shown_or_none(state.due), "reason": reason}
    return Reason(name, OUTSIDE, text, details)


def _held_up(task: Task, world: World, number: int) -> Iterator[Reason]:
    """Give everything that keeps a step of a live task from starting; at last, that it waits for a slot."""
    state = task.steps[number]
    found = [*_pauses(task, world, number), *_times(task, world, number)]
    if state.blockers:
        found.insert(0, _parents(task, number))
    startable = not found
    found.extend(_unable(task, world, number))
    if startable:
        found.extend(_limits(task, world, number))
    yield from found or [_ready(task, number)]


def _parents(task: Task, number: int) -> Reason:
    name = _name(task, number)
    open_ = [
        (_name(task, parent), task.steps[parent].status)
        for parent in task.definition.graph.parent_ordinals[number]
        if task.steps[parent].status not in SATISFIED
    ]
    listed = " and ".join(f"{parent!r} ({status})" for parent, status in open_)
    text = f"step {name!r} waits for {'its parents' if len(open_) > 1 else 'its parent'} {listed}"
    if any(status is StepStatus.ERROR for _, status in open_):
        text += "; what is in error moves only when an operator retries, resets or resolves it"
    parents: list[Json] = [{"name": parent, "status": str(status)} for parent, status in open_]
    return Reason(name, PARENTS, text, {"parents": parents})


def _pauses(task: Task, world: World, number: int) -> Iterator[Reason]:
    if task.pause is not None:
        yield _paused(task, number, "task", task.pause)
    for scope in scopes_over(task.definition, number):
        if scope in world.control.pauses:
            yield _paused(task, number, scope, world.control.pauses[scope])


def _paused(task: Task, number: int, scope: str, pause: Pause) -> Reason:
    name, actor, reason = _name(task, number), pause.actor or UNKNOWN, pause.reason or UNKNOWN
    what = "the task" if scope == "task" else f"the scope {scope!r}"
    text = f"step {name!r} does not start: {what} is paused by {actor} since {_shown(pause.at)} (reason: {reason})"
    return Reason(name, PAUSED, text, {"scope": scope, "actor": actor, "reason": reason, "at": _shown(pause.at)})


def _times(task: Task, world: World, number: int) -> Iterator[Reason]:
    state, name, not_before = task.steps[number], _name(task, number), task.request.not_before
    if state.due is not None and state.due > world.now:
        text = f"step {name!r} waits until {_shown(state.due)} for attempt {state.attempt + 1} of {task.limit(number)}"
        details = {"due": _shown(state.due), "delay_seconds": state.delay, "attempts": state.attempt}
        yield Reason(name, DUE, text, details)
    elif state.due is None and not_before is not None and not_before > world.now:
        text = f"step {name!r} waits for the task's not_before, {_shown(not_before)}"
        yield Reason(name, NOT_BEFORE, text, {"not_before": _shown(not_before)})


def _unable(task: Task, world: World, number: int) -> Iterator[Reason]:
    """Give what workers lack; every one of them can run a step that only waits."""
    name, handler = _name(task, number), task.template(number).handler
    known = world.handlers
    if known is not None and handler not in known and not (handler == MANUAL and known):
        text = f"step {name!r} waits for a live worker with the handler {handler!r}; none has it"
        yield Reason(name, NO_WORKER_HAS_HANDLER, text, {"handler": handler})
    missing = sorted({*world.missing_env.get(handler, ()), *world.missing_env.get(name, ())})
    if missing:
        listed = ", ".join(missing)
        text = f"step {name!r} waits for a worker whose environment has {listed}; set it where the worker runs"
        yield Reason(name, MISSING_ENV, text, {"handler": handler, "variables": [*missing]})


def _limits(task: Task, world: World, number: int) -> Iterator[Reason]:
    name = _name(task, number)
    for scope in scopes_over(task.definition, number):
        limit, holders = world.limits.get(scope, (0, ()))
        if scope in world.limits and len(holders) >= limit:
            listed = ", ".join(holders) or "nobody"
            text = f"step {name!r} is over the limit of {limit} running attempts in {scope!r}, held by {listed}"
            yield Reason(name, LIMIT, text, {"scope": scope, "limit": limit, "holders": [*holders]})
    ahead = None if task.definition.concurrent else _ahead(task, world, number)
    if ahead is not None:
        text = f"step {name!r} waits for its turn: the task runs one step at a time, and {ahead!r} comes first"
        yield Reason(name, LIMIT, text, {"scope": "task", "limit": 1, "holders": [task.id], "step": ahead})


def _ahead(task: Task, world: World, number: int) -> str | None:
    """Name the step of a task that is not concurrent which runs, or starts earlier than this one."""
    graph = task.definition.graph
    running = (other for other in graph.order if task.steps[other].status is StepStatus.IN_PROGRESS)
    earlier = (other for other in graph.order[: graph.rank[number]] if _may_start(task, world, other))
    first = next(chain(running, earlier), None)
    return None if first is None else _name(task, first)


def _may_start(task: Task, world: World, number: int) -> bool:
    state = task.steps[number]
    startable = state.ready or state.status is StepStatus.WAITING_FOR_RETRY
    return startable and not any(_times(task, world, number))


def _ready(task: Task, number: int) -> Reason:
    name, since = _name(task, number), _shown(task.steps[number].ready_at)
    text = f"step {name!r} is ready since {since} and waits for a worker with a free slot"
    return Reason(name, DUE, text, {"due": since, "ready": True, "attempts": task.steps[number].attempt})


def _never_began(task: Task, number: int) -> Reason:
    name = _name(task, number)
    helps = "; retry the task to start it" if task.status is TaskStatus.ERROR else ""
    text = f"step {name!r} did not start before the task ended as {task.status}{helps}"
    return Reason(name, FINISHED_CODE, text, {"status": str(StepStatus.PENDING), "attempts": []})


def _ended(task: Task, number: int) -> Reason:
    state, name = task.steps[number], _name(task, number)
    history: list[Json] = [
        {"number": place, "outcome": _OUTCOMES[letter]} for place, letter in enumerate(state.outcomes, start=1)
    ]
    details: dict[str, Json] = {
        "status": str(state.status),
        "ended_at": _shown_or_none(state.ended_at),
        "attempts": history,
    }
    if state.failure is not None:
        details["error"] = {"type": state.failure[0], "message": state.failure[1]}
    text = f"step {name!r} {_end(state)}"
    if state.outcomes:
        tried = (f"attempt {place} {_OUTCOMES[letter]}" for place, letter in enumerate(state.outcomes, start=1))
        text += f" ({', '.join(tried)})"
    return Reason(name, FINISHED_CODE, text, details)


def _end(state: StepState) -> str:
    if state.failure is not None:
        kind, message = state.failure
        return f"failed: {kind}" if message is None else f"failed: {message} ({kind})"
    at = "" if state.ended_at is None else f" at {_shown(state.ended_at)}"
    return _ENDS.get(state.status, f"is {state.status}") + at
