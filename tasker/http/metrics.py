"""The route of metrics, in the text formats of Prometheus."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from tasker.http.auth import ALL, forbidden
from tasker.http.call import Call, Needs
from tasker.http.openapi import refusals
from tasker.runtime import gauges
from tasker.telemetry.exposition import Exposition

if TYPE_CHECKING:
    from tasker.runtime.engine import Engine

router = APIRouter()
Looks = Annotated[Call, Depends(Needs("task:read"))]
_SHOWN = {
    "description": "The metrics of this process.",
    "content": {kind: {"schema": {"type": "string"}} for kind in ("text/plain", "application/openmetrics-text")},
}


class Metrics:
    """What one API shows; scrapes take turns."""

    def __init__(self, engine: Engine) -> None:
        """Take whose metrics; nothing is read before a scrape."""
        self._engine = engine
        self._shown = Exposition(engine.context.telemetry)
        self._lock = Lock()

    def render(self, accept: str) -> tuple[bytes, str]:
        """Read the gauges and write everything; gives bytes and content type."""
        found = gauges.all_of(self._engine)
        with self._lock:
            return self._shown.render(found, accept)


@router.get("/metrics", response_class=Response, responses={200: _SHOWN, **refusals()}, tags=["health"])
def metrics(call: Looks, request: Request) -> Response:
    """Show the metrics of this process; for a caller of all namespaces."""
    if not call.principal.sees(None):
        raise forbidden(call.principal, call.permission, ALL)
    shown: Metrics = request.app.state.metrics
    body, content_type = shown.render(call.headers.get("accept", ""))
    return Response(body, headers={"Content-Type": content_type})
