"""The read-only `Step` that handlers and callers see, and what it shares with the view of its task."""

from __future__ import annotations

from collections import abc
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from tasker.clock import from_micros
from tasker.domain.events import StepError
from tasker.domain.status import FINISHED, StepStatus

if TYPE_CHECKING:
    from datetime import datetime

    from tasker.codec.recorded import RecordedEvent
    from tasker.domain.definition import StepTemplate
    from tasker.domain.steps import StepState
    from tasker.domain.task import Task as TaskState

JsonValue = Any
"""A JSON value that users index freely."""

_UNSET = object()
_ENDS = {
    "step.completed": "completed",
    "step.failed": "failed",
    "step.abandoned": "abandoned",
    "step.waiting": "waiting",
    "step.cancelled": "cancelled",
    "step.resolved_manually": "fenced",
}


class PayloadSource(Protocol):
    """Read the user's bytes of one task's stream; a view asks once for each and copies what it gets."""

    def payload(self, version: int) -> object:
        """Return the payload of the event with this version as a JSON value; None once it is erased."""
        ...

    def history(self) -> abc.Sequence[RecordedEvent]:
        """Return the whole stream up to the version of the view's state, in order."""
        ...


class HistoryEntry(NamedTuple):
    """One attempt of a step.

    Attributes:
        number: The number of the attempt, from 1.
        worker_id: Who ran it.
        started_at: When it started.
        ended_at: When it ended, or None.
        outcome: None while running, then completed, failed, abandoned, waiting, cancelled or fenced.
        results: What it gave.
        error: Why it failed.
    """

    number: int
    worker_id: str | None
    started_at: datetime
    ended_at: datetime | None = None
    outcome: str | None = None
    results: JsonValue = None
    error: StepError | None = None


def copied(value: object) -> object:
    """Copy a JSON value, so that whoever changes the copy changes nothing else."""
    if type(value) is dict:
        return {key: copied(child) for key, child in value.items()}
    if type(value) is list:
        return [copied(child) for child in value]
    return value


def moment(micros: int | None) -> datetime | None:
    """Turn microseconds into an aware datetime; None stays None."""
    return None if micros is None else from_micros(micros)


class TaskFacts:
    """What the views of one task share: its state, the source of its payloads, and what was loaded from it."""

    __slots__ = ("_context", "_events", "_steps", "source", "state")

    def __init__(self, state: TaskState, source: PayloadSource) -> None:
        """Take the state and the source; nothing is loaded yet."""
        self.state = state
        self.source = source
        self._context: object = _UNSET
        self._events: abc.Sequence[RecordedEvent] | None = None
        self._steps: dict[int, Step] = {}

    def payload(self, version: int) -> object:
        """Load a private copy of a payload; None in an erased task."""
        return None if self.state.erased else copied(self.source.payload(version))

    @property
    def context(self) -> JsonValue:
        """Give the context: one copy for all views of this task."""
        if self._context is _UNSET:
            self._context = self.payload(1)
        return self._context

    @property
    def events(self) -> abc.Sequence[RecordedEvent]:
        """Give the stream up to the state's version."""
        if self._events is None:
            self._events = self.source.history()
        return self._events

    def event(self, version: int) -> RecordedEvent:
        """Give one event of the stream."""
        return self.events[version - 1]

    def step(self, number: int) -> Step:
        """Give the view of a step by ordinal, the same one each time."""
        step = self._steps.get(number)
        if step is None:
            step = self._steps[number] = Step(self, number)
        return step


