"""What the OpenAPI document says beyond the routes: refusals, bodies, keys; and the document itself."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute

from tasker.catalog.publish.request import Bounds, task_request
from tasker.http.call import POSITION, Needs
from tasker.http.models import Problem
from tasker.http.problems import MEDIA_TYPE
from tasker.runtime.request import HIGHEST_PRIORITY, LONGEST_KEY, LONGEST_WORD

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fastapi import FastAPI
    from pydantic import BaseModel

Document = dict[str, Any]

_WHY = {
    400: "The body is no JSON.",
    401: "Nobody known calls; names the permission.",
    403: "The caller has not the permission, or not in this namespace.",
    404: "There is no such thing, or it is none of the caller's.",
    406: "The route has none of the wanted media types.",
    408: "The body came too slowly.",
    409: "It is not legal in the present state, or the task has moved on.",
    413: "Something is over its size limit.",
    415: "The body is not sent as JSON.",
    422: "A parameter or a field is wrong; `problems` names each.",
    431: "The head is too long.",
    501: "A newer release wrote the task.",
    503: "The log is full, cannot be reached or has not come so far; try again after Retry-After.",
}
_BODY = (400, 408, 413, 415, 422)
_KEYS = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "An API key, or what the authenticator takes."},
    "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
}


def refusals(*statuses: int, sends: bool = False) -> dict[int | str, Document]:
    """Give the refusals of a route for the document.

    Args:
        statuses: Beyond those that every guarded route has.
        sends: True for a route that takes a body.
    """
    found = sorted({401, 403, 431, 503, *statuses, *(_BODY if sends else ())})
    schema = {"$ref": "#/components/schemas/Problem"}
    return {status: {"description": _WHY[status], "content": {MEDIA_TYPE: {"schema": schema}}} for status in found}


def written(status: int, means: str) -> dict[int | str, Document]:
    """Give a success that tells the position of what was written."""
    header = {"description": "Position of the last event.", "schema": {"type": "integer", "minimum": 0}}
    return {status: {"description": means, "headers": {POSITION: header}}}


def sends(model: type[BaseModel], *, required: bool = False) -> Document:
    """Give the body of a route for the document."""
    return _body(model.model_json_schema(), required=required)


@cache
def sends_request() -> Document:
    """Give the body of a request for a task: the same schema as everywhere."""
    schema = task_request(Bounds(LONGEST_WORD, LONGEST_KEY, HIGHEST_PRIORITY))
    return _body({key: value for key, value in schema.items() if key != "$schema"}, required=True)


def _body(schema: Document, *, required: bool) -> Document:
    return {"requestBody": {"required": required, "content": {"application/json": {"schema": schema}}}}


def document(app: FastAPI, routes: Iterable[APIRoute]) -> Document:
    """Write the document once; the routes tell which permission each needs."""
    if not app.openapi_schema:
        found = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
        components = found.setdefault("components", {})
        schemas = components.setdefault("schemas", {})
        schemas["Problem"] = Problem.model_json_schema()
        for unused in ("HTTPValidationError", "ValidationError"):
            schemas.pop(unused, None)
        components["securitySchemes"] = _KEYS
        found["paths"]["/v1/tasks"]["post"] |= sends_request()  # the encoder leaves out what is null by default
        for route in routes:
            _tell_guard(found, route)
        app.openapi_schema = found
    return app.openapi_schema


def _tell_guard(found: Document, route: APIRoute) -> None:
    """Name the permission that a route needs."""
    for dependency in route.dependant.dependencies:
        if isinstance(dependency.call, Needs):
            for method in route.methods or ():
                operation = found["paths"][route.path_format][method.lower()]
                operation["security"] = [{"bearer": []}, {"key": []}]
                operation["x-permission"] = dependency.call.permission
