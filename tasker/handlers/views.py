"""The read-only `Task` and `Sequence` that handlers and callers see: views over a task's state, loaded when asked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

from tasker.domain import summary
from tasker.handlers.step_view import HistoryEntry, JsonValue, PayloadSource, Step, TaskFacts, copied, moment

if TYPE_CHECKING:
    from datetime import datetime

    from tasker.codec.recorded import RecordedEvent
    from tasker.domain.events import Instant, Parent
    from tasker.domain.graph import Graph
    from tasker.domain.status import TaskStatus
    from tasker.domain.task import Task as TaskState

__all__ = ["Annotation", "HistoryEntry", "PayloadSource", "Sequence", "Step", "Task"]


class Annotation(NamedTuple):
    """Something that was noted about a task; `value` is None once it is erased."""

    type: str
    value: JsonValue
    actor: str | None
    time: datetime


class Sequence:
    """The steps of a task, in topological order."""

    __slots__ = ("_facts",)

    def __init__(self, facts: TaskFacts) -> None:
        """Take the task's facts; use `Task.sequence`."""
        self._facts = facts

    def __iter__(self) -> Iterator[Step]:
        """Go through the steps, parents first."""
        return map(self._facts.step, self._facts.state.definition.graph.order)

    def __len__(self) -> int:
        """Count the steps."""
        return len(self._facts.state.steps)

    def __contains__(self, step: object) -> bool:
        """Say whether there is a step of this name, or this very step."""
        name = step.name if isinstance(step, Step) else step
        return name in self._facts.state.definition.graph.ordinal

    def __getitem__(self, name: str) -> Step:
        """Give a step by name.

        Raises:
            UnknownStep: There is no step of this name; near names are offered.
        """
        return self._facts.step(self._facts.state.number(name))

    def find_step_by_name(self, name: str) -> Step | None:
        """Give a step by name, or None if there is none."""
        number = self._facts.state.definition.graph.ordinal.get(name)
        return None if number is None else self._facts.step(number)

    def __repr__(self) -> str:
        """Show the steps."""
        return f"<Sequence {list(self)!r}>"


