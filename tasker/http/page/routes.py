"""The routes of the dashboard."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import Response
from starlette.routing import Route

from tasker.http.page import lists, live, signing, task
from tasker.http.page.frame import STATIC, asset, content
from tasker.http.page.sessions import Sessions
from tasker.http.page.visit import guarded

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.requests import Request

_FOR_EVER = "public, max-age=31536000, immutable"


async def static(request: Request) -> Response:
    """Give a file that pages load; its path tells its content, so it may be kept."""
    name = request.path_params["name"]
    if name not in STATIC or request.url.path.rpartition("/static/")[2] != asset(name).rpartition("/static/")[2]:
        return Response("Load the page again: this file has changed.\n", 404, media_type="text/plain")
    return Response(content(name), media_type=STATIC[name], headers={"Cache-Control": _FOR_EVER})


ROUTES = (
    Route("/", guarded("task:read", lists.task_list)),
    Route("/tasks/{task_id}", guarded("task:read", task.task_page)),
    Route("/tasks/{task_id}", guarded("task:read", task.command), methods=["POST"]),
    Route("/handlers", guarded("task:read", lists.handler_list)),
    Route("/handlers/{namespace}/{name}", guarded("task:read", lists.handler_page)),
    Route("/subscriptions", guarded("admin", lists.subscription_list)),
    Route("/workers", guarded("admin", lists.worker_list)),
    Route("/live", guarded("task:read", live.live)),
    Route("/sign-in", signing.sign_in_page),
    Route("/sign-in", signing.sign_in, methods=["POST"]),
    Route("/sign-out", signing.sign_out, methods=["POST"]),
    Route("/static/{digest}/{name}", static),
)
"""Every page, form and file."""


def mount(app: FastAPI) -> None:
    """Put the dashboard into the application."""
    app.state.sessions = Sessions()
    app.state.routes = [*app.state.routes, *ROUTES]
    app.router.routes.extend(ROUTES)
