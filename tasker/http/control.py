"""Routes of the whole: pauses of scopes, workers, subscriptions."""

from __future__ import annotations

import dataclasses
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.responses import Response

from tasker.errors import InvalidRequest, NotAllowed
from tasker.http import views
from tasker.http.auth import ALL, forbidden
from tasker.http.call import Call, Needs, reply
from tasker.http.models import Event, Moment, Scope, Shown
from tasker.http.openapi import Document, refusals, sends, written

router = APIRouter(prefix="/v1", tags=["control"])
Admin = Annotated[Call, Depends(Needs("admin"))]
AdminSends = Annotated[Call, Depends(Needs("admin", sends=True))]


class Worker(Shown):
    """A worker; times are the database's."""

    worker_id: str
    state: str
    host: str
    pid: int
    release: str
    slots: int
    running: int
    started_at: Moment
    last_heartbeat: Moment
    lease_until: Moment | None
    silent: bool
    handlers: list[str]
    missing_env: list[str]
    clock_skew: float


class Workers(Shown):
    """The workers that live, and for some days those that stopped or died."""

    items: list[Worker]


class Subscription(Shown):
    """A durable subscription."""

    name: str
    state: str
    checkpoint: int
    lag: int
    failures: int
    parked: int
    retrying: int
    error: str | None
    patterns: list[str]
    owner: str | None


class Subscriptions(Shown):
    """The durable subscriptions of the log."""

    items: list[Subscription]


_DONE: dict[int | str, Document] = {
    **refusals(409, sends=True),
    **written(200, "The recorded event, of a repeat the earlier one."),
}
_SCOPE = sends(Scope, required=True)


@router.post("/control/pause", response_model=Event, responses=_DONE, openapi_extra=_SCOPE)
def pause(call: AdminSends) -> Response:
    """Start nothing more of a scope."""
    return _control(call, "pause")


@router.post("/control/resume", response_model=Event, responses=_DONE, openapi_extra=_SCOPE)
def resume(call: AdminSends) -> Response:
    """Let the steps of a scope start again."""
    return _control(call, "resume")


def _control(call: Call, what: str) -> Response:
    sent = call.fields(Scope)
    _check_scope(call, sent.scope)
    try:
        event = call.engine.operations.control(what, sent.scope, call.by(sent.reason))
    except InvalidRequest as error:  # the form of the scope was checked with the body: it never was paused
        raise NotAllowed(str(error)) from error
    return reply(views.event(event, call.mask, call.engine.context), position=event.position)


def _check_scope(call: Call, scope: str) -> None:
    """Refuse a scope that reaches beyond the caller's namespaces.

    Raises:
        Refused: It does.
    """
    kind, _, name = scope.partition(":")
    words = name.split(".")
    # Names may have dots, too: `task:a.b.c` is b.c of a, and c of a.b.
    of_task: list[str | None] = [".".join(words[:count]) for count in range(1, len(words))]
    reached: dict[str, list[str | None]] = {"namespace": [name], "task": of_task}
    for namespace in reached.get(kind) or [None]:
        _check_sees(call, namespace)


def _check_sees(call: Call, namespace: str | None) -> None:
    if not call.principal.sees(namespace):
        raise forbidden(call.principal, call.permission, namespace or ALL)


@router.get("/workers", response_model=Workers, responses=refusals())
def workers(call: Admin) -> Response:
    """List the workers; for a caller of all namespaces."""
    _check_sees(call, None)
    found = [dataclasses.asdict(one) for one in call.engine.membership.workers()]
    return reply({"items": [{name: _shown(value) for name, value in one.items()} for one in found]})


def _shown(value: object) -> object:
    return views.moment(value) if isinstance(value, datetime) else value


@router.get("/subscriptions", response_model=Subscriptions, responses=refusals())
def subscriptions(call: Admin) -> Response:
    """List the durable subscriptions; for a caller of all namespaces."""
    _check_sees(call, None)
    return reply({"items": [one._asdict() for one in call.engine.context.subscriptions.list()]})
