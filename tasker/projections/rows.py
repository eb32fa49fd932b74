"""Rows of the read models as pure functions of a task, so that serving step by step equals rebuilding."""

from __future__ import annotations

from functools import lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple

from tasker.codec.jsonbytes import Json, dumps, loads
from tasker.codec.registry import upcast
from tasker.domain import summary
from tasker.domain.events import TaskAnnotated
from tasker.domain.status import StepStatus

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tasker.codec.rows import StreamHeader
    from tasker.domain.definition import TaskDefinition
    from tasker.domain.events import Parent, TaskCreated
    from tasker.domain.task import Request, Task
    from tasker.fold.bulk import TaskSums

    Asked = TaskCreated | Request
    """What the request for a task said, either way it is kept."""

Column = str | bytes | int | float | bool | None
Row = tuple[Column, ...]

FIXED = (
    "created", "stream_id", "namespace", "name", "version", "digest", "initiator", "source_system", "priority",
    "correlation_id", "parent", "created_at",
)  # fmt: skip
"""Columns of a task that never change."""

CHANGING = (
    "status", "paused", "reason", "tags", "started_at", "completed_at", "execution_status", "health_status",
    "completion_percentage", "recommended_action", "steps", "stream_version", "position",
)  # fmt: skip
"""Columns of a task that its events change."""

STEP = (
    "task", "number", "name", "dependent_system", "status", "attempts", "retry_limit", "worker_id", "started_at",
    "completed_at", "due", "error_type",
)  # fmt: skip
"""Columns of a step."""

ANNOTATION = ("task", "stream_version", "type", "value", "actor", "time")
"""Columns of an annotation; the value is JSON, NULL once it is erased."""

_STATUSES = tuple(status.value for status in StepStatus)
_WHOLE = 2**53  # beyond it a float is no exact whole number
_MATCH_BYTES = 16


class TaskRow(NamedTuple):
    """A task as a list shows it.

    Times are microseconds since the epoch (UTC).

    Attributes:
        id: The task id.
        namespace: Of its definition.
        name: Of its definition.
        version: Of its definition.
        digest: The 32 bytes that name its definition.
        status: The task's status.
        paused: Whether it is paused.
        initiator: Who asked for it.
        source_system: Where the request came from.
        reason: Why.
        tags: Its tags.
        priority: From -100 to 100.
        correlation_id: What joins it with other work.
        parent: Task id and step that asked for it, or None.
        created_at: When it was created.
        started_at: When its first attempt began.
        completed_at: When it ended.
        execution_status: What it is doing.
        health_status: Whether something is wrong.
        completion_percentage: From 0 to 100.
        recommended_action: The next command for a person, or None.
        steps: How many steps have each status.
        stream_version: Version of its last event.
        position: Position of its last event.
        created: Position of its first event.
    """

    id: str
    namespace: str
    name: str
    version: str
    digest: bytes
    status: str
    paused: bool
    initiator: str
    source_system: str
    reason: str
    tags: tuple[str, ...]
    priority: int
    correlation_id: str
    parent: Parent | None
    created_at: int
    started_at: int | None
    completed_at: int | None
    execution_status: str
    health_status: str
    completion_percentage: float
    recommended_action: str | None
    steps: Mapping[str, int]
    stream_version: int
    position: int
    created: int


def fixed(task: Task, header: StreamHeader, stream_id: bytes, created: int) -> Row:
    """Give the columns `FIXED`.

    Args:
        task: The task.
        header: The row of its stream.
        stream_id: Its id.
        created: Position of its first event.
    """
    return _fixed(task.request, header, stream_id, created, task.created_at or 0)


def task(stream_id: bytes, header: StreamHeader, sums: TaskSums, asked: Asked) -> Row:
    """Give the columns `FIXED` and `CHANGING` of a task that was folded from columns.

    Args:
        stream_id: Its id.
        header: The row of its stream.
        sums: What the columns of its events say.
        asked: What the data of its events say.
    """
    return (
        *_fixed(asked, header, stream_id, sums.created, sums.created_at),
        sums.status,
        sums.paused,
        asked.reason,
        tags_text(asked.tags),
        sums.started_at,
        sums.completed_at,
        sums.execution_status,
        sums.health_status,
        sums.completion_percentage,
        sums.recommended_action,
        sums.steps,
        sums.version,
        sums.position,
    )


