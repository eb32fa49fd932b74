"""The operators' commands on a page; which are offered is asked of the rules themselves, without appending."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from tasker.domain import commands as cmd
from tasker.domain.decide import decide
from tasker.errors import InvalidRequest, NotAllowed
from tasker.http.auth import forbidden
from tasker.runtime.operations import By

if TYPE_CHECKING:
    from tasker.domain.task import Task as State
    from tasker.handlers.views import Task
    from tasker.http.page.visit import Visit
    from tasker.runtime.operations import Operations

MOST_ASKED = 300
"""Steps of a task up to which the rules are asked about each: to cancel one is to decide about all behind it."""
_DIGITS = 9


class Sent(NamedTuple):
    """What a form sent for a command.

    Attributes:
        task_id: The task.
        step: The step, empty for the task itself.
        by: Who asks, and why.
        form: All fields.
    """

    task_id: str
    step: str
    by: By
    form: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A command as a form gives it.

    Attributes:
        name: In the form.
        permission: Needed for it.
        done: Shown when it is recorded.
        run: Gives it.
        silent: Whether it may go without a reason.
    """

    name: str
    permission: str
    done: str
    run: Callable[[Operations, Sent], Task]
    silent: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Button(Order):
    """A command that is offered where it is legal.

    Attributes:
        label: On the button.
        make: Makes the command that is decided on to see whether it is legal, of the time and the step.
        with_results: Whether it takes results.
        harsh: Whether it ends something.
    """

    label: str
    make: Callable[[int, str], cmd.TaskOperation | cmd.StepOperation]
    with_results: bool = False
    harsh: bool = False


def _change(operations: Operations, sent: Sent) -> Task:
    return operations.change(sent.form["do"], sent.task_id, sent.by)


def _json(sent: Sent, name: str, empty: object) -> object:
    """Read the JSON that a person wrote into a field.

    Raises:
        InvalidRequest: It is none.
    """
    text = sent.form.get(name, "").strip()
    try:
        return json.loads(text, parse_constant=_constant) if text else empty
    except (ValueError, RecursionError) as error:
        told = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        message = f"expected {name} as JSON, such as {{}} or [1, 2], found {text[:64]!r}: {told}"
        raise InvalidRequest(message, problems={name: message}) from None


def _update(operations: Operations, sent: Sent) -> Task:
    """Change reason and tags, a line each; no reason keeps the one there is."""
    tags = [line.strip() for line in sent.form.get("tags", "").splitlines() if line.strip()]
    reason = sent.form.get("reason", "").strip() or None
    return operations.update(sent.task_id, sent.by, reason=reason, tags=tags)


def _annotate(operations: Operations, sent: Sent) -> Task:
    return operations.annotate(sent.task_id, sent.form.get("type", ""), _json(sent, "annotation", {}), sent.by)


def _update_step(operations: Operations, sent: Sent) -> Task:
    """Change the limit of attempts or the inputs; what is left empty stays."""
    text = sent.form.get("retry_limit", "").strip()
    if text and not (text.isascii() and text.isdecimal() and len(text) <= _DIGITS):
        message = f"expected for retry_limit a whole number of at least 1, found {text[:64]!r}"
        raise InvalidRequest(message, problems={"retry_limit": message})
    limit = int(text) if text else None
    inputs = _json(sent, "inputs", None)
    return operations.update_step(sent.task_id, sent.step, sent.by, inputs=inputs, retry_limit=limit)


def _complete_step(operations: Operations, sent: Sent) -> Task:
    return operations.complete_step(sent.task_id, sent.step, sent.by, results=_json(sent, "results", {}))


def _resolve_step(operations: Operations, sent: Sent) -> Task:
    return operations.resolve_step(sent.task_id, sent.step, sent.by, results=_json(sent, "results", {}))


def _reset_step(operations: Operations, sent: Sent) -> Task:
    return operations.reset_step(sent.task_id, sent.step, sent.by, rerun=False)


def _cancel_step(operations: Operations, sent: Sent) -> Task:
    return operations.cancel_step(sent.task_id, sent.step, sent.by)


def _constant(name: str) -> object:
    message = f"{name} is no JSON"
    raise ValueError(message)


