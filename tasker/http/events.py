"""Routes of events: pages of the log and of one task, and the stream."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Depends, Header, Query
from pydantic import Field
from starlette.responses import Response

from tasker.catalog.patterns import Patterns
from tasker.domain.control import STREAM
from tasker.errors import InvalidRequest
from tasker.http import models, views
from tasker.http.call import Call, Needs, reply
from tasker.http.openapi import refusals
from tasker.http.points import Glob, PositionParameter, Reads, TaskId, Text
from tasker.http.stream import EventStream, Wanted

if TYPE_CHECKING:
    from tasker.codec.recorded import RecordedEvent

router = APIRouter(prefix="/v1", tags=["events"])
MOST = 1_000
_SCANNED = 10_000  # events that one request looks at
_LONGEST_ID = 18  # digits of a position

Reading = Annotated[Call, Depends(Needs("event:read"))]


class TypesQuery(Reads):
    """Which events, and how many."""

    after: PositionParameter = Field(0, description="Only events behind this position.")
    type: list[Glob] = Field([], description="Globs over event names, such as `step.*`; repeat it.")
    limit: Annotated[int, Field(ge=1, le=MOST)] = 100


class EventsQuery(TypesQuery):
    """Which events of the log, and how many."""

    task_id: Annotated[str, Field(max_length=64)] | None = Field(None, description="A task, or $control.")
    namespace: Text | None = None


class StreamQuery(Reads):
    """Which events to be told of."""

    after: PositionParameter | None = Field(None, description="Begin behind this position; default: with what comes.")
    type: list[Glob] = Field([], description="Globs over event names; repeat it.")
    task_id: Annotated[str, Field(max_length=64)] | None = None
    namespace: Text | None = None


@router.get("/events", response_model=models.Events, responses=refusals(404, 409, 422))
def events(call: Reading, query: Annotated[EventsQuery, Query()]) -> Response:
    """Read the log in order.

    A page may be shorter than `limit`, or empty, although there is more: go on with `after`.
    """
    call.check_reached(query.at_least)
    return _page(call, query, _wanted(call, query.type, query.task_id, query.namespace))


@router.get("/tasks/{task_id}/events", response_model=models.Events, responses=refusals(404, 409, 422))
def of_task(call: Reading, task_id: TaskId, query: Annotated[TypesQuery, Query()]) -> Response:
    """Read the events of a task in order."""
    call.check_reached(query.at_least)
    return _page(call, query, _wanted(call, query.type, task_id, None))


@router.get(
    "/events/stream",
    response_class=Response,
    responses={
        **refusals(404, 409, 422),
        200: {
            "description": "Server-sent events: id = position, event = type, data = the event as CloudEvents 1.0.",
            "content": {"text/event-stream": {"schema": {"type": "string"}}},
        },
    },
)
def stream(
    call: Reading,
    query: Annotated[StreamQuery, Query()],
    last_event_id: Annotated[
        str | None, Header(description="Position of the last event that was seen; wins over `after`.")
    ] = None,
) -> Response:
    """Be told of events as they are recorded."""
    call.check_reached(query.at_least)
    after = query.after if last_event_id is None else _position(last_event_id)
    return EventStream(call, _wanted(call, query.type, query.task_id, query.namespace), after)


def _position(text: str) -> int:
    if text.isascii() and text.isdecimal() and len(text) <= _LONGEST_ID:
        return int(text)
    message = f"expected a position, found {text!r}"
    raise InvalidRequest(f"Last-Event-ID: {message}", problems={"header.Last-Event-ID": message})


def _wanted(call: Call, types: list[str], task_id: str | None, namespace: str | None) -> Wanted:
    """Check what is asked for.

    Raises:
        UnknownTask: There is no such task, or it is of others.
        InvalidRequest: A glob is none.
        Refused: The namespace is of others.
    """
    if namespace is not None:
        call.check_namespace(namespace)
    if task_id is not None and task_id != STREAM:
        task_id = call.task(task_id).id
    return Wanted(Patterns(types) if types else None, task_id, namespace)


def _page(call: Call, query: TypesQuery, wanted: Wanted) -> Response:
    """Show what is wanted of the next events, looking at no more than a bounded number."""
    found: list[RecordedEvent] = []
    after, looked_at = query.after, 0
    source = call.engine.reading.events(wanted.task_id, after=query.after, types=None, limit=None)
    for event in islice(source, _SCANNED):
        after, looked_at = event.position, looked_at + 1
        if wanted.takes(event, call):
            found.append(event)
            if len(found) == query.limit:
                break
    more = len(found) == query.limit or looked_at == _SCANNED
    context, mask = call.engine.context, call.mask
    return reply({"items": [views.event(one, mask, context) for one in found], "after": after, "more": more})
