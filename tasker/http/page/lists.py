"""The pages that list: tasks, definitions, subscriptions, workers; they show what the API answers."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

import orjson
from pydantic import ValidationError

from tasker.domain.status import TaskStatus
from tasker.errors import InvalidRequest
from tasker.http import catalog, control, status, tasks
from tasker.http.page.picture import picture

if TYPE_CHECKING:
    from starlette.responses import Response

    from tasker.http.page.visit import Visit
    from tasker.http.views import Json

FILTERS = ("status", "name", "namespace", "tag", "dependent_system", "annotation", "created_after")
PARKED = 50
"""Parked events of one subscription that are shown."""


def _answered(response: Response) -> Json:
    """Give what the API answers."""
    body: Json = orjson.loads(bytes(response.body))
    return body


def task_list(visit: Visit) -> Response:
    """List tasks, newest first."""
    asked = visit.query(*FILTERS)
    alert = None
    page: Json = {"items": [], "as_of": None, "cursor": None}
    try:
        page = _answered(tasks.listed(visit.call, _query(visit)))
    except InvalidRequest as error:
        alert = str(error)
    counts = _answered(status.status(visit.call))
    values = {
        "here": "tasks",
        "asked": asked,
        "paged": "cursor" in visit.query("cursor"),
        "statuses": [one.value for one in TaskStatus],
        "counts": counts["tasks"],
        "page": page,
        "query": urlencode(asked),
        "without_status": urlencode({name: text for name, text in asked.items() if name != "status"}),
        "alert": alert,
    }
    return visit.render("tasks.html", 200 if alert is None else 422, **values)


def _query(visit: Visit) -> tasks.TaskQuery:
    """Read the filters.

    Raises:
        InvalidRequest: One is none.
    """
    try:
        return tasks.TaskQuery.model_validate(visit.query(*FILTERS, "cursor"))
    except ValidationError as error:
        found = error.errors(include_input=False, include_url=False)
        problems = {str(one["loc"][0]): one["msg"] for one in found}
    raise InvalidRequest("; ".join(f"{name}: {text}" for name, text in problems.items()), problems=problems)


def handler_list(visit: Visit) -> Response:
    """List definitions."""
    return visit.render("handlers.html", here="handlers", items=_answered(catalog.handlers(visit.call))["items"])


def handler_page(visit: Visit) -> Response:
    """Show a definition with its diagram."""
    namespace, name = visit.parameter("namespace"), visit.parameter("name")
    version = visit.query("version").get("version")
    query = catalog.HandlerQuery.model_construct(version=version)
    found = _answered(catalog.handler(visit.call, namespace, name, query))
    definition = visit.call.engine.context.definitions.find(name, namespace, version).definition
    return visit.render("handler.html", here="handlers", definition=found, picture=picture(definition.graph))


def subscription_list(visit: Visit) -> Response:
    """List subscriptions, with their lag and what is parked."""
    items = _answered(control.subscriptions(visit.call))["items"]
    known = visit.call.engine.context.subscriptions
    parked = {
        one["name"]: [row._asdict() | {"error": visit.mask.text(row.error or "")} for row in known.parked(one["name"])]
        for one in (items if isinstance(items, list) else ())
        if one["parked"]
    }
    for one in items if isinstance(items, list) else ():
        one["error"] = None if one["error"] is None else visit.mask.text(one["error"])
    return visit.render("subscriptions.html", here="subscriptions", items=items, parked=parked, most=PARKED)


def worker_list(visit: Visit) -> Response:
    """List workers."""
    return visit.render("workers.html", here="workers", items=_answered(control.workers(visit.call))["items"])
