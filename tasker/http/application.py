"""The ASGI application of one engine; it can be mounted into another one."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from tasker.errors import TaskerError
from tasker.http import (
    analytics,
    catalog,
    commands,
    control,
    diagrams,
    docs,
    events,
    metrics,
    openapi,
    problems,
    status,
    tasks,
)
from tasker.http.admission import Admission
from tasker.http.call import Service
from tasker.http.feed import Feed
from tasker.http.headers import Headers
from tasker.http.health import Remembered, versions
from tasker.http.page import routes as page

if TYPE_CHECKING:
    from tasker.runtime.engine import Engine

_ABOUT = (
    "Run multi-step tasks on an event log, look into them, and steer them. Errors are problem documents (RFC 9457). "
    "A write answers with the header Tasker-Position; give it as `at_least` to a read that must show it."
)


_PARTS = (events, tasks, commands, diagrams, catalog, control, analytics, status, metrics)
_ROUTERS = tuple(part.router for part in _PARTS)


def routes() -> list[APIRoute]:
    """Give every route of the API."""
    return [route for router in _ROUTERS for route in router.routes if isinstance(route, APIRoute)]


class Api(FastAPI):
    """The application, with an exact OpenAPI document."""

    def openapi(self) -> openapi.Document:
        """Give the document."""
        return openapi.document(self, routes())


def build(engine: Engine) -> Api:
    """Make the application.

    Args:
        engine: The use cases; nothing is opened or started here.

    Raises:
        InvalidDefinition: The settings name an authenticator that does not exist, or a hash that is none.
    """
    context = engine.context
    app = Api(
        title="Tasker",
        version=str(versions()["tasker"]),
        description=_ABOUT,
        exception_handlers={
            TaskerError: problems.on_tasker_error,
            RequestValidationError: problems.on_invalid,
            HTTPException: problems.on_http,
            Exception: problems.on_fault,
        },
        strict_content_type=False,
        redirect_slashes=False,
        docs_url=None,
        redoc_url=None,
    )
    app.state.service = Service.of(engine, Feed(context.log), Remembered(partial(status.made, engine)))
    app.state.routes = routes()
    app.state.metrics = metrics.Metrics(engine)
    app.router.routes.extend(routes())  # one flat list: a router inside a router is looked through more slowly
    page.mount(app)
    app.router.routes.append(docs.ROUTE)
    app.add_middleware(Admission)
    app.add_middleware(Headers)
    return app