def _fixed(asked: Asked, header: StreamHeader, stream_id: bytes, created: int, created_at: int) -> Row:
    return (
        created,
        stream_id,
        header.namespace,
        header.task_name,
        header.task_version,
        header.definition_digest,
        asked.initiator,
        asked.source_system,
        asked.priority,
        asked.correlation_id,
        None if asked.parent is None else dumps(list(asked.parent)).decode(),
        created_at,
    )


def changing(task: Task, position: int) -> Row:
    """Give the columns `CHANGING`.

    Args:
        task: The task.
        position: Position of its last event.
    """
    return (
        task.status.value,
        task.pause is not None,
        task.request.reason,
        tags_text(task.request.tags),
        task.started_at,
        task.ended_at,
        summary.execution_status(task),
        summary.health_status(task),
        summary.completion_percentage(task),
        summary.recommended_action(task),
        _counts(task.counts),
        task.version,
        position,
    )


def step(task: Task, created: int, number: int) -> Row:
    """Give the columns `STEP` of one step; they change with events of this very step only.

    Args:
        task: The task.
        created: Position of its first event.
        number: Ordinal of the step.
    """
    state, template = task.steps[number], task.definition.step_templates[number]
    return (
        created,
        number,
        template.name,
        template.dependent_system,
        state.status.value,
        state.attempt,
        state.limit or template.default_retry_limit,
        state.worker_id if state.status is StepStatus.IN_PROGRESS else None,
        state.started_at,
        state.ended_at,
        state.due,
        None if state.failure is None else state.failure[0],
    )


def systems(task: Task) -> Iterable[str]:
    """Give the systems that the steps of a task depend on, each once."""
    return systems_of(task.definition)


def systems_of(definition: TaskDefinition) -> Iterable[str]:
    """Give the systems that the steps of a definition depend on, each once."""
    return dict.fromkeys(template.dependent_system for template in definition.step_templates)


class Annotated(NamedTuple):
    """The stored columns of a `task.annotated` that an annotation's row is made of."""

    stream_version: int
    schema_version: int
    time: int
    actor: str | None
    data: bytes
    payload: bytes | None


def annotation(created: int, stored: Annotated) -> Row:
    """Give the columns `ANNOTATION`.

    Args:
        created: Position of the task's first event.
        stored: What the log has.
    """
    data = loads(stored.data)
    read = upcast(TaskAnnotated.type, stored.schema_version, data if isinstance(data, dict) else {})
    return created, stored.stream_version, str(read.get("type")), stored.payload, stored.actor, stored.time


def matches(kind: str, value: bytes | None) -> list[bytes]:
    """Give what an annotation is found by: one digest for each key of its value.

    Args:
        kind: The type of the annotation.
        value: Its JSON, or None once it is erased.
    """
    read = None if value is None else loads(value)
    return [match(kind, key, one) for key, one in read.items()] if isinstance(read, dict) else []


def match(kind: str, key: str, value: Json) -> bytes:
    """Give 16 bytes that are equal for equal JSON values under the same key of annotations of the same type.

    Raises:
        TypeError: The value is no JSON.
    """
    return sha256(dumps([kind, key, _equal(value)])).digest()[:_MATCH_BYTES]


def _equal(value: Json) -> Json:
    """Spell numbers alike: 1 and 1.0 are one JSON value."""
    if isinstance(value, float) and value.is_integer() and abs(value) < _WHOLE:
        return int(value)
    if isinstance(value, dict):
        return {key: _equal(one) for key, one in value.items()}
    return [_equal(one) for one in value] if isinstance(value, list | tuple) else value


@lru_cache(maxsize=4096)
def tags_text(tags: tuple[str, ...]) -> str:
    """Write the column `tags`."""
    return dumps(tags).decode()


def tags_of(text: str) -> tuple[str, ...]:
    """Read the column `tags`."""
    read = loads(text.encode())
    return tuple(str(tag) for tag in read) if isinstance(read, list) else ()


@lru_cache(maxsize=4096)
def _counts(counts: Sequence[int]) -> str:
    return dumps(dict(zip(_STATUSES, counts, strict=True))).decode()
