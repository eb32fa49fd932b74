"""Routes of diagrams: of a task, coloured by status, and of a definition; Mermaid, SVG or JSON by Accept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Depends, Query
from starlette.requests import Request
from starlette.responses import Response

from tasker.http import models, views
from tasker.http.call import Call, Needs, reply
from tasker.http.catalog import HandlerQuery
from tasker.http.drawing import mermaid, svg
from tasker.http.openapi import Document, refusals
from tasker.http.points import Name, ReadsAtQuery, TaskId, point
from tasker.http.problems import Refused

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tasker.domain.graph import Graph

router = APIRouter(prefix="/v1", tags=["diagrams"])
Looks = Annotated[Call, Depends(Needs("task:read"))]

MERMAID, SVG, JSON = "text/vnd.mermaid", "image/svg+xml", "application/json"
_OFFERED = (MERMAID, SVG, JSON)
_OTHER_NAMES = {"text/plain": MERMAID}
_PICTURE: dict[int | str, Document] = {
    200: {
        "description": "The picture, in the media type that Accept prefers; Mermaid where it prefers none.",
        "model": models.Graph,
        "content": {name: {"schema": {"type": "string"}} for name in (MERMAID, SVG)},
    }
}


@router.get(
    "/tasks/{task_id}/diagram", response_class=Response, responses={**refusals(404, 406, 409, 422, 501), **_PICTURE}
)
def of_task(call: Looks, request: Request, task_id: TaskId, query: ReadsAtQuery) -> Response:
    """Draw a task; its steps are coloured by their status."""
    call.check_reached(query.at_least)
    kind = _chosen(request)
    task = call.task(task_id, point(query.at))
    return _drawn(kind, task.graph, {step.name: str(step.status) for step in task.sequence})


@router.get(
    "/handlers/{namespace}/{name}/diagram", response_class=Response, responses={**refusals(404, 406, 422), **_PICTURE}
)
def of_definition(
    call: Looks, request: Request, namespace: Name, name: Name, query: Annotated[HandlerQuery, Query()]
) -> Response:
    """Draw a definition."""
    kind = _chosen(request)
    call.check_definition(namespace, name)
    return _drawn(kind, call.engine.context.definitions.find(name, namespace, query.version).definition.graph, None)


def _drawn(kind: str, graph: Graph, statuses: Mapping[str, str] | None) -> Response:
    if kind == JSON:
        return reply(views.graph(graph, statuses))
    text = mermaid(graph, statuses) if kind == MERMAID else svg(graph, statuses)
    return Response(text, media_type=kind)


def _chosen(request: Request) -> str:
    """Give the media type that the caller prefers.

    Raises:
        Refused: It wants none of those there are.
    """
    wanted = [_weighed(part) for part in request.headers.get("accept", "*/*").split(",") if part.strip()]
    for name, weight in sorted(wanted, key=lambda one: -one[1]):
        named = _OTHER_NAMES.get(name, name)
        for offered in _OFFERED if weight > 0 else ():
            if named in {offered, "*/*", f"{offered.partition('/')[0]}/*"}:
                return offered
    message = f"expected Accept to have one of {', '.join(_OFFERED)}, found {request.headers.get('accept')!r}"
    raise Refused(message, status=406, title="Not acceptable")


def _weighed(part: str) -> tuple[str, float]:
    name, *parameters = (text.strip().lower() for text in part.split(";"))
    for parameter in parameters:
        if parameter.startswith("q="):
            try:
                return name, float(parameter[2:])
            except ValueError:
                return name, 0.0
    return name, 1.0
