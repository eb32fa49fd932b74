"""`why`: what every unfinished thing of a task waits for, told from its state and from what the workers are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasker.codec.decode import decode, text_id
from tasker.codec.registry import CODES
from tasker.domain.events import StepWaiting
from tasker.domain.status import StepStatus
from tasker.domain.why import Reason, World, unreadable, why
from tasker.errors import UnsupportedEvent
from tasker.fold.columns import at_code
from tasker.log.workers import LIVING
from tasker.runtime.execution import missing_env, needed_env
from tasker.runtime.identity import stream_id
from tasker.runtime.membership import seen

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tasker.domain.task import Task as State
    from tasker.log.workers import Worker
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
        living = [row for row in seen(context.store) if row.state in LIVING]
        handlers = frozenset(name for row in living for name in row.vitals.handlers)
        if self.runner is not None:  # it may have learned some since its last heartbeat
            handlers |= context.handlers.names()
        return World(
            now=context.office.now(),
            control=context.office.control,
            handlers=handlers if living or self.runner else None,
            missing_env=self._missing(task, living),
            limits=self._limits(),
            leases={row.worker_id: row.lease_until for row in living},
            waits=self._waits(task),
        )

    def _waits(self, task: State) -> Mapping[str, str]:
        """Give, by step, the reason of its latest wait: states keep none, so it is read where a step waits."""
        if all(state.status is not StepStatus.WAITING for state in task.steps):
            return {}
        log = self._context.log()
        places = at_code(log.heads_of(stream_id(task.id)), CODES[StepWaiting])
        events = (decode(row) for row in log.events_at(places))
        return {event.step: event.reason for event in events if isinstance(event, StepWaiting)}

    def _missing(self, task: State, living: Sequence[Worker]) -> Mapping[str, tuple[str, ...]]:
        """Name, by step, the variables that every worker which could run it lacks."""
        found = {}
        for template in task.definition.step_templates:
            able = [set(row.vitals.lacking) for row in living if template.handler in row.vitals.handlers]
            here = missing_env(template)
            if self.runner is None and able:
                here = tuple(sorted(set.intersection(*able) & needed_env(template)))
            if here:
                found[template.name] = here
        return found

    def _limits(self) -> Mapping[str, tuple[int, tuple[str, ...]]]:
        """Give every limited scope with its limit and the tasks whose attempts hold it."""
        limits = self._context.settings.limits.by_scope()
        held: dict[str, list[str]] = {scope: [] for scope in limits}
        for scope, stream, _ in self._context.store.work.holders(list(limits)) if limits else ():
            held[scope].append(text_id(stream))
        return {scope: (most, tuple(held[scope])) for scope, most in limits.items()}
