"""Routes of what is registered: the event catalogue, and definitions with their handlers."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import Field
from starlette.responses import Response

from tasker.http import views
from tasker.http.call import Call, Needs, reply
from tasker.http.models import Graph, Shown
from tasker.http.openapi import refusals
from tasker.http.points import Asked, Name, Text, Version

if TYPE_CHECKING:
    from tasker.domain.definition import StepTemplate, TaskDefinition

router = APIRouter(prefix="/v1", tags=["catalogue"])
Reading = Annotated[Call, Depends(Needs("event:read"))]
Looks = Annotated[Call, Depends(Needs("task:read"))]

_TEMPLATE = (
    "name", "handler", "description", "dependent_system", "default_retryable", "default_retry_limit", "skippable",
    "timeout_seconds", "heartbeat_timeout_seconds", "retry_delay", "max_delay", "jitter", "enable_exponential_backoff",
)  # fmt: skip


class CatalogEntry(Shown):
    """What the catalogue tells of one event."""

    name: str
    category: str
    description: str
    data_schema: object = Field(alias="schema", description="JSON Schema of the body; null for none.")
    example: object
    emitted_by: str
    declared: bool


class Catalog(Shown):
    """The events that there are."""

    items: list[CatalogEntry]


class HandlerSummary(Shown):
    """A definition by its name."""

    namespace: str
    name: str
    versions: list[str] = Field(description="By precedence, the highest last.")
    description: str
    steps: int


class Handlers(Shown):
    """The definitions that are registered in this process."""

    items: list[HandlerSummary]


class Template(Shown):
    """A step of a definition."""

    name: str
    handler: str
    description: str
    dependent_system: str
    default_retryable: bool
    default_retry_limit: int
    skippable: bool
    timeout_seconds: float | None
    heartbeat_timeout_seconds: float | None
    retry_delay: float
    max_delay: float
    jitter: float
    enable_exponential_backoff: bool
    depends_on: list[str]


class Handler(Shown):
    """A definition."""

    namespace: str
    name: str
    version: str
    full_name: str
    versions: list[str]
    description: str
    concurrent: bool
    timeout_seconds: float | None
    context_schema: object
    steps: list[Template]
    graph: Graph


class CatalogQuery(Asked):
    """Which entries."""

    text: Text | None = Field(None, description="Part of a name or description.")


class HandlerQuery(Asked):
    """Which version."""

    version: Version | None = Field(None, description="Default: the highest.")


@router.get("/catalog", response_model=Catalog, responses=refusals(422))
def catalog(call: Reading, query: Annotated[CatalogQuery, Query()]) -> Response:
    """List the events that there are."""
    known = call.engine.context.catalog
    names = ("name", "category", "description", "schema", "example", "emitted_by", "declared")
    found = known.all() if query.text is None else known.search(query.text)
    return reply({"items": [{name: getattr(one, name) for name in names} for one in found]})


@router.get("/handlers", response_model=Handlers, responses=refusals())
def handlers(call: Looks) -> Response:
    """List the definitions."""
    visible = [one for one in call.engine.context.definitions.all() if call.principal.sees(one.namespace)]
    grouped = groupby(visible, key=lambda one: (one.namespace, one.name))
    return reply({"items": [_summary(list(versions)) for _, versions in grouped]})


def _summary(versions: list[TaskDefinition]) -> views.Json:
    highest = versions[-1]
    return {
        "namespace": highest.namespace,
        "name": highest.name,
        "versions": [one.version for one in versions],
        "description": highest.description,
        "steps": len(highest.step_templates),
    }


@router.get("/handlers/{namespace}/{name}", response_model=Handler, responses=refusals(404, 422))
def handler(call: Looks, namespace: Name, name: Name, query: Annotated[HandlerQuery, Query()]) -> Response:
    """Show a definition."""
    call.check_definition(namespace, name)
    known = call.engine.context.definitions
    found = known.find(name, namespace, query.version).definition
    versions = [one.version for one in known.all() if (one.namespace, one.name) == (namespace, name)]
    shown = {key: getattr(found, key) for key in ("namespace", "name", "version", "full_name", "description")}
    more = {
        "versions": versions,
        "concurrent": found.concurrent,
        "timeout_seconds": found.timeout_seconds,
        "context_schema": found.schema,
        "steps": [_template(one) for one in found.step_templates],
        "graph": views.graph(found.graph),
    }
    return reply(shown | more)


def _template(one: StepTemplate) -> views.Json:
    return {name: getattr(one, name) for name in _TEMPLATE} | {"depends_on": list(one.parents)}
