"""Routes of the operators' commands on tasks and steps; each is one entry of a table."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.responses import Response

from tasker.handlers.views import Task
from tasker.http import models, views
from tasker.http.call import Call, Needs, reply
from tasker.http.openapi import Document, refusals, sends, written
from tasker.http.points import ReadsAtQuery, StepName, TaskId, point

router = APIRouter(prefix="/v1/tasks/{task_id}", tags=["commands"])

Looks = Annotated[Call, Depends(Needs("task:read"))]
Updates = Annotated[Call, Depends(Needs("task:update", sends=True))]
Cancels = Annotated[Call, Depends(Needs("task:cancel", sends=True))]
Retries = Annotated[Call, Depends(Needs("task:retry", sends=True))]
Resolves = Annotated[Call, Depends(Needs("step:resolve", sends=True))]

_DONE: dict[int | str, Document] = {
    **refusals(404, 409, 501, sends=True),
    **written(200, "The task as it then stands."),
}
_PLAIN = sends(models.Command)
_RESULTS = sends(models.StepResults)


def _change(call: Call, what: str, task_id: str) -> Response:
    sent = call.fields(models.Command)
    task = call.task(task_id)
    return _answer(call, call.engine.operations.change(what, task.id, call.asks(sent)))


def _answer(call: Call, task: Task) -> Response:
    return reply(views.whole(task, call.mask), position=task.position)


@router.post("/cancel", response_model=models.Task, responses=_DONE, openapi_extra=_PLAIN)
def cancel(call: Cancels, task_id: TaskId) -> Response:
    """Cancel a task and everything in it that has not finished."""
    return _change(call, "cancel", task_id)


@router.post("/pause", response_model=models.Task, responses=_DONE, openapi_extra=_PLAIN)
def pause(call: Updates, task_id: TaskId) -> Response:
    """Start nothing more of a task."""
    return _change(call, "pause", task_id)


@router.post("/resume", response_model=models.Task, responses=_DONE, openapi_extra=_PLAIN)
def resume(call: Updates, task_id: TaskId) -> Response:
    """Let the steps of a task start again."""
    return _change(call, "resume", task_id)


@router.post("/retry", response_model=models.Task, responses=_DONE, openapi_extra=_PLAIN)
def retry(call: Retries, task_id: TaskId) -> Response:
    """Reopen a failed task: every step in error gets a new budget."""
    return _change(call, "retry", task_id)


@router.post("/resolve", response_model=models.Task, responses=_DONE, openapi_extra=_PLAIN)
def resolve(call: Resolves, task_id: TaskId) -> Response:
    """Settle a failed task by hand."""
    return _change(call, "resolve", task_id)


@router.get("/steps", response_model=models.Steps, responses=refusals(404, 409, 422, 501), tags=["steps"])
def steps(call: Looks, task_id: TaskId, query: ReadsAtQuery) -> Response:
    """Show the steps of a task, parents first."""
    call.check_reached(query.at_least)
    return reply({"items": views.steps(call.task(task_id, point(query.at)), call.mask)})


@router.get("/steps/{step}", response_model=models.StepDetail, responses=refusals(404, 409, 422, 501), tags=["steps"])
def step(call: Looks, task_id: TaskId, step: StepName, query: ReadsAtQuery) -> Response:
    """Show a step with its inputs and every attempt."""
    call.check_reached(query.at_least)
    return reply(views.step(call.task(task_id, point(query.at)), step, call.mask))


@router.patch(
    "/steps/{step}", response_model=models.Task, responses=_DONE, openapi_extra=sends(models.StepUpdate), tags=["steps"]
)
def update_step(call: Updates, task_id: TaskId, step: StepName) -> Response:
    """Change what a step reads as its inputs, or its limit of attempts."""
    sent = call.fields(models.StepUpdate)
    task = call.task(task_id)
    by, operations = call.asks(sent), call.engine.operations
    return _answer(call, operations.update_step(task.id, step, by, inputs=sent.inputs, retry_limit=sent.retry_limit))


@router.post(
    "/steps/{step}/reset",
    response_model=models.Task,
    responses=_DONE,
    openapi_extra=sends(models.StepReset),
    tags=["steps"],
)
def reset_step(call: Retries, task_id: TaskId, step: StepName) -> Response:
    """Give a step a new budget."""
    sent = call.fields(models.StepReset)
    task = call.task(task_id)
    return _answer(call, call.engine.operations.reset_step(task.id, step, call.asks(sent), rerun=sent.rerun))


@router.post(
    "/steps/{step}/resolve", response_model=models.Task, responses=_DONE, openapi_extra=_RESULTS, tags=["steps"]
)
def resolve_step(call: Resolves, task_id: TaskId, step: StepName) -> Response:
    """Settle a step by hand; its dependents run."""
    sent = call.fields(models.StepResults)
    task = call.task(task_id)
    return _answer(call, call.engine.operations.resolve_step(task.id, step, call.asks(sent), results=sent.results))


@router.post(
    "/steps/{step}/complete", response_model=models.Task, responses=_DONE, openapi_extra=_RESULTS, tags=["steps"]
)
def complete_step(call: Resolves, task_id: TaskId, step: StepName) -> Response:
    """End the wait of a step."""
    sent = call.fields(models.StepResults)
    task = call.task(task_id)
    return _answer(call, call.engine.operations.complete_step(task.id, step, call.asks(sent), results=sent.results))


@router.post("/steps/{step}/cancel", response_model=models.Task, responses=_DONE, openapi_extra=_PLAIN, tags=["steps"])
def cancel_step(call: Cancels, task_id: TaskId, step: StepName) -> Response:
    """Cancel a step and its descendants."""
    sent = call.fields(models.Command)
    task = call.task(task_id)
    return _answer(call, call.engine.operations.cancel_step(task.id, step, call.asks(sent)))
