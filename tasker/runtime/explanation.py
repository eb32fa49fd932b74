"""`why`: what every unfinished thing of a task waits for, told from its state and from what this process knows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasker.domain.why import Reason, World, unreadable, why
from tasker.errors import UnsupportedEvent
from tasker.runtime.execution import missing_env
from tasker.runtime.identity import stream_id

if TYPE_CHECKING:
    from tasker.domain.task import Task as State
    from tasker.runtime.context import Context
    from tasker.runtime.runner import Runner


class Explanation:
    """The use case `why`. `runner` is set while this process runs tasks."""

    def __init__(self, context: Context) -> None:
        """Take what use cases share."""
        self._context = context
        self.runner: Runner | None = None

    def why(self, task_id: str, step: str | None) -> list[Reason]:
        """Say what a task, or one step of it, waits for, or what became of it.

        Raises:
            UnknownTask: There is no such task.
            UnknownStep: It has no such step.
        """
        context = self._context
        try:
            task = context.streams.current(stream_id(task_id)).task
        except UnsupportedEvent as error:
            return [unreadable(error)]
        context.office.refresh_control()
        return why(task, self._world(task), step)

    def _world(self, task: State) -> World:
        context = self._context
        steps = task.definition.step_templates
        missing = {template.name: missing_env(template) for template in steps}
        return World(
            now=context.office.now(),
            control=context.office.control,
            handlers=None if self.runner is None else context.handlers.names(),
            missing_env={name: names for name, names in missing.items() if names},
            limits={} if self.runner is None else self.runner.limits_held(),
            leases={} if self.runner is None else {self.runner.worker_id: None},
        )