class Step:
    """One step of a task, as of the task's version. Values are private copies."""

    __slots__ = ("_facts", "_history", "_inputs", "_number", "_results", "_state")

    def __init__(self, facts: TaskFacts, number: int) -> None:
        """Take the task's facts and the ordinal of the step."""
        self._facts = facts
        self._number = number
        self._state: StepState = facts.state.steps[number]
        self._inputs: object = _UNSET
        self._results: object = _UNSET
        self._history: tuple[HistoryEntry, ...] | None = None

    @property
    def _template(self) -> StepTemplate:
        return self._facts.state.definition.step_templates[self._number]

    @property
    def name(self) -> str:
        """Give its name."""
        return self._template.name

    @property
    def description(self) -> str:
        """Give its description; its name where none was written."""
        return self._template.description

    @property
    def dependent_system(self) -> str:
        """Give the system it calls, or `unknown`."""
        return self._template.dependent_system

    @property
    def depends_on(self) -> tuple[str, ...]:
        """Give the names of its parents."""
        return self._template.parents

    @property
    def status(self) -> StepStatus:
        """Give its status."""
        return self._state.status

    @property
    def attempts(self) -> int:
        """Give the number of its latest attempt; 0 before the first."""
        return self._state.attempt

    @property
    def retry_limit(self) -> int:
        """Give how many attempts one budget has: the operator's number, else the template's."""
        return self._state.limit or self._template.default_retry_limit

    @property
    def retryable(self) -> bool:
        """Say whether it is tried again at all."""
        return self._template.default_retryable

    @property
    def skippable(self) -> bool:
        """Say whether a request may bypass it."""
        return self._template.skippable

    @property
    def timeout_seconds(self) -> float | None:
        """Give the longest time of one attempt in seconds, or None."""
        return self._template.timeout_seconds

    @property
    def idempotency_key(self) -> str:
        """Give the key that is equal for every attempt: `<task id>:<step>`, with `:<n>` after a rerun."""
        key = f"{self._facts.state.id}:{self._template.name}"
        return f"{key}:{self._state.reruns}" if self._state.reruns else key

    @property
    def inputs(self) -> JsonValue:
        """Give a copy of the task's context, or what an operator put in its place."""
        if self._inputs is _UNSET:
            version = self._state.inputs
            self._inputs = self._facts.payload(version) if version else copied(self._facts.context)
        return self._inputs

    @property
    def results(self) -> JsonValue:
        """Give its results; None before there are any."""
        if self._results is _UNSET:
            self._results = self._loaded_results()
        return self._results

    def _loaded_results(self) -> object:
        if self._state.outcome:
            return self._facts.payload(self._state.outcome)
        skipped = self._state.status is StepStatus.SKIPPED and not self._facts.state.erased
        return {} if skipped else None

    @property
    def error(self) -> StepError | None:
        """Give why its latest attempt failed; None after a success or a reset."""
        if not self._state.error or self._facts.state.erased:
            return None
        return _error(self._facts.event(self._state.error))

    @property
    def started_at(self) -> datetime | None:
        """Give when its first attempt started."""
        if self._state.attempt > 1 and self.history:
            return self.history[0].started_at
        return moment(self._state.started_at)

    @property
    def last_attempted_at(self) -> datetime | None:
        """Give when its latest attempt started."""
        return moment(self._state.started_at)

    @property
    def completed_at(self) -> datetime | None:
        """Give when it was finished: completed, skipped, cancelled or resolved."""
        return moment(self._state.ended_at) if self._state.status in FINISHED else None

    @property
    def next_retry_at(self) -> datetime | None:
        """Give when its next attempt is due, while it waits for one."""
        return moment(self._state.due) if self._state.status is StepStatus.WAITING_FOR_RETRY else None

    @property
    def backoff(self) -> float | None:
        """Give the seconds of the pending delay, after jitter."""
        return self._state.delay

    @property
    def worker_id(self) -> str | None:
        """Give who runs, or ran, its latest attempt."""
        return self._state.worker_id

    @property
    def history(self) -> tuple[HistoryEntry, ...]:
        """Give one entry for each attempt, in order."""
        if self._history is None:
            self._history = _history(self.name, self._facts)
        return self._history

    def __repr__(self) -> str:
        """Show name and status."""
        return f"<{type(self).__name__} {self.name!r} {self.status.value}>"


def _history(name: str, facts: TaskFacts) -> tuple[HistoryEntry, ...]:
    entries: list[HistoryEntry] = []
    for event in facts.events:
        if event.step != name:
            continue
        if event.type == "step.started":
            entries.append(HistoryEntry(event.attempt or 0, _text(event.body.get("worker_id")), event.time))
        elif event.type in _ENDS and entries and entries[-1].outcome is None:
            entries[-1] = _closed(entries[-1], event, erased=bool(facts.state.erased))
    return tuple(entries)


def _closed(entry: HistoryEntry, event: RecordedEvent, *, erased: bool) -> HistoryEntry:
    ended = entry._replace(ended_at=event.time, outcome=_ENDS[event.type])
    if erased:
        return ended
    if event.type == "step.completed":
        return ended._replace(results=copied(event.body.get("results")))
    return ended._replace(error=_error(event)) if event.type == "step.failed" else ended


def _error(event: RecordedEvent) -> StepError | None:
    told = copied(event.body.get("error"))
    return StepError(**told) if isinstance(told, dict) else None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
