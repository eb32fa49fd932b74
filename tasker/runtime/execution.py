"""How a started attempt is run and reported: views, configuration, secrets, the handler's thread or loop, the hook."""

from __future__ import annotations

import os
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from tasker.definitions.secrets import placeholders, resolve_config
from tasker.domain import commands as cmd
from tasker.domain.events import PERMANENT, TIMEOUT, StepError
from tasker.domain.work import TASK, WorkItem
from tasker.errors import TaskerError, UnknownHandler
from tasker.handlers.attempt import Attempt, Cancelled, Completed, Failed, is_async
from tasker.handlers.views import Task
from tasker.runtime.hooks import annotations_of
from tasker.runtime.loop import Loop
from tasker.runtime.sources import DraftSource, LogSource

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tasker.domain.definition import StepTemplate
    from tasker.domain.events import TaskStreamEvent
    from tasker.domain.task import Task as State
    from tasker.handlers.attempt import Outcome
    from tasker.handlers.publishing import Tools
    from tasker.handlers.registry import HandlerRegistry
    from tasker.runtime.commander import Office
    from tasker.runtime.runner import Runner
    from tasker.runtime.slots import Running
    from tasker.runtime.threads import Threads
    from tasker.runtime.ticket import Ticket


def missing_env(template: StepTemplate) -> tuple[str, ...]:
    """Name the variables that a step's configuration needs and the environment lacks."""
    if not template.handler_config:
        return ()
    return tuple(sorted(name for name in placeholders(template.handler_config) if name not in os.environ))