class _StepsByName(Mapping[str, Step]):
    """The steps by name, in topological order."""

    __slots__ = ("_facts",)

    def __init__(self, facts: TaskFacts) -> None:
        self._facts = facts

    def __getitem__(self, name: str) -> Step:
        return self._facts.step(self._facts.state.definition.graph.ordinal[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._facts.state.definition.graph.topological_order)

    def __len__(self) -> int:
        return len(self._facts.state.steps)

    def __repr__(self) -> str:
        return repr(dict(self))


class Task:
    """A task as of one version of its stream. Values are private copies; an erased task's read as None."""

    __slots__ = ("_facts", "_now", "created", "position")

    def __init__(
        self,
        state: TaskState,
        source: PayloadSource,
        *,
        position: int = 0,
        created: bool = False,
        now: Instant | None = None,
    ) -> None:
        """Look at a state.

        Args:
            state: The state of the task.
            source: Where its payloads and its history are read from.
            position: Place of its last event in the log.
            created: False where a known identity was submitted again.
            now: The present time, by which the summaries tell what is due; the time of the last event if left out.
        """
        self._facts = TaskFacts(state, source)
        self._now = now
        self.created = created
        self.position = position

    @property
    def facts(self) -> TaskFacts:
        """Give what the views of this task share; for the engine."""
        return self._facts

    @property
    def id(self) -> str:
        """Give its id, a UUIDv7 as text."""
        return self._facts.state.id

    @property
    def name(self) -> str:
        """Give the name of its definition."""
        return self._facts.state.definition.name

    @property
    def namespace(self) -> str:
        """Give the namespace of its definition."""
        return self._facts.state.definition.namespace

    @property
    def version(self) -> str:
        """Give the version of its definition; `stream_version` is that of the task."""
        return self._facts.state.definition.version

    @property
    def full_name(self) -> str:
        """Give `namespace.name@version`."""
        return self._facts.state.definition.full_name

    @property
    def status(self) -> TaskStatus:
        """Give its status."""
        return self._facts.state.status

    @property
    def paused(self) -> bool:
        """Say whether its starts are stopped."""
        return self._facts.state.pause is not None

    @property
    def erased(self) -> bool:
        """Say whether the user's bytes are gone."""
        return bool(self._facts.state.erased)

    @property
    def context(self) -> JsonValue:
        """Give the context of the request."""
        return self._facts.context

    @property
    def steps(self) -> Mapping[str, Step]:
        """Give the steps by name, in topological order."""
        return _StepsByName(self._facts)

    @property
    def sequence(self) -> Sequence:
        """Give the steps as handlers see them."""
        return Sequence(self._facts)

    def step(self, name: str) -> Step:
        """Give a step by name.

        Raises:
            UnknownStep: There is no step of this name; near names are offered.
        """
        return self._facts.step(self._facts.state.number(name))

    @property
    def annotations(self) -> tuple[Annotation, ...]:
        """Give what was noted about it, in order."""
        return tuple(_annotation(self._facts.event(version)) for version in self._facts.state.annotations)

    @property
    def tags(self) -> tuple[str, ...]:
        """Give its tags."""
        return self._facts.state.request.tags

    @property
    def initiator(self) -> str:
        """Give who asked for it."""
        return self._facts.state.request.initiator

    @property
    def source_system(self) -> str:
        """Give the system that asked for it."""
        return self._facts.state.request.source_system

    @property
    def reason(self) -> str:
        """Give why it was asked for."""
        return self._facts.state.request.reason

    @property
    def priority(self) -> int:
        """Give its priority, -100 to 100."""
        return self._facts.state.request.priority

    @property
    def not_before(self) -> datetime | None:
        """Give the time before which no step starts, or None."""
        return moment(self._facts.state.request.not_before)

    @property
    def correlation_id(self) -> str:
        """Give the id that joins it with what happens elsewhere."""
        return self._facts.state.request.correlation_id or self._facts.state.id

    @property
    def parent(self) -> Parent | None:
        """Give the step of another task that asked for it (task_id, step), or None."""
        return self._facts.state.request.parent

    @property
    def created_at(self) -> datetime | None:
        """Give when it was accepted."""
        return moment(self._facts.state.created_at)

    @property
    def started_at(self) -> datetime | None:
        """Give when its first step started."""
        return moment(self._facts.state.started_at)

    @property
    def completed_at(self) -> datetime | None:
        """Give when it ended, in whatever way."""
        return moment(self._facts.state.ended_at)

    @property
    def stream_version(self) -> int:
        """Give the version of its last event."""
        return self._facts.state.version

    @property
    def graph(self) -> Graph:
        """Give the shape of its definition."""
        return self._facts.state.definition.graph

    @property
    def execution_status(self) -> str:
        """Say in a word what it is doing."""
        return summary.execution_status(self._facts.state, self._now)

    @property
    def health_status(self) -> str:
        """Say whether it is healthy, recovering or blocked."""
        return summary.health_status(self._facts.state)

    @property
    def completion_percentage(self) -> float:
        """Give the share of its steps that are satisfied, 0 to 100, with two decimals."""
        return summary.completion_percentage(self._facts.state)

    @property
    def recommended_action(self) -> str | None:
        """Name the command that a person should give next; None where nothing is asked of people."""
        return summary.recommended_action(self._facts.state)

    def __repr__(self) -> str:
        """Show name, id and status."""
        return f"<Task {self.full_name} {self.id} {self.status.value}>"


def _annotation(event: RecordedEvent) -> Annotation:
    body = event.body
    return Annotation(str(body.get("type")), copied(body.get("annotation")), event.actor, event.time)
