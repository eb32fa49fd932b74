"""Tasks, steps and events as JSON, as one caller may see them."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from tasker.clock import micros, rfc3339
from tasker.codec.decode import id_bytes
from tasker.domain.definition import CustomEvent
from tasker.domain.status import StepStatus
from tasker.errors import InvalidRequest, UnknownTask

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from tasker.codec.recorded import RecordedEvent
    from tasker.domain.definition import TaskDefinition
    from tasker.domain.graph import Graph
    from tasker.domain.why import Reason
    from tasker.handlers.step_view import HistoryEntry
    from tasker.handlers.views import Annotation, Step, Task
    from tasker.http.masking import Mask
    from tasker.runtime.context import Context

Json = dict[str, object]

_STEP = (
    "name", "description", "dependent_system", "status", "attempts", "retry_limit", "retryable", "skippable",
    "timeout_seconds", "backoff", "worker_id",
)  # fmt: skip


def moment(value: datetime | None) -> str | None:
    """Write a time: RFC 3339, UTC, microseconds."""
    return None if value is None else rfc3339(micros(value))


def summary(task: Task) -> Json:
    """Show what a list has of a task; of one from a list nothing is loaded for it."""
    return {
        "id": task.id,
        "namespace": task.namespace,
        "name": task.name,
        "version": task.version,
        "full_name": f"{task.namespace}.{task.name}@{task.version}",
        "status": task.status,
        "paused": task.paused,
        "execution_status": task.execution_status,
        "health_status": task.health_status,
        "recommended_action": task.recommended_action,
        "completion_percentage": task.completion_percentage,
        "initiator": task.initiator,
        "source_system": task.source_system,
        "reason": task.reason,
        "tags": list(task.tags),
        "priority": task.priority,
        "correlation_id": task.correlation_id,
        "parent": None if task.parent is None else task.parent._asdict(),
        "created_at": moment(task.created_at),
        "started_at": moment(task.started_at),
        "completed_at": moment(task.completed_at),
        "stream_version": task.stream_version,
        "position": task.position,
    }


def whole(task: Task, mask: Mask) -> Json:
    """Show a task with its context, its steps and its annotations."""
    definition = task.facts.state.definition
    return summary(task) | {
        "not_before": moment(task.not_before),
        "erased": task.erased,
        "context": mask.described(task.context, definition.schema),
        "steps": steps(task, mask),
        "annotations": notes(task, mask),
    }


def notes(task: Task, mask: Mask) -> list[Json]:
    """Show what was noted about a task."""
    return [_annotation(one, mask) for one in task.annotations]


def _annotation(one: Annotation, mask: Mask) -> Json:
    return {"type": one.type, "annotation": mask.value(one.value), "actor": one.actor, "time": moment(one.time)}


def steps(task: Task, mask: Mask) -> list[Json]:
    """Show the steps of a task in topological order; whatever has to be read is read once for all of them."""
    facts = task.facts
    states = facts.state.steps
    again = any(state.attempt > 1 for state in states)
    firsts = {e.step: e.time for e in reversed(facts.events) if e.type == "step.started"} if again else {}
    return [_step(task, step, mask, firsts) for step in task.sequence]


def _step(task: Task, step: Step, mask: Mask, firsts: Mapping[str | None, datetime]) -> Json:
    shown: Json = {name: getattr(step, name) for name in _STEP}
    return shown | {
        "depends_on": list(step.depends_on),
        "started_at": moment(firsts.get(step.name, step.last_attempted_at)),
        "last_attempted_at": moment(step.last_attempted_at),
        "completed_at": moment(step.completed_at),
        "next_retry_at": moment(step.next_retry_at),
        "results": mask.value(_results(task, step)),
        "error": _error(step.error, mask),
    }


def _results(task: Task, step: Step) -> object:
    """Give the results from the stream that is read once, not by a query for each step."""
    facts = task.facts
    version = facts.state.step(step.name).outcome
    if version and not facts.state.erased:
        return facts.event(version).body.get("results")
    return {} if step.status is StepStatus.SKIPPED and not facts.state.erased else None


def step(task: Task, name: str, mask: Mask) -> Json:
    """Show a step with its inputs and every attempt.

    Raises:
        UnknownStep: There is no step of this name.
    """
    one = task.step(name)
    schema = task.facts.state.definition.schema
    return _step(task, one, mask, {name: one.started_at} if one.started_at else {}) | {
        "inputs": mask.described(one.inputs, schema),
        "history": [_attempt(entry, mask) for entry in one.history],
    }


def _attempt(entry: HistoryEntry, mask: Mask) -> Json:
    return {
        "number": entry.number,
        "worker_id": entry.worker_id,
        "started_at": moment(entry.started_at),
        "ended_at": moment(entry.ended_at),
        "outcome": entry.outcome,
        "results": mask.value(entry.results),
        "error": _error(entry.error, mask),
    }


def _error(value: object, mask: Mask) -> Json | None:
    if value is None:
        return None
    names = ("type", "message", "kind", "http_status", "code", "context", "backtrace")
    shown = mask.value({name: getattr(value, name) for name in names})
    return shown if isinstance(shown, dict) else None


def reason(one: Reason, mask: Mask) -> Json:
    """Show one reason of `why`."""
    details = mask.value(dict(one.details))
    return {"step": one.step, "code": one.code, "text": mask.text(one.text), "details": details}


def graph(shape: Graph, statuses: Mapping[str, str] | None = None) -> Json:
    """Show the steps and what each waits for.

    Args:
        shape: The graph of a definition or a task.
        statuses: The status of each step; None for a definition.
    """
    names: Sequence[str] = shape.topological_order
    return {
        "nodes": [
            {"name": name, "level": shape.levels[name], "status": None if statuses is None else statuses[name]}
            for name in names
        ],
        "edges": [{"parent": parent, "child": name} for name in names for parent in shape.parents(name)],
        "roots": list(shape.roots),
        "leaves": list(shape.leaves),
        "depth": shape.depth,
        "widest_level": shape.widest_level,
    }


def event(one: RecordedEvent, mask: Mask, context: Context) -> Json:
    """Show an event as CloudEvents 1.0."""
    told = one.cloudevent()
    if not mask.whole:
        told["data"] = _masked_body(one, mask, context)
    return told


def _masked_body(one: RecordedEvent, mask: Mask, context: Context) -> object:
    body = dict(one.body)
    if one.namespace is None:
        return mask.value(body)
    definition = _pinned(one, context)
    if one.type.partition(".")[0] in {"task", "step"}:
        for key in body.keys() & {"context", "inputs"}:
            body[key] = mask.described(body[key], definition.schema)
        return mask.value(body)
    return mask.described(body, _declared(one.type, definition, context))


def _pinned(one: RecordedEvent, context: Context) -> TaskDefinition:
    """Give the definition to which the task of an event is pinned."""
    header = context.log().header(id_bytes(one.stream_id))
    if header is None:
        raise UnknownTask(f"expected the id of a task of this log, found {one.stream_id}, which it does not hold")
    return context.plans.get(header.definition_digest).definition


def _declared(name: str, definition: TaskDefinition, context: Context) -> Mapping[str, object] | None:
    """Give the schema of a custom event: by the pinned definition, else by the catalogue."""
    for template in definition.step_templates:
        for declared in template.custom_events:
            if isinstance(declared, CustomEvent) and declared.name == name and declared.schema is not None:
                return declared.schema
    with contextlib.suppress(InvalidRequest):  # nobody has declared it here
        return context.catalog.info(name).schema
    return None