class Execution:
    """What all attempts of one runner need. Thread-safe; nothing in it waits for the leader's lock."""

    def __init__(
        self,
        office: Office,
        handlers: HandlerRegistry,
        hooks: dict[str, type],
        *,
        tools: Tools,
        max_server_delay: float,
        threads: Threads,
    ) -> None:
        """Take the registries.

        Args:
            office: The log, the clock and the ids.
            handlers: Step handlers by registry name.
            hooks: Task handlers with an annotations hook, by registry name.
            tools: What handlers share.
            max_server_delay: Longest delay a server may ask for, in seconds.
            threads: Gives threads and real time.
        """
        self._office = office
        self._handlers = handlers
        self._hooks = hooks
        self._tools = tools
        self._max_server_delay = max_server_delay
        self._threads = threads
        self._loop = Loop(threads)

    def close(self) -> None:
        """End the event loop and close connections."""
        self._loop.close(self._tools.connections.aclose)
        self._tools.connections.close()

    # --- what keeps a step from being claimed here ---

    def lacking(self, task: State, number: int) -> str | None:
        """Say what this worker lacks for a step (`handler:NAME`, `env:NAME`), or None."""
        template = task.template(number)
        try:
            self._handlers.find(template.handler)
        except UnknownHandler:
            return f"handler:{template.handler}"
        missing = missing_env(template)
        return f"env:{missing[0]}" if missing else None

    # --- running ---

    def run(self, runner: Runner, running: Running) -> None:
        """Run one attempt to its report, in this thread or on the loop."""
        state, number = running.task, running.number
        template = state.template(number)
        began = self._threads.monotonic()
        if template.timeout_seconds is not None:
            running.deadline = began + template.timeout_seconds
        elif template.heartbeat_timeout_seconds is not None:
            running.deadline = float("inf")
        try:
            handler = self._handlers.find(template.handler)
            config, secrets = resolve_config(template.handler_config, os.environ)
        except TaskerError as error:
            failed = Failed(StepError(type(error).__qualname__, str(error), PERMANENT))
            self._report(runner, running, failed, began)
            return
        running.secrets = secrets
        view = Task(state, LogSource(self._office.log, running.stream_id, state.version))
        attempt = Attempt(handler, view, number, config, secrets, running.control, self._tools)
        if is_async(handler):
            running.stop = self._loop.run(self._run_async(runner, running, attempt, began))
        else:
            self._report(runner, running, attempt.run(), began)

    async def _run_async(self, runner: Runner, running: Running, attempt: Attempt, began: float) -> None:
        """Run an async handler; cancelled from outside it is fenced already and only gives its slot back."""
        ending = partial(runner.returned, running)
        try:
            outcome = await attempt.run_async()
            ending = partial(self._report, runner, running, outcome, began)
        finally:
            runner.crew.give([ending])

    def _report(self, runner: Runner, running: Running, outcome: Outcome, began: float) -> None:
        if isinstance(outcome, Cancelled):
            runner.returned(running)
            return
        duration = self._threads.monotonic() - began
        size = len(outcome.encoded) if isinstance(outcome, Completed) else 0
        command = self._command(running, outcome, duration)
        runner.report(running, command, size=size, hooked=self.has_hook(running.task))

    def _command(self, running: Running, outcome: Outcome, duration: float) -> cmd.Report:
        step, now = running.task.definition.graph.names[running.number], self._office.now()
        published = outcome.published
        if isinstance(outcome, Completed):
            return cmd.ReportStepCompleted(
                now=now,
                step=step,
                attempt=running.attempt,
                published=published,
                results=outcome.results,
                duration=duration,
            )
        if isinstance(outcome, Failed):
            return self._failure(running, outcome, duration)
        return cmd.ReportStepWaiting(
            now=now,
            step=step,
            attempt=running.attempt,
            published=published,
            reason=outcome.reason,
            timeout_seconds=outcome.timeout_seconds,
        )

    def _failure(self, running: Running, failed: Failed, duration: float) -> cmd.ReportStepFailed:
        return cmd.ReportStepFailed(
            now=self._office.now(),
            step=running.task.definition.graph.names[running.number],
            attempt=running.attempt,
            published=failed.published,
            error=failed.error,
            jitter=self._office.ids.jitter(),
            duration=duration,
            retry_after=failed.retry_after,
            max_server_delay=self._max_server_delay,
        )

    # --- commands of the engine's own ---

    def timeout(self, running: Running, why: str) -> cmd.ReportStepFailed:
        """Report that an attempt's time ran out."""
        seconds = running.task.template(running.number).timeout_seconds or 0.0
        return self._failure(running, Failed(StepError(TIMEOUT, why, TIMEOUT)), seconds)

    def abandonment(self, stream_id: bytes, number: int, attempt: int, reason: str) -> cmd.AbandonStep:
        """End an attempt whose worker was lost or stops."""
        names = self._office.streams.known(stream_id).task.definition.graph.names
        jitter = self._office.ids.jitter()
        return cmd.AbandonStep(
            now=self._office.now(), step=names[number], attempt=attempt, reason=reason, jitter=jitter
        )

    def expiry(self, stream_id: bytes, item: WorkItem) -> cmd.ExpireWait | cmd.ExpireTask:
        """End a wait or a task whose time ran out."""
        now = self._office.now()
        if item.step == TASK:
            return cmd.ExpireTask(now=now)
        names = self._office.streams.known(stream_id).task.definition.graph.names
        return cmd.ExpireWait(now=now, step=names[item.step], attempt=item.attempt, jitter=self._office.ids.jitter())

    # --- the hook ---

    def has_hook(self, task: State) -> bool:
        """Say whether a task's class has an annotations hook that this worker knows."""
        return task.definition.task_handler in self._hooks

    def run_hook(self, runner: Runner, ticket: Ticket, before: State, after: State, events: Sequence[TaskStreamEvent]) -> None:
        """Run the hook on the task as a report would leave it, and hand the report in again with what it noted."""
        hooks = self._hooks[str(after.definition.task_handler)]
        source = DraftSource(self._office.log, ticket.stream_id, before, events)
        secrets = ticket.returns.secrets if ticket.returns is not None else {}
        notes = annotations_of(hooks, after, source, secrets=secrets, sizes=self._tools.sizes)
        command = ticket.command
        if isinstance(command, cmd.ReportStep):
            ticket.command = replace(command, annotations=notes)
        ticket.hooked = False
        runner.again(ticket)
