"""How a started attempt is run and reported: views, configuration, secrets, the handler's thread or loop, the hook."""

from __future__ import annotations

import asyncio
import os
import threading
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from tasker.definitions.secrets import placeholders, resolve_config
from tasker.domain import commands as cmd
from tasker.domain.events import PERMANENT, RETRYABLE, TIMEOUT, StepError
from tasker.domain.work import TASK, WorkItem
from tasker.errors import LogUnavailable, TaskerError, UnknownHandler
from tasker.handlers.attempt import Attempt, Cancelled, Completed, Failed, Waiting, is_async
from tasker.handlers.failure import step_error
from tasker.handlers.views import Task
from tasker.runtime.hooks import annotations_of
from tasker.runtime.loop import Loop
from tasker.runtime.sources import DraftSource, LogSource

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

    from tasker.domain.definition import StepTemplate
    from tasker.domain.events import TaskStreamEvent
    from tasker.domain.task import Task as State
    from tasker.handlers.attempt import Handler, Outcome
    from tasker.handlers.publishing import Tools
    from tasker.handlers.registry import HandlerRegistry
    from tasker.runtime.commander import Office
    from tasker.runtime.runner import Runner
    from tasker.runtime.slots import Running
    from tasker.runtime.threads import Threads
    from tasker.runtime.ticket import Ticket

_PATIENCE_SECONDS = 60.0
_AGAIN_SECONDS = 0.1
MISSING = "env:"
"""Begins the reason that holds a step whose configuration needs a variable that is missing here."""


def missing_env(template: StepTemplate) -> tuple[str, ...]:
    """Name the variables that a step's configuration needs and the environment lacks."""
    return tuple(sorted(name for name in needed_env(template) if name not in os.environ))


def needed_env(template: StepTemplate) -> set[str]:
    """Name the variables that a step's configuration needs."""
    return set(placeholders(template.handler_config)) if template.handler_config else set()


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
        self._async: dict[int, tuple[Handler, bool]] = {}

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
        return f"{MISSING}{missing[0]}" if missing else None

    @property
    def handlers(self) -> frozenset[str]:
        """Give the registry names of this worker's handlers."""
        return self._handlers.names()

    def found(self, reason: str) -> bool:
        """Say whether the variable of an `env:NAME` is there by now."""
        return reason.startswith(MISSING) and reason.removeprefix(MISSING) in os.environ

    # --- running ---

    def run(self, runner: Runner, running: Running) -> None:
        """Run one attempt to its report, in this thread or on the loop."""
        if running.control.cancelled:
            runner.returned(running)
            return
        state, number = running.task, running.number
        template = state.template(number)
        try:
            handler = self._handlers.find(template.handler)
            config, secrets = resolve_config(template.handler_config, os.environ)
        except TaskerError as error:
            running.begin(self._threads.monotonic())
            self._report(runner, running, Failed(StepError(type(error).__qualname__, str(error), PERMANENT)))
            return
        running.secrets = secrets
        wait = partial(self._wait, running, self._threads.monotonic() + _PATIENCE_SECONDS)
        view = Task(state, LogSource(self._office.log, running.stream_id, state.version, wait))
        attempt = Attempt(handler, view, number, config, secrets, running.control, self._tools)
        running.begin(self._threads.monotonic())
        if not self._is_async(handler):
            self._report(runner, running, self._outcome(running, attempt))
            return
        running.stop = self._loop.run(self._run_async(runner, running, attempt))
        if running.control.cancelled:  # asked for before there was something to stop
            running.stop()

    def _wait(self, running: Running, until: float) -> bool:
        """Wait for a log that does not answer a handler: that is no fault of the step, and costs it no attempt."""
        if running.control.cancelled or self._threads.monotonic() > until:
            return False
        self._threads.pause(_AGAIN_SECONDS)
        return True

    def _is_async(self, handler: Handler) -> bool:
        """Say whether a handler runs on the loop; asked once for each."""
        known = self._async.get(id(handler))
        if known is None or known[0] is not handler:
            known = self._async[id(handler)] = (handler, is_async(handler))
        return known[1]

    def _outcome(self, running: Running, attempt: Attempt) -> Outcome:
        """Run a sync handler; Ctrl-C passes through in the main thread, where it is meant for the program."""
        try:
            with self._inside(running):
                return attempt.run()
        except BaseException as error:  # let out, it would cost the step its report
            if isinstance(error, KeyboardInterrupt) and threading.current_thread() is threading.main_thread():
                raise
            return self._broken(running, error)

    async def _run_async(self, runner: Runner, running: Running, attempt: Attempt) -> None:
        """Run an async handler; cancelled from outside it is fenced already and only gives its slot back."""
        ending = partial(runner.returned, running)
        try:
            with self._inside(running):
                outcome = await attempt.run_async()
            ending = partial(self._report, runner, running, outcome)
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001 - let out, it would end the loop of all async handlers
            ending = partial(self._report, runner, running, self._broken(running, error))
        finally:
            runner.crew.give([ending])

    def _inside(self, running: Running) -> AbstractContextManager[None]:
        """Give the span and the log fields of an attempt, inside of which its handler is called."""
        return self._office.telemetry.attempt(running.stream_id, running.task, running.number, running.secrets)

    def _broken(self, running: Running, error: BaseException) -> Failed:
        """Make a failure of what no handler should raise, such as KeyboardInterrupt or GeneratorExit."""
        told = step_error(error, RETRYABLE, secrets=running.secrets, sizes=self._tools.sizes)
        return Failed(told)

    def _report(self, runner: Runner, running: Running, outcome: Outcome) -> None:
        if isinstance(outcome, Cancelled):
            runner.returned(running)
            return
        duration = self._threads.monotonic() - running.began
        size = len(outcome.encoded) if isinstance(outcome, Completed) else 0
        command = self._command(running, outcome, duration)
        runner.report(running, command, size=size, hooked=self.has_hook(running.task))

    def _command(self, running: Running, outcome: Completed | Failed | Waiting, duration: float) -> cmd.Report:
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
        duration = self._threads.monotonic() - running.began
        return self._failure(running, Failed(StepError(TIMEOUT, why, TIMEOUT)), duration)

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

    def run_hook(
        self, runner: Runner, ticket: Ticket, before: State, after: State, events: Sequence[TaskStreamEvent]
    ) -> None:
        """Run the hook on the task as a report would leave it, and hand the report in again with what it noted."""
        hooks = self._hooks[str(after.definition.task_handler)]
        secrets = ticket.returns.secrets if ticket.returns is not None else {}
        try:
            source = DraftSource(self._office.log, ticket.stream_id, before, events)
            notes = annotations_of(hooks, after, source, secrets=secrets, sizes=self._tools.sizes)
        except LogUnavailable as error:  # nothing was noted; the report comes again, and with it the hook
            self._office.stalled(error)
            runner.again(ticket)
            return
        command = ticket.command
        if isinstance(command, cmd.EndAttempt):
            ticket.command = replace(command, annotations=notes)
        ticket.hooked = False
        runner.again(ticket)
