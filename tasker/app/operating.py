"""`Tasker`: the operators' commands. Each is an event with actor and reason, and returns the task as it then stands."""

from __future__ import annotations

from typing import TYPE_CHECKING, overload

from tasker.app.base import Base
from tasker.errors import InvalidRequest
from tasker.runtime.operations import By

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tasker.codec.recorded import RecordedEvent
    from tasker.handlers.views import Task


class Operating(Base):
    """Commands of people. All raise UnknownTask, UnknownStep, InvalidRequest, and NotAllowed where not legal."""

    def cancel(self, task_id: str, *, actor: str | None = None, reason: str | None = None) -> Task:
        """Cancel a task and everything in it that has not finished."""
        return self._engine.operations.change("cancel", task_id, By(actor, reason))

    @overload
    def pause(self, task_id: str, *, actor: str | None = None, reason: str | None = None) -> Task: ...
    @overload
    def pause(self, *, scope: str, actor: str | None = None, reason: str | None = None) -> RecordedEvent: ...
    def pause(
        self,
        task_id: str | None = None,
        *,
        scope: str | None = None,
        actor: str | None = None,
        reason: str | None = None,
    ) -> Task | RecordedEvent:
        """Start nothing more of a task, or of a scope: `all`, `namespace:x`, `task:ns.name`, `system:x`."""
        return self._switch("pause", task_id, scope, By(actor, reason))

    @overload
    def resume(self, task_id: str, *, actor: str | None = None, reason: str | None = None) -> Task: ...
    @overload
    def resume(self, *, scope: str, actor: str | None = None, reason: str | None = None) -> RecordedEvent: ...
    def resume(
        self,
        task_id: str | None = None,
        *,
        scope: str | None = None,
        actor: str | None = None,
        reason: str | None = None,
    ) -> Task | RecordedEvent:
        """Let the steps of a task, or of a scope, start again."""
        return self._switch("resume", task_id, scope, By(actor, reason))

    def _switch(self, what: str, task_id: str | None, scope: str | None, by: By) -> Task | RecordedEvent:
        if scope is not None and task_id is None:
            return self._engine.operations.control(what, scope, by)
        if task_id is not None and scope is None:
            return self._engine.operations.change(what, task_id, by)
        raise InvalidRequest(f"{what}: expected a task id or scope=, found {'both' if scope else 'neither'}")

    def retry(self, task_id: str, *, actor: str | None = None, reason: str | None = None) -> Task:
        """Reopen a failed task: every step in error gets a new budget."""
        return self._engine.operations.change("retry", task_id, By(actor, reason))

    def resolve(self, task_id: str, *, actor: str | None = None, reason: str | None = None) -> Task:
        """Settle a failed task by hand."""
        return self._engine.operations.change("resolve", task_id, By(actor, reason))

    def update(
        self,
        task_id: str,
        *,
        tags: Sequence[str] | None = None,
        actor: str | None = None,
        reason: str | None = None,
    ) -> Task:
        """Change a task's tags or its reason, which is also the recorded one; None keeps."""
        return self._engine.operations.update(task_id, By(actor, reason), reason=reason, tags=tags)

    def annotate(
        self,
        task_id: str,
        type: str,
        value: object,
        *,
        actor: str | None = None,
        reason: str | None = None,
    ) -> Task:
        """Note a JSON object under a type."""
        return self._engine.operations.annotate(task_id, type, value, By(actor, reason))

    def reset_step(
        self, task_id: str, step: str, *, rerun: bool = False, actor: str | None = None, reason: str | None = None
    ) -> Task:
        """Give a step a new budget; `rerun` also gives it a new idempotency key."""
        return self._engine.operations.reset_step(task_id, step, By(actor, reason), rerun=rerun)

    def resolve_step(
        self, task_id: str, step: str, *, results: object = None, actor: str | None = None, reason: str | None = None
    ) -> Task:
        """Settle a step by hand with results; its dependents run."""
        return self._engine.operations.resolve_step(task_id, step, By(actor, reason), results=results)

    def complete_step(
        self, task_id: str, step: str, *, results: object = None, actor: str | None = None, reason: str | None = None
    ) -> Task:
        """End the wait of a step with results; the same results again are a repeat."""
        return self._engine.operations.complete_step(task_id, step, By(actor, reason), results=results)

    def cancel_step(self, task_id: str, step: str, *, actor: str | None = None, reason: str | None = None) -> Task:
        """Cancel a step and its descendants."""
        return self._engine.operations.cancel_step(task_id, step, By(actor, reason))

    def update_step(
        self,
        task_id: str,
        step: str,
        *,
        inputs: object = None,
        retry_limit: int | None = None,
        actor: str | None = None,
        reason: str | None = None,
    ) -> Task:
        """Change what a step reads as `step.inputs`, or its attempt limit."""
        by = By(actor, reason)
        return self._engine.operations.update_step(task_id, step, by, inputs=inputs, retry_limit=retry_limit)

    def erase(self, task_id: str, *, reason: str, actor: str | None = None) -> Task:
        """Drop the user's bytes of an ended task; headers, positions and the chain stay."""
        return self._engine.operations.erase(task_id, By(actor, reason))
