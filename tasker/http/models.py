"""What tasks, steps and commands look like in the OpenAPI document; tests hold every answer against it."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from tasker.catalog.publish.envelope import envelope
from tasker.catalog.publish.request import STORABLE
from tasker.domain.definition import NAME
from tasker.domain.status import StepStatus, TaskStatus
from tasker.http.call import HIGHEST
from tasker.runtime.request import LONGEST_WORD


def _whole(value: object) -> object:
    """Read 5.0 as 5: in JSON they are the same number."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


_BLANK = r"\x00-\x20\x7f-\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"  # what \s means depends on who reads it
SCOPE = (
    rf"^(all|namespace:{NAME.pattern}|task:{NAME.pattern}\.{NAME.pattern}|"
    rf"system:[^{_BLANK}]([^\x00-\x1f\x7f-\x9f\u2028\u2029]*[^{_BLANK}])?)$"
)
Moment = Annotated[str, Field(description="RFC 3339, UTC, microseconds.", json_schema_extra={"format": "date-time"})]
Object = Annotated[dict[str, object], Field(description="A JSON object.")]
Word = Annotated[str, Field(max_length=LONGEST_WORD, pattern=STORABLE)]
Version = Annotated[int, Field(ge=1, le=HIGHEST), BeforeValidator(_whole)]
Attempts = Annotated[int, Field(ge=1, le=2**31 - 1), BeforeValidator(_whole)]
Count = Annotated[int, Field(ge=0)]
Event = Annotated[
    dict[str, object],
    WithJsonSchema({key: value for key, value in envelope().items() if not key.startswith("$")}),
]
"""CloudEvents 1.0."""


class Shown(BaseModel):
    """An answer: exactly these members."""

    model_config = ConfigDict(extra="forbid")


class Sent(BaseModel):
    """A body: exactly these members, of exactly these types."""

    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True)


# --- sent ---


class Command(Sent):
    """A command on a task."""

    reason: Word | None = Field(None, description="Why; it is recorded.")
    expected_version: Version | None = Field(
        None, description="The stream_version that was seen; the command is refused (409) if the task has moved on."
    )


class TaskUpdate(Command):
    """New tags or a new reason; what is left out or null stays."""

    tags: list[Word] | None = Field(None, description="Names by which the task is found.")


class Annotate(Command):
    """A note about a task."""

    type: Annotated[str, Field(min_length=1, max_length=LONGEST_WORD, pattern=STORABLE)]
    annotation: dict[str, object] = Field(description="What is noted.")


class StepUpdate(Command):
    """New inputs or a new limit of attempts; what is left out or null stays."""

    inputs: object = Field(None, description="What the step reads in place of the context.")
    retry_limit: Attempts | None = Field(None, description="Attempts at most.")


class StepReset(Command):
    """A new budget for a step."""

    rerun: bool = Field(default=False, description="True to give it a new idempotency key, too.")


class StepResults(Command):
    """Results of a step."""

    results: object = Field(None, description="What its dependents read.")


class Scope(Sent):
    """A scope to pause or to resume."""

    scope: Annotated[str, Field(max_length=300, pattern=SCOPE)] = Field(
        description="all, namespace:NAME, task:NAMESPACE.NAME or system:NAME."
    )
    reason: Word | None = Field(None, description="Why; it is recorded.")


# --- shown ---


class Parent(Shown):
    """The step of another task that asked for this one."""

    task_id: str
    step: str


class TaskSummary(Shown):
    """A task in a list."""

    id: str
    namespace: str
    name: str
    version: str = Field(description="Version of the definition.")
    full_name: str
    status: TaskStatus
    paused: bool
    execution_status: str
    health_status: str
    recommended_action: str | None
    completion_percentage: float
    initiator: str
    source_system: str
    reason: str
    tags: list[str]
    priority: int
    correlation_id: str
    parent: Parent | None
    created_at: Moment | None
    started_at: Moment | None
    completed_at: Moment | None
    stream_version: Version
    position: int = Field(description="Of its last event in the log.")


class StepError(Shown):
    """Why an attempt failed."""

    type: str
    message: object
    kind: str
    http_status: int | None
    code: object
    context: object
    backtrace: object


class Step(Shown):
    """A step of a task."""

    name: str
    description: str
    dependent_system: str
    status: StepStatus
    attempts: Count
    retry_limit: int
    retryable: bool
    skippable: bool
    timeout_seconds: float | None
    backoff: float | None
    worker_id: str | None
    depends_on: list[str]
    started_at: Moment | None
    last_attempted_at: Moment | None
    completed_at: Moment | None
    next_retry_at: Moment | None
    results: object
    error: StepError | None


class Attempt(Shown):
    """One attempt of a step."""

    number: int
    worker_id: str | None
    started_at: Moment
    ended_at: Moment | None
    outcome: str | None
    results: object
    error: StepError | None


class StepDetail(Step):
    """A step with its inputs and every attempt."""

    inputs: object
    history: list[Attempt]


class Annotation(Shown):
    """What was noted about a task; null once it is erased."""

    type: str
    annotation: object
    actor: str | None
    time: Moment


class Task(TaskSummary):
    """A task with its context, its steps and its annotations."""

    not_before: Moment | None
    erased: bool
    context: object
    steps: list[Step]
    annotations: list[Annotation]


class TaskPage(Shown):
    """A page of tasks, newest first."""

    items: list[TaskSummary]
    as_of: int = Field(description="Position of the log that the page shows.")
    cursor: str | None = Field(description="Leads to the next page; null on the last.")


class Annotations(Shown):
    """The annotations of a task, in order."""

    items: list[Annotation]


class AnnotationTypes(Shown):
    """The types of annotations that occur."""

    items: list[str]


class Steps(Shown):
    """The steps of a task, parents first."""

    items: list[Step]


class Events(Shown):
    """A page of events."""

    items: list[Event]
    after: int = Field(description="Where the page ended: give it as `after` for the next one.")
    more: bool = Field(description="False where the page ends at the head of the log, or of the task.")


class Reason(Shown):
    """One thing that a task waits for, or how it ended."""

    step: str | None
    code: str
    text: str
    details: Object


class Reasons(Shown):
    """Everything that a task waits for, or how it ended."""

    items: list[Reason]


class Node(Shown):
    """A step in a graph."""

    name: str
    level: int
    status: StepStatus | None


class Edge(Shown):
    """A step that waits for another one."""

    parent: str
    child: str


class Graph(Shown):
    """The steps and what each waits for."""

    nodes: list[Node]
    edges: list[Edge]
    roots: list[str]
    leaves: list[str]
    depth: int
    widest_level: int


class Problem(BaseModel):
    """Why a request was refused: RFC 9457."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    detail: str
