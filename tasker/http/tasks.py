"""Routes of tasks: create, list, show, update, annotate; why, graph, and who may."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import Field
from starlette.responses import Response

from tasker.clock import from_micros, parse_rfc3339
from tasker.domain.status import TaskStatus
from tasker.errors import Conflict, InvalidRequest
from tasker.http import models, views
from tasker.http.body import decode
from tasker.http.call import Call, Needs, reply
from tasker.http.openapi import refusals, sends, sends_request, written
from tasker.http.points import (
    ANNOTATION,
    Asked,
    Moment,
    PositionParameter,
    ReadsAtQuery,
    TaskId,
    Text,
    annotation,
    moment,
    point,
)
from tasker.projections.filters import DEFAULT_LIMIT, MAX_LIMIT, TaskFilter
from tasker.runtime.metadata import REQUEST_ID, TRACE_PARENT, TRACE_STATE

if TYPE_CHECKING:
    from starlette.datastructures import Headers

router = APIRouter(prefix="/v1", tags=["tasks"])
KEY_HEADER, CORRELATION_HEADER = "idempotency-key", "x-correlation-id"
_IDS = {TRACE_PARENT: "traceparent", TRACE_STATE: "tracestate", REQUEST_ID: "x-request-id"}

Creates = Annotated[Call, Depends(Needs("task:create", sends=True))]
Looks = Annotated[Call, Depends(Needs("task:read"))]
Updates = Annotated[Call, Depends(Needs("task:update", sends=True))]


class TaskQuery(Asked):
    """Which tasks."""

    status: TaskStatus | None = None
    name: Text | None = None
    namespace: Text | None = None
    tag: Text | None = None
    annotation: Annotated[str, Field(max_length=1024, pattern=ANNOTATION)] | None = Field(
        None, description="`type:key=value`; the value is JSON, or else a text."
    )
    dependent_system: Text | None = None
    created_after: Moment | None = None
    limit: Annotated[int, Field(ge=1, le=MAX_LIMIT)] = DEFAULT_LIMIT
    cursor: Annotated[str, Field(max_length=512)] | None = None
    at_least: PositionParameter | None = Field(None, description="Position that the list must show.")


class WhyQuery(Asked):
    """What of a task."""

    step: Text | None = Field(None, description="Only this step.")
    at_least: PositionParameter | None = None


@router.post(
    "/tasks",
    status_code=201,
    response_model=models.Task,
    responses={
        **refusals(404, 409, sends=True),
        **written(201, "It was created."),
        200: {**written(200, "The identity of the request is known: its task.")[200], "model": models.Task},
    },
    openapi_extra={
        **sends_request(),
        "parameters": [
            {
                "name": "Idempotency-Key",
                "in": "header",
                "description": "The same as `idempotency_key` of the body.",
                "schema": {"type": "string", "minLength": 1, "maxLength": 1024},
            }
        ],
    },
)
def create(call: Creates) -> Response:
    """Ask for a task; it is durable when this answers."""
    request = _request(call)
    namespace = request.get("namespace", "default")
    if isinstance(namespace, str):
        call.check_namespace(namespace)
    task = call.engine.submission.submit(request, {}, _ids(call.headers))
    headers = {"Location": f"tasks/{task.id}"}
    status = 201 if task.created else 200
    return reply(views.whole(task, call.mask), status=status, position=task.position, headers=headers)


def _ids(headers: Headers) -> dict[str, str]:
    """Give the ids by which others know this request."""
    return {name: headers[header] for name, header in _IDS.items() if header in headers}


def _request(call: Call) -> dict[str, object]:
    """Give the fields of a request, with what its headers say, and times as values."""
    request = decode(call.raw)
    _take_key(request, call.headers.get(KEY_HEADER))
    if request.get("correlation_id") is None and CORRELATION_HEADER in call.headers:
        request["correlation_id"] = call.headers[CORRELATION_HEADER]
    priority = request.get("priority")
    if isinstance(priority, float) and priority.is_integer():
        request["priority"] = int(priority)
    for name in ("not_before", "requested_at"):
        given = request.get(name)
        if isinstance(given, str):
            request[name] = _time(name, given)
    return request


def _take_key(request: dict[str, object], key: str | None) -> None:
    """Take the header for the body's key.

    Raises:
        Conflict: Both are there and differ.
    """
    inside = request.get("idempotency_key")
    if key is not None and inside is not None and inside != key:
        message = "expected the same key in the header Idempotency-Key and in the body, found two; give one of them"
        raise Conflict(message, field="idempotency_key")
    if key is not None:
        request["idempotency_key"] = key


def _time(name: str, text: str) -> object:
    try:
        return from_micros(parse_rfc3339(text))
    except InvalidRequest as error:
        raise InvalidRequest(f"$.{name}: {error}", problems={f"$.{name}": str(error)}) from None


@router.get("/tasks", response_model=models.TaskPage, responses=refusals(409, 422))
def listed(call: Looks, query: Annotated[TaskQuery, Query()]) -> Response:
    """List tasks, newest first."""
    if query.namespace is not None:
        call.check_namespace(query.namespace)
    wanted = TaskFilter(
        status=query.status,
        name=query.name,
        namespace=query.namespace,
        namespaces=None if call.principal.everywhere else call.principal.namespaces,
        tag=query.tag,
        annotation=annotation(query.annotation),
        dependent_system=query.dependent_system,
        created_after=None if query.created_after is None else moment(query.created_after, "created_after"),
    )
    call.check_reached(query.at_least)
    page = call.engine.reading.tasks(wanted, limit=query.limit, cursor=query.cursor, at_least=query.at_least)
    return reply({"items": [views.summary(one) for one in page.items], "as_of": page.as_of, "cursor": page.cursor})


@router.get("/tasks/{task_id}", response_model=models.Task, responses=refusals(404, 409, 422, 501))
def show(call: Looks, task_id: TaskId, query: ReadsAtQuery) -> Response:
    """Show a task as it is, or as it was."""
    call.check_reached(query.at_least)
    return reply(views.whole(call.task(task_id, point(query.at)), call.mask))


@router.patch(
    "/tasks/{task_id}",
    response_model=models.Task,
    responses={**refusals(404, 409, 501, sends=True), **written(200, "As it then stands.")},
    openapi_extra=sends(models.TaskUpdate),
)
def update(call: Updates, task_id: TaskId) -> Response:
    """Change a task's reason or tags."""
    sent = call.fields(models.TaskUpdate)
    task = call.task(task_id)
    changed = call.engine.operations.update(task.id, call.asks(sent), reason=sent.reason, tags=sent.tags)
    return reply(views.whole(changed, call.mask), position=changed.position)


