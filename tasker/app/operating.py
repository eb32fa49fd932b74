"""`Tasker`: the operators' commands. Each is an event with actor and reason, and returns the task as it then stands."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, overload

from tasker.app.base import Base
from tasker.errors import InvalidRequest
from tasker.runtime.operations import By

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import timedelta

    from tasker.audit.archive import Archived
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

    def archive(
        self,
        older_than: timedelta | float | str,
        *,
        reason: str,
        actor: str | None = None,
        output: str | Path = ".",
        dry_run: bool = False,
        progress: Callable[[int, int], None] | None = None,
    ) -> Archived:
        """Write the events of tasks that ended long ago into a file, as `audit.export` does, then erase these tasks.

        Tasks are left for later as long as a subscription that is not retired has not heard all of them; the relay to
        Kafka is one. What was cut short goes on with the next call for the same file or folder.

        Args:
            older_than: How long ago they came to a final status at least: a duration, seconds, or a text such as `90d`.
            reason: Why; it is recorded with each `task.erased`.
            actor: Who.
            output: A new file, or a folder in which one is made: by default the present one.
            dry_run: True to write and erase nothing, and only say what would be.
            progress: Called now and then with how many events are written and erased, and how many will be in all.

        Raises:
            InvalidRequest: An argument is wrong, or the file is there already.
            TaskerError: Another process is at the same file, or the disk is full or gone.
            LogUnavailable: The store failed.
        """
        from tasker.audit.archive import Archiving
        from tasker.audit.archive_choice import Reader, microseconds
        from tasker.subscriptions.retention import told

        engine, by, age = self._engine, By(actor, reason), microseconds(older_than)
        store, now = engine.context.store, engine.context.office.now()
        archiving = Archiving(
            store, lambda seen: engine.operations.erase_all(seen, by), [Reader(*one) for one in told(store)]
        )
        return archiving.preview(now, age) if dry_run else archiving.run(now, age, Path(output), progress)
