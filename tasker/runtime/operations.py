"""The operators' use cases: each turns a call into one command and gives the task as it then stands."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from tasker.codec.recorded import RecordedEvent
from tasker.domain import commands as cmd
from tasker.domain.events import UNKNOWN
from tasker.domain.status import StepStatus
from tasker.errors import Conflict, InvalidRequest, TaskerError
from tasker.handlers.values import to_json
from tasker.runtime.hooks import checked_annotation
from tasker.runtime.identity import stream_id
from tasker.runtime.request import word, words
from tasker.runtime.ticket import Ticket

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tasker.domain.task import Task as State
    from tasker.handlers.views import Task
    from tasker.runtime.context import Context

_TASK_COMMANDS: Mapping[
    str, type[cmd.CancelTask | cmd.PauseTask | cmd.ResumeTask | cmd.RetryTask | cmd.ResolveTask]
] = {
    "cancel": cmd.CancelTask,
    "pause": cmd.PauseTask,
    "resume": cmd.ResumeTask,
    "retry": cmd.RetryTask,
    "resolve": cmd.ResolveTask,
}


class By:
    """Who asks and why, and which version of the task they have seen; checked once for all commands."""

    __slots__ = ("actor", "expected", "reason")

    def __init__(self, actor: str | None, reason: str | None, expected: int | None = None) -> None:
        """Check actor and reason; what is left out is `unknown`.

        Args:
            actor: Who asks.
            reason: Why.
            expected: The version at which the task must be when the command is decided; None for any.

        Raises:
            InvalidRequest: One is no text, or over 128 characters.
        """
        self.expected = expected
        self.actor = UNKNOWN if actor is None else word("$.actor", actor)
        self.reason = UNKNOWN if reason is None else word("$.reason", reason)


class Operations:
    """The use cases of people who look after tasks."""

    def __init__(self, context: Context) -> None:
        """Take what use cases share."""
        self._context = context

    def change(self, what: str, task_id: str, by: By) -> Task:
        """Cancel, pause, resume, retry or resolve a task.

        Raises:
            UnknownTask: There is no such task.
            Conflict: It has moved on from the version that was seen; so for every command on a task.
            NotAllowed: The command is not legal in its status.
        """
        command = _TASK_COMMANDS[what](now=self._now(), actor=by.actor, reason=by.reason)
        return self._execute(task_id, by, command)

    def erase(self, task_id: str, by: By) -> Task:
        """Drop the user's bytes of an ended task."""
        task = self._execute(task_id, by, cmd.EraseTask(now=self._now(), actor=by.actor, reason=by.reason))
        self._context.store.purge()
        return task

    def erase_all(self, seen: Sequence[tuple[bytes, int]], by: By) -> list[bool]:
        """Drop the user's bytes of ended tasks, each only if it stands at the version that was seen.

        Returns:
            For each whether that is so; those that moved on are left as they are.

        Raises:
            NotAllowed: A task is not to be erased in its status; others may be erased all the same.
        """
        now = self._now()
        tickets = [Ticket(stream, cmd.EraseTask(now=now, actor=by.actor, reason=by.reason)) for stream, _ in seen]
        for ticket, (_, version) in zip(tickets, seen, strict=True):
            ticket.expected = version
        self._context.commander.execute_all(tickets)
        for ticket in tickets:
            if ticket.error is not None and not isinstance(ticket.error, Conflict):
                raise ticket.error
        self._context.store.purge()
        return [ticket.error is None for ticket in tickets]

    def update(self, task_id: str, by: By, *, reason: str | None, tags: Sequence[str] | None) -> Task:
        """Change the task's reason or tags; None keeps."""
        new = None if tags is None else words("$.tags", tags)
        recorded = None if reason is None else by.reason
        return self._execute(task_id, by, cmd.UpdateTask(now=self._now(), actor=by.actor, reason=recorded, tags=new))

    def annotate(self, task_id: str, annotation_type: str, value: object, by: By) -> Task:
        """Note a JSON object about the task."""
        note = checked_annotation(annotation_type, value, limit_bytes=self._context.settings.sizes.results)
        command = cmd.AnnotateTask(
            now=self._now(), actor=by.actor, reason=by.reason, annotation_type=note.type, annotation=note.value
        )
        return self._execute(task_id, by, command)

    def reset_step(self, task_id: str, step: str, by: By, *, rerun: bool) -> Task:
        """Give a step a new budget."""
        command = cmd.ResetStep(now=self._now(), step=step, actor=by.actor, reason=by.reason, rerun=rerun)
        return self._execute(task_id, by, command)

    def resolve_step(self, task_id: str, step: str, by: By, *, results: object) -> Task:
        """Settle a step by hand."""
        plain, _ = self._results(results)
        command = cmd.ResolveStep(now=self._now(), step=step, actor=by.actor, reason=by.reason, results=plain)
        return self._execute(task_id, by, command)

    def complete_step(self, task_id: str, step: str, by: By, *, results: object) -> Task:
        """End a wait with results; the same results again are a repeat."""
        plain, encoded = self._results(results)

        def make(state: State) -> cmd.CompleteStep:
            return cmd.CompleteStep(
                now=self._now(),
                step=step,
                actor=by.actor,
                reason=by.reason,
                results=plain,
                repeated=self._same_results(task_id, state, step, encoded),
            )

        return self._execute(task_id, by, make)

    def cancel_step(self, task_id: str, step: str, by: By) -> Task:
        """Cancel a step and what can then no longer run."""
        return self._execute(task_id, by, cmd.CancelStep(now=self._now(), step=step, actor=by.actor, reason=by.reason))

    def update_step(self, task_id: str, step: str, by: By, *, inputs: object, retry_limit: int | None) -> Task:
        """Change a step's inputs or attempt limit."""
        if retry_limit is not None and (
            isinstance(retry_limit, bool) or not isinstance(retry_limit, int) or retry_limit < 1
        ):
            message = f"expected for retry_limit a whole number of at least 1, found {retry_limit!r}"
            raise InvalidRequest(f"$.retry_limit: {message}", problems={"$.retry_limit": message})
        sets_inputs = inputs is not None
        plain, encoded = self._results(inputs) if sets_inputs else (None, b"")

        def make(state: State) -> cmd.UpdateStep:
            return cmd.UpdateStep(
                now=self._now(),
                step=step,
                actor=by.actor,
                reason=by.reason,
                inputs=plain,
                sets_inputs=sets_inputs,
                repeated=sets_inputs and self._same_inputs(task_id, state, step, encoded),
                retry_limit=retry_limit,
            )

        return self._execute(task_id, by, make)

    def control(self, what: str, scope: str, by: By) -> RecordedEvent:
        """Pause or resume a scope; gives the recorded event, of a repeat the earlier one.

        Raises:
            InvalidRequest: The scope is none of `all`, `namespace:x`, `task:namespace.name`, `system:x`.
            NotAllowed: A scope that is not and never was paused is to be resumed.
        """
        context = self._context
        if not isinstance(scope, str):
            message = f"expected a scope such as 'all' or 'system:x', found {scope!r}"
            raise InvalidRequest(message, problems={"$.scope": message})
        context.office.refresh_control()
        kind = cmd.PauseScope if what == "pause" else cmd.ResumeScope
        command = kind(now=self._now(), scope=scope, actor=by.actor, reason=by.reason)
        ticket = Ticket(context.office.control_id, command)
        context.commander.execute(ticket)
        wanted = "control.paused" if what == "pause" else "control.resumed"
        rows = reversed(context.log().stream(context.office.control_id))
        for event in map(RecordedEvent, rows):
            if event.type == wanted and event.body.get("scope") == scope:
                return event
        message = f"cannot resume {scope!r}: expected a scope that was paused; see `tasker events --task $control`"
        raise InvalidRequest(message, problems={"$.scope": message})

    def _now(self) -> int:
        return self._context.office.now()

    def _results(self, value: object) -> tuple[object, bytes]:
        return to_json(value, limit_bytes=self._context.settings.sizes.results, what="the value")

    def _same_results(self, task_id: str, state: State, step: str, encoded: bytes) -> bool:
        found = state.step(step)
        if found.status is not StepStatus.COMPLETE:
            return False
        return self._payload(task_id, found.outcome) == encoded

    def _same_inputs(self, task_id: str, state: State, step: str, encoded: bytes) -> bool:
        return self._payload(task_id, state.step(step).inputs or 1) == encoded

    def _payload(self, task_id: str, version: int) -> bytes | None:
        rows = self._context.log().stream(stream_id(task_id), after=version - 1, limit=1)
        return rows[0].payload if rows else None

    def _execute(self, task_id: str, by: By, command: cmd.TaskCommand | Callable[[State], cmd.TaskCommand]) -> Task:
        context = self._context
        stream = stream_id(task_id)
        if stream == context.office.control_id:
            raise InvalidRequest(f"expected a task id, found {task_id!r}; pause and resume take scope= for control")
        if not isinstance(command, cmd.Command):
            command = command(context.streams.current(stream).task)
        ticket = Ticket(stream, command)
        ticket.expected = by.expected
        context.commander.execute(ticket)
        if ticket.known is None:
            raise TaskerError(f"the command on task {task_id} was settled without a state; this is a fault of Tasker")
        return context.view(ticket.known)