TASK_BUTTONS = (
    Button(
        name="retry", label="Retry", permission="task:retry", done="The task is retried.",
        make=lambda now, _: cmd.RetryTask(now=now), run=_change,
    ),
    Button(
        name="resume", label="Resume", permission="task:update", done="The task is resumed.",
        make=lambda now, _: cmd.ResumeTask(now=now), run=_change,
    ),
    Button(
        name="pause", label="Pause", permission="task:update", done="The task is paused.",
        make=lambda now, _: cmd.PauseTask(now=now), run=_change,
    ),
    Button(
        name="resolve", label="Resolve by hand", permission="step:resolve", done="The task is resolved by hand.",
        make=lambda now, _: cmd.ResolveTask(now=now), run=_change,
    ),
    Button(
        name="cancel", label="Cancel task", permission="task:cancel", done="The task is cancelled.",
        make=lambda now, _: cmd.CancelTask(now=now), run=_change, harsh=True,
    ),
)  # fmt: skip
STEP_BUTTONS = (
    Button(
        name="complete_step", label="Complete", permission="step:resolve", done="The step is completed.",
        make=lambda now, step: cmd.CompleteStep(now=now, step=step, results={}), run=_complete_step, with_results=True,
    ),
    Button(
        name="reset_step", label="Reset", permission="task:retry", done="The step has a new budget.",
        make=lambda now, step: cmd.ResetStep(now=now, step=step), run=_reset_step,
    ),
    Button(
        name="resolve_step", label="Resolve by hand", permission="step:resolve", done="The step is resolved by hand.",
        make=lambda now, step: cmd.ResolveStep(now=now, step=step, results={}), run=_resolve_step, with_results=True,
    ),
    Button(
        name="cancel_step", label="Cancel step", permission="task:cancel", done="The step is cancelled.",
        make=lambda now, step: cmd.CancelStep(now=now, step=step), run=_cancel_step, harsh=True,
    ),
)  # fmt: skip
WRITTEN = (
    Order(name="update", permission="task:update", done="Reason and tags are changed.", run=_update, silent=True),
    Order(name="annotate", permission="task:update", done="It is noted.", run=_annotate),
    Order(name="update_step", permission="task:update", done="The step is changed.", run=_update_step),
)
"""Those that are more than a button: each has a form of its own."""
ORDERS = {order.name: order for order in (*TASK_BUTTONS, *STEP_BUTTONS, *WRITTEN)}


def offered(visit: Visit, state: State, step: str | None = None) -> list[Button]:
    """Give the commands that are legal now, would change something, and are permitted to who looks.

    Of a step of a very large task all that are permitted are given, and an illegal one is refused when it is asked for.

    Args:
        visit: Who looks.
        state: The task.
        step: Of this step; None for the task itself.
    """
    now = visit.call.engine.context.office.now()
    buttons = TASK_BUTTONS if step is None else STEP_BUTTONS
    if step is not None and len(state.steps) > MOST_ASKED:
        return [one for one in buttons if visit.may(one.permission)]
    return [one for one in buttons if visit.may(one.permission) and _legal(state, one.make(now, step or ""))]


def _legal(state: State, command: cmd.TaskOperation | cmd.StepOperation) -> bool:
    try:
        return bool(decide(state, command))
    except NotAllowed:
        return False


def give(visit: Visit) -> tuple[Order, Task]:
    """Give the command of a form; gives it and the task as it then stands.

    Raises:
        InvalidRequest: The form names no command, says no reason, or its results are no JSON.
        Refused: Who sends it may not.
        UnknownTask: There is no such task.
        NotAllowed: It is not legal in the present status.
    """
    order = ORDERS.get(visit.form.get("do", ""))
    if order is None:
        message = f"expected one of {', '.join(ORDERS)}, found {visit.form.get('do')!r}"
        raise InvalidRequest(message, problems={"do": message})
    if not visit.may(order.permission):
        raise forbidden(visit.call.principal, order.permission)
    task = visit.call.task(visit.parameter("task_id"))
    reason = visit.form.get("reason", "").strip()
    if not reason and not order.silent:
        message = "expected a reason, which is recorded with the command, found none; write why"
        raise InvalidRequest(message, problems={"reason": message})
    sent = Sent(task.id, visit.form.get("step", ""), visit.call.by(reason or None), visit.form)
    return order, order.run(visit.call.engine.operations, sent)
