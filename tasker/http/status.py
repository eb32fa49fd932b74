"""Routes of health, and of what occurs: live, ready, status, annotation types."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from tasker.clock import rfc3339
from tasker.http import counts, health, models
from tasker.http.call import Call, Needs, Service, reply
from tasker.http.models import Count, Moment, Shown
from tasker.http.openapi import refusals
from tasker.http.points import ReadsQuery

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tasker.http.auth import Principal
    from tasker.http.views import Json
    from tasker.runtime.engine import Engine
    from tasker.runtime.health import Checked

router = APIRouter()
Looks = Annotated[Call, Depends(Needs("task:read"))]
OK, FAILED = "ok", "failed"
_CATCH_UP_SECONDS = 2.0


class Live(Shown):
    """The process answers."""

    status: str


class Check(Shown):
    """What one check found."""

    ok: bool
    ms: float
    error: str | None


class Ready(Shown):
    """Whether the process can work."""

    status: str
    checks: dict[str, Check]


class Lag(Shown):
    """How far somebody who reads the log has come."""

    state: str
    checkpoint: int
    lag: Count


class Status(Shown):
    """How everything stands that the caller may look into."""

    time: Moment
    tasks: dict[str, int]
    steps: dict[str, int]
    waiting_retries: Count
    head: Count
    projections: Lag
    subscriptions: dict[str, Lag]
    workers: dict[str, int]
    checks: dict[str, Check]
    versions: dict[str, str]


@router.get("/health/live", response_model=Live, tags=["health"])
async def live() -> Response:
    """Answer while the process lives."""
    return reply({"status": OK})


@router.get(
    "/health/ready",
    response_model=Ready,
    responses={503: {"model": Ready, "description": "Something does not work."}},
    tags=["health"],
)
async def ready(request: Request) -> Response:
    """Say whether the process can work."""
    service: Service = request.app.state.service
    checks = await health.ready(service.engine.health)
    well = all(one.ok for one in checks.values())
    body = {"status": OK if well else FAILED, "checks": _shown(checks)}
    return reply(body, status=200 if well else 503)


@router.get("/health/status", response_model=Status, responses=refusals(), tags=["health"])
def status(call: Looks) -> Response:
    """Say how everything stands; at most 15 s old."""
    return reply(_sifted(call.service.status.get(), call.principal))


def _shown(checks: Mapping[str, Checked]) -> Json:
    return {name: one._asdict() for name, one in checks.items()}


def made(engine: Engine) -> Json:
    """Find out how everything stands, over all namespaces."""
    context = engine.context
    projections = context.projections.status()
    return {
        "time": rfc3339(context.office.now()),
        "counts": counts.by_status(context),
        "head": projections.head,
        "projections": {"state": projections.state, "checkpoint": projections.checkpoint, "lag": projections.lag},
        "subscriptions": {
            one.name: {"state": one.state, "checkpoint": one.checkpoint, "lag": one.lag}
            for one in context.subscriptions.list()
        },
        "workers": dict(Counter(one.state for one in engine.membership.workers())),
        "checks": _shown(engine.health.ready()),
        "versions": health.versions(),
    }


def _sifted(made: Json, principal: Principal) -> Json:
    """Count what a caller may look into."""
    kept = {key: value for key, value in made.items() if key != "counts"}
    found = made["counts"]
    for kind in ("tasks", "steps"):
        total: Counter[str] = Counter()
        of_kind = found[kind] if isinstance(found, dict) else {}
        for namespace, some in of_kind.items():
            if principal.sees(namespace):
                total.update(some)
        kept[kind] = dict(total)
        kept["waiting_retries"] = total["waiting_for_retry"]
    return kept


@router.get("/v1/annotation-types", response_model=models.AnnotationTypes, responses=refusals(409, 422), tags=["tasks"])
def annotation_types(call: Looks, query: ReadsQuery) -> Response:
    """List the types of annotations that occur."""
    context = call.engine.context
    call.check_reached(query.at_least)
    deadline = time.monotonic() + _CATCH_UP_SECONDS
    while context.projections.serve() and time.monotonic() < deadline:
        pass
    return reply({"items": counts.annotation_types(context, call.principal.sees)})
