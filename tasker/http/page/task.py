"""The page of one task: as it is, live, with what can be done about it; or as it was at any version."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tasker.domain.status import FINISHED, StepStatus
from tasker.errors import InvalidRequest, NotAllowed, TaskerError
from tasker.http import views
from tasker.http.page import steering
from tasker.http.page.picture import picture
from tasker.http.page.timeline import timeline
from tasker.http.points import point

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.responses import Response

    from tasker.domain.task import Task as State
    from tasker.handlers.views import Step, Task
    from tasker.http.page.visit import Visit
    from tasker.runtime.reading import At

STEPS, EVENTS, REASONS = 100, 100, 40
"""How many of each one page shows."""


class Slice(NamedTuple):
    """What of a long list is shown.

    Attributes:
        first: Number of the first one shown, from 1.
        last: Number of the last one shown.
        total: How many there are.
        before: What to ask for to see those before; None for the first.
        behind: The same for those behind.
    """

    first: int
    last: int
    total: int
    before: int | None
    behind: int | None


def cut(count: int, size: int, start: int) -> Slice:
    """Choose a page of a list.

    Args:
        count: How many there are.
        size: How many a page shows.
        start: Number of the first one that is wanted, from 1.
    """
    first = max(1, min(start, count))
    last = min(count, first + size - 1)
    before = max(1, first - size) if first > 1 else None
    return Slice(min(first, count), last, count, before, last + 1 if last < count else None)


def task_page(visit: Visit, alert: TaskerError | None = None) -> Response:
    """Show a task.

    Args:
        visit: Who looks.
        alert: Why a command was refused, if one was.
    """
    call = visit.call
    newest = call.task(visit.parameter("task_id"))
    at = None if alert else _point(visit, newest)
    task = newest if at is None else call.task(newest.id, at)
    past = task.stream_version < newest.stream_version
    state = None if past else task.facts.state
    part = cut(len(task.sequence), STEPS, visit.number("step_from") or 1)
    steps = list(task.sequence)[part.first - 1 : part.last] if part.total else []
    reasons = [] if past else call.engine.explanation.why(task.id, None)
    values = {
        "here": "tasks",
        "task": views.summary(task) | {"not_before": views.moment(task.not_before), "erased": task.erased},
        "context": visit.mask.described(task.context, task.facts.state.definition.schema),
        "notes": views.notes(task, visit.mask),
        "newest": newest.stream_version,
        "past": past,
        "at_time": views.moment(task.facts.events[-1].time),
        "reasons": [views.reason(one, visit.mask) for one in reasons[:REASONS]],
        "more_reasons": max(0, len(reasons) - REASONS),
        "orders": [] if state is None else steering.offered(visit, state),
        "picture": picture(task.graph, {step.name: step.status for step in task.sequence}),
        "steps": [_step(visit, task, step, state) for step in steps],
        "step_part": part,
        "timeline": timeline(steps, call.engine.context.office.now() if not past else task.facts.state.last_at),
        "alert": None if alert is None else str(alert),
        "sent": visit.form,
        "did": steering.ORDERS.get(visit.query("did").get("did", "")),
        **_events(visit, task),
    }
    return visit.render("task.html", _status(alert), **values)


def command(visit: Visit) -> Response:
    """Give the command of a form and lead back to the task; why it was refused is shown there."""
    try:
        order, task = steering.give(visit)
    except (InvalidRequest, NotAllowed) as error:
        return task_page(visit, alert=error)
    return visit.frame.redirect(f"/tasks/{task.id}?did={order.name}")


def _status(alert: TaskerError | None) -> int:
    if alert is None:
        return 200
    return 409 if isinstance(alert, NotAllowed) else 422


def _point(visit: Visit, newest: Task) -> At:
    """Give the version to show; that of the slider's end is the present."""
    at = point(visit.query("at").get("at"))
    return None if at == newest.stream_version else at


def _step(visit: Visit, task: Task, step: Step, state: State | None) -> views.Json:
    """Show a step, with the commands that it takes now."""
    shown = views.step(task, step.name, visit.mask)
    orders = [] if state is None else steering.offered(visit, state, step.name)
    changeable = state is not None and not state.erased and visit.may("task:update") and step.status not in FINISHED
    own_inputs = bool(task.facts.state.step(step.name).inputs)
    more = {"orders": orders, "changeable": changeable, "own_inputs": own_inputs, "waits": _wait(visit, task, step)}
    return shown | more


def _wait(visit: Visit, task: Task, step: Step) -> object:
    """Say for what a waiting step waits, in the words of its handler."""
    if step.status is not StepStatus.WAITING:
        return None
    events = reversed(task.facts.events)
    body = next(event.body for event in events if event.step == step.name and event.type == "step.waiting")
    return {"until": body.get("until"), "reason": visit.mask.text(str(body.get("reason") or ""))}


def _events(visit: Visit, task: Task) -> dict[str, object]:
    """Show the latest events, or those before; to who may read events."""
    if not visit.may("event:read"):
        return {"events": None, "event_part": None}
    events: Sequence[object] = task.facts.events
    part = cut(len(events), EVENTS, visit.number("event_from") or max(1, len(events) - EVENTS + 1))
    context = visit.call.engine.context
    shown = [views.event(one, visit.mask, context) for one in task.facts.events[part.first - 1 : part.last]]
    return {"events": shown, "event_part": part}