@router.get("/tasks/{task_id}/annotations", response_model=models.Annotations, responses=refusals(404, 409, 422, 501))
def notes(call: Looks, task_id: TaskId, query: ReadsAtQuery) -> Response:
    """Show what was noted about a task."""
    call.check_reached(query.at_least)
    return reply({"items": views.notes(call.task(task_id, point(query.at)), call.mask)})


@router.post(
    "/tasks/{task_id}/annotations",
    status_code=201,
    response_model=models.Task,
    responses={**refusals(404, 409, 501, sends=True), **written(201, "It was noted.")},
    openapi_extra=sends(models.Annotate, required=True),
)
def annotate(call: Updates, task_id: TaskId) -> Response:
    """Note something about a task."""
    sent = call.fields(models.Annotate)
    task = call.task(task_id)
    noted = call.engine.operations.annotate(task.id, sent.type, sent.annotation, call.asks(sent))
    return reply(views.whole(noted, call.mask), status=201, position=noted.position)


@router.get("/tasks/{task_id}/why", response_model=models.Reasons, responses=refusals(404, 409, 422))
def why(call: Looks, task_id: TaskId, query: Annotated[WhyQuery, Query()]) -> Response:
    """Say what a task waits for, or how it ended."""
    call.check_reached(query.at_least)
    found = call.engine.explanation.why(call.task(task_id).id, query.step)
    return reply({"items": [views.reason(one, call.mask) for one in found]})


@router.get("/tasks/{task_id}/graph", response_model=models.Graph, responses=refusals(404, 409, 422, 501))
def graph(call: Looks, task_id: TaskId, query: ReadsAtQuery) -> Response:
    """Show the steps of a task and what each waits for."""
    call.check_reached(query.at_least)
    task = call.task(task_id, point(query.at))
    return reply(views.graph(task.graph, {step.name: step.status for step in task.sequence}))
