"""Routes of analytics: how much was done and how long it took, and what is in the way; from the log alone."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import Field
from starlette.responses import Response

from tasker.http.call import Call, Needs, reply
from tasker.http.models import Count, Moment, Shown
from tasker.http.openapi import refusals
from tasker.http.points import Asked, Text, Version
from tasker.http.statistics import Choice, bottlenecks, performance

router = APIRouter(prefix="/v1/analytics", tags=["analytics"])
Looks = Annotated[Call, Depends(Needs("task:read"))]


class Durations(Shown):
    """Percentiles of durations, in seconds; null where there are none."""

    count: Count
    p50: float | None
    p95: float | None
    p99: float | None


class Window(Shown):
    """What happened in the last hours.

    Rates are shares of the tasks that ended.
    """

    hours: float
    covered_seconds: float = Field(description="How far the log was looked at; less than the hours of a busy log.")
    created: Count
    completed: Count
    failed: Count
    cancelled: Count
    throughput_per_minute: float = Field(description="Tasks that ended, per minute covered.")
    completion_rate: float | None
    error_rate: float | None
    task_seconds: Durations
    steps_completed: Count
    steps_failed: Count
    step_seconds: Durations


class Performance(Shown):
    """How much was done, and how long it took."""

    time: Moment
    windows: list[Window]


class SlowTask(Shown):
    """A task that took long."""

    task_id: str
    namespace: str
    name: str
    version: str
    seconds: float
    status: str


class SlowStep(Shown):
    """A step that took long: its last attempt."""

    task_id: str
    namespace: str
    name: str
    step: str
    attempt: int | None
    seconds: float


class ErrorType(Shown):
    """How often attempts failed in the same way."""

    type: str
    count: Count
    final: Count


class Blocking(Shown):
    """A step whose final failures kept others from running."""

    namespace: str
    name: str
    step: str
    failures: Count
    blocked_steps: Count


class Bottlenecks(Shown):
    """What is in the way."""

    time: Moment
    hours: float
    covered_seconds: float
    slowest_tasks: list[SlowTask]
    slowest_steps: list[SlowStep]
    error_types: list[ErrorType]
    blocking_steps: list[Blocking]


class BottleneckQuery(Asked):
    """Of what, and over how many hours."""

    namespace: Text | None = None
    name: Text | None = None
    version: Version | None = None
    hours: Annotated[int, Field(ge=1, le=720)] = 24


@router.get("/performance", response_model=Performance, responses=refusals())
def show_performance(call: Looks) -> Response:
    """Show throughput, rates and durations of the last 1, 4 and 24 hours.

    A log that is too busy to be looked at in bounded time is covered as far as `covered_seconds` says.
    """
    return reply(performance(call.engine.context, Choice(call.principal.sees)))


@router.get("/bottlenecks", response_model=Bottlenecks, responses=refusals(422))
def show_bottlenecks(call: Looks, query: Annotated[BottleneckQuery, Query()]) -> Response:
    """Show the slowest tasks and steps, the errors, and the steps that keep most others from running."""
    if query.namespace is not None:
        call.check_namespace(query.namespace)
    choice = Choice(call.principal.sees, query.namespace, query.name, query.version)
    return reply(bottlenecks(call.engine.context, choice, query.hours))
