"""A decision in the making: the events so far and the task as they leave it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasker.domain import events as ev
from tasker.domain.events import STEPS_FAILED, Counts, FailedStep
from tasker.domain.status import LIVE, StepStatus, TaskStatus
from tasker.domain.task import SECOND, evolve
from tasker.errors import NotAllowed

if TYPE_CHECKING:
    from typing import NoReturn

    from tasker.domain.commands import Annotation
    from tasker.domain.events import Instant
    from tasker.domain.steps import StepState
    from tasker.domain.task import Task


class Draft:
    """Collects the events of one decision. It lives no longer than the call of `decide` that made it."""

    def __init__(self, task: Task, now: Instant) -> None:
        """Begin at a state; times never go back within a stream."""
        self.task = task
        self.now = max(now, task.last_at)
        self.events: list[ev.TaskStreamEvent] = []

    def emit(self, event: ev.TaskStreamEvent) -> None:
        """Add an event and evolve."""
        self.events.append(event)
        self.task = evolve(self.task, event)

    def state(self, number: int) -> StepState:
        """Give the present state of a step."""
        return self.task.steps[number]

    def name(self, number: int) -> str:
        """Give the name of a step."""
        return self.task.definition.graph.names[number]

    def satisfied(self, number: int) -> None:
        """Skip the bypassed steps whose last parent has just been satisfied, and so on behind them."""
        bypass = self.task.request.bypass_steps
        if not bypass:
            return
        children = self.task.definition.graph.child_ordinals
        open_ = list(children[number])
        while open_:
            child = open_.pop(0)
            if self.name(child) in bypass and self.state(child).ready:
                self.skip(child)
                open_.extend(children[child])

    def skip(self, number: int) -> None:
        """Record that a bypassed step is skipped."""
        state = self.state(number)
        limit = self.task.retry_limit(number)
        self.emit(ev.StepSkipped(at=self.now, step=self.name(number), attempt=state.attempt, retry_limit=limit))

    def close(self, annotations: tuple[Annotation, ...] = ()) -> None:
        """End the task if it is live and no step can run any more; the hook's annotations come first."""
        task = self.task
        if task.status not in LIVE or task.stirring:
            return
        for note in annotations:
            self.emit(
                ev.TaskAnnotated(at=self.now, status=task.status, annotation_type=note.type, annotation=note.value)
            )
        if task.count(StepStatus.ERROR):
            self.fail(STEPS_FAILED)
        elif task.count(StepStatus.CANCELLED):
            self.emit(ev.TaskCancelled(at=self.now, status=TaskStatus.CANCELLED))
        else:
            done = counts(self.task)
            self.emit(ev.TaskCompleted(at=self.now, status=TaskStatus.COMPLETE, duration=self._age(), counts=done))

    def fail(self, reason: str) -> None:
        """Record that the task failed, with what its failed steps said."""
        failed = tuple(
            FailedStep(self.name(number), *state.failure)
            for number, state in enumerate(self.task.steps)
            if state.failure is not None
        )
        if failed:
            error_type, message = failed[0].type, failed[0].message
        else:
            error_type = ev.TIMEOUT
            message = f"the task did not end within its timeout of {self.task.definition.timeout_seconds:g} seconds"
        self.emit(
            ev.TaskFailed(
                at=self.now,
                status=TaskStatus.ERROR,
                reason=reason,
                duration=self._age(),
                counts=counts(self.task),
                failed_steps=failed,
                error_type=error_type,
                error_message=message,
            )
        )

    def _age(self) -> float:
        return (self.now - (self.task.created_at or self.now)) / SECOND

    def refuse(self, what: str, why: str) -> NoReturn:
        """Raise `NotAllowed` with what was asked, the task's status, and why not."""
        raise NotAllowed(f"cannot {what} task {self.task.id} while it is {self.task.status}: {why}")

    def refuse_step(self, what: str, number: int, why: str) -> NoReturn:
        """Raise `NotAllowed` with what was asked of which step, both statuses, and why not."""
        step, status = self.name(number), self.state(number).status
        message = f"cannot {what} step {step!r} of task {self.task.id} while the step is {status}"
        raise NotAllowed(f"{message} and the task {self.task.status}: {why}")


def counts(task: Task) -> Counts:
    """Count the steps of a task as `task.completed` and `task.failed` show them."""
    known = {name: task.count(StepStatus(name)) for name in Counts._fields[1:-1]}
    total = len(task.steps)
    return Counts(total=total, pending=total - sum(known.values()), **known)
