"""Short words for tests of the domain: definitions, commands with defaults, and a story that is told by commands."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasker.domain import commands as cmd
from tasker.domain import events as ev
from tasker.domain.decide import react
from tasker.domain.definition import StepTemplate, TaskDefinition
from tasker.domain.task import SECOND, Task, blank

if TYPE_CHECKING:
    from tasker.domain.status import StepStatus

START = 1_700_000_000 * SECOND
WORKER = "w1"


def step(name: str, *parents: str, **keys: object) -> StepTemplate:
    """Declare a step without jitter, so that delays are exact."""
    return StepTemplate(**{"name": name, "handler_class": "h", "depends_on_steps": parents, "jitter": 0, **keys})


def plan(*steps: StepTemplate, **keys: object) -> TaskDefinition:
    """Declare a task."""
    return TaskDefinition(**{"name": "plan", "step_templates": steps, **keys})


def create(now: int = START, **keys: object) -> cmd.CreateTask:
    """Ask for a task."""
    fields: dict[str, object] = {
        "now": now,
        "definition_digest": "d",
        "context": {},
        "initiator": "unknown",
        "source_system": "unknown",
        "reason": "unknown",
        "tags": (),
        "priority": 0,
        "identity": None,
        "bypass_steps": (),
        "not_before": None,
        "correlation_id": "c",
        "parent": None,
        "requested_at": None,
    }
    return cmd.CreateTask(**{**fields, **keys})


def error(kind: str = ev.RETRYABLE, message: str = "broken") -> ev.StepError:
    """Make an error as a handler's exception gives one."""
    return ev.StepError(type="Boom", message=message, kind=kind)


class Story:
    """A task, everything that happened to it, and a clock that moves when told."""

    def __init__(self, *steps: StepTemplate, request: dict[str, object] | None = None, **keys: object) -> None:
        """Create the task."""
        self.definition = plan(*steps, **keys)
        self.task: Task = blank("t", self.definition)
        self.history: list[ev.TaskStreamEvent] = []
        self.now = START
        self.do(create(**(request or {})))

    def do(self, command: cmd.TaskCommand) -> tuple[ev.TaskStreamEvent, ...]:
        """Decide, remember, and give the new events."""
        events, self.task = react(self.task, command)
        self.history.extend(events)
        return events

    def after(self, seconds: float) -> Story:
        """Let time pass."""
        self.now += round(seconds * SECOND)
        return self

    def start(self, name: str, worker: str = WORKER) -> tuple[ev.TaskStreamEvent, ...]:
        """Claim the next attempt of a step."""
        return self.do(cmd.StartStep(now=self.now, step=name, worker_id=worker))

    def attempt(self, name: str, attempt: int | None) -> int:
        """Give the number asked for, else the latest."""
        return self.task.step(name).attempt if attempt is None else attempt

    def done(self, name: str, attempt: int | None = None, **keys: object) -> tuple[ev.TaskStreamEvent, ...]:
        """Report results."""
        number = self.attempt(name, attempt)
        fields = {"now": self.now, "step": name, "attempt": number, "results": {}, "duration": 0.5}
        return self.do(cmd.ReportStepCompleted(**{**fields, **keys}))

    def fail(self, name: str, attempt: int | None = None, **keys: object) -> tuple[ev.TaskStreamEvent, ...]:
        """Report an error."""
        number = self.attempt(name, attempt)
        fields = {"now": self.now, "step": name, "attempt": number, "error": error(), "jitter": 0.5}
        return self.do(cmd.ReportStepFailed(**{**fields, **keys}))

    def wait(
        self, name: str, seconds: float | None = None, attempt: int | None = None
    ) -> tuple[ev.TaskStreamEvent, ...]:
        """Report that the step waits for somebody outside."""
        fields = {"step": name, "attempt": self.attempt(name, attempt), "reason": "approval"}
        return self.do(cmd.ReportStepWaiting(now=self.now, timeout_seconds=seconds, **fields))

    def abandon(self, name: str, reason: str = ev.WORKER_LOST) -> tuple[ev.TaskStreamEvent, ...]:
        """End the running attempt without a report."""
        fields = {"step": name, "attempt": self.attempt(name, None), "jitter": 0.5}
        return self.do(cmd.AbandonStep(now=self.now, reason=reason, **fields))

    def expire_wait(self, name: str) -> tuple[ev.TaskStreamEvent, ...]:
        """Say that a wait has run out."""
        return self.do(cmd.ExpireWait(now=self.now, step=name, attempt=self.attempt(name, None), jitter=0.5))

    def ask(self, kind: type[cmd.OperatorCommand], **keys: object) -> tuple[ev.TaskStreamEvent, ...]:
        """Give an operator's command."""
        return self.do(kind(**{"now": self.now, "actor": "ann", "reason": "because", **keys}))

    def run(self, *names: str) -> Story:
        """Start and complete steps."""
        for name in names:
            self.start(name)
            self.done(name)
        return self

    def status(self, name: str) -> StepStatus:
        """Give a step's status."""
        return self.task.step(name).status


def types(events: tuple[ev.TaskStreamEvent, ...] | list[ev.TaskStreamEvent]) -> list[str]:
    """Name events, steps' with their step."""
    return [f"{event.type} {event.step}" if isinstance(event, ev.StepEvent) else event.type for event in events]
