"""The use cases of one application: registration, submission, operators, reading, running; faces translate to these."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from tasker.domain.status import LIVE
from tasker.errors import TaskerError, WaitTimeout
from tasker.instrument import logger
from tasker.runtime.comparing import Comparing
from tasker.runtime.context import Context
from tasker.runtime.execution import Execution
from tasker.runtime.explanation import Explanation
from tasker.runtime.health import Health
from tasker.runtime.identity import stream_id
from tasker.runtime.lease import Tempo
from tasker.runtime.membership import Membership
from tasker.runtime.operations import Operations
from tasker.runtime.readers import Readers
from tasker.runtime.reading import Reading
from tasker.runtime.registration import Registration
from tasker.runtime.runner import Runner
from tasker.runtime.submission import Submission

if TYPE_CHECKING:
    from tasker.clock import Clock, IdSource
    from tasker.handlers.views import Task
    from tasker.log.port import RunnerLock
    from tasker.settings import Settings
    from tasker.telemetry.gauges import Gauges

_LOOK_SECONDS = 0.2
_log = logger("engine")


class Engine:
    """One application over one log. Constructing it opens nothing and starts nothing."""

    def __init__(
        self, url: str, settings: Settings, *, clock: Clock, ids: IdSource, concurrency: int, follow: bool
    ) -> None:
        """Wire the use cases."""
        self.context = Context(url, settings, clock=clock, ids=ids, follow=follow)
        self.registration = Registration(self.context)
        self.submission = Submission(self.context)
        self.operations = Operations(self.context)
        self.reading = Reading(self.context)
        self.comparing = Comparing(self.context)
        self.readers = Readers(self.context)
        self.explanation = Explanation(self.context)
        self.membership = Membership(self.context)
        self.health = Health(self.context)
        self.context.telemetry.gauges = self._gauges
        self._concurrency = concurrency
        self._lock: RunnerLock | None = None
        self._changing = self.context.threads.lock()
        self._started = False
        self._looked_at = 0.0
        self.runner: Runner | None = None

    @property
    def started(self) -> bool:
        """Say whether tasks run in the background."""
        return self._started

    def start(self) -> None:
        """Run tasks in the background until `stop`.

        Raises:
            TaskerError: Another runner works on this log; names its process.
        """
        runner = self._runner()
        self._started = True
        runner.work(on=True)
        self.readers.start(lambda: runner.first)

    def stop(self, seconds: float | None = None) -> bool:
        """Claim nothing more, let handlers finish, record what was left, give the runner's lock back.

        Args:
            seconds: How long to wait for handlers; None for `shutdown_timeout`.

        Returns:
            True if every handler returned in time.
        """
        with self._changing:
            runner, self.runner = self.runner, None
            lock, self._lock = self._lock, None
            self._started = False
        clean = True
        if runner is not None:
            clean = runner.close(self.context.settings.shutdown_timeout if seconds is None else seconds)
            self.explanation.runner = None
        self.readers.stop(5.0)
        if lock is not None:
            self.context.alone(now=False)
            lock.release()
        self.context.telemetry.flush()
        return clean

    def close(self) -> None:
        """Stop what was started and close what was opened; safe to repeat."""
        self.stop()
        self.context.telemetry.close()
        self.context.bus.close()
        if self.context.subscribed:
            self.context.subscriptions.close()
        self.context.store.close()

    def run_until_idle(self) -> None:
        """Work until nothing can run at the clock's present time and every reader has come to the head."""
        runner = self._runner()
        runner.work(on=True)
        try:
            while True:
                runner.crew.wait(lambda: runner.idle, None)
                self.readers.settle()
                if runner.idle:
                    self.context.telemetry.flush()
                    return
        finally:
            if not self._started:
                runner.work(on=False)

    def run_until_complete(self, task_id: str, seconds: float) -> Task:
        """Work until a task has ended in any way.

        Args:
            task_id: The task.
            seconds: How long at most, in real time.

        Raises:
            WaitTimeout: It has not ended in time; says what it waits for.
            UnknownTask: There is no such task.
        """
        context = self.context
        stream = stream_id(task_id)
        context.streams.known(stream)
        runner = self._runner()
        runner.work(on=True)
        try:
            if not runner.crew.wait(partial(self._has_ended, stream), seconds):
                why = "; ".join(reason.text for reason in self.explanation.why(task_id, None)[:3])
                message = f"task {task_id} has not ended within {seconds:g} s: {why or 'nothing is known'}"
                raise WaitTimeout(message)
        finally:
            if not self._started:
                runner.work(on=False)
        context.telemetry.flush()
        return context.view(context.streams.known(stream))

    def _has_ended(self, stream: bytes) -> bool:
        """Say whether a task has ended; now and then by the log, for another process may have ended it."""
        streams, now = self.context.streams, self.context.threads.monotonic()
        if now - self._looked_at >= _LOOK_SECONDS:
            self._looked_at = now
            return streams.current(stream).task.status not in LIVE
        return streams.known(stream).task.status not in LIVE

    def _runner(self) -> Runner:
        """Give the runner; the first call takes the log's runner lock and takes over what earlier runners left."""
        with self._changing:
            if self.runner is not None:
                return self.runner
            context = self.context
            context.telemetry.open()
            lock = context.store.runner_lock()
            lock.acquire()
            try:
                runner = self._new_runner(alone=lock.exclusive)
                runner.open()
                context.alone(now=lock.exclusive)
            except BaseException:
                lock.release()
                raise
            self._lock = lock
            self.runner = self.explanation.runner = runner
            return runner

    def _new_runner(self, *, alone: bool) -> Runner:
        context = self.context
        settings = context.settings
        execution = Execution(
            context.office,
            context.handlers,
            context.hooks,
            tools=context.tools(),
            max_server_delay=settings.max_server_delay,
            threads=context.threads,
        )
        return Runner(
            context,
            execution,
            capacity=self._concurrency,
            limits=settings.limits.by_scope(),
            tempo=Tempo(settings.leases.heartbeat, None if alone else settings.leases.timeout),
        )

    def _gauges(self) -> Gauges:
        """Read how things stand; needs SQLAlchemy, whose import only those pay who ask."""
        from tasker.runtime import gauges  # noqa: PLC0415 - see above

        return gauges.all_of(self)

    def must_run(self) -> Runner:
        """Give the runner that `start` made.

        Raises:
            TaskerError: Nothing was started.
        """
        if self.runner is None:
            raise TaskerError("expected a started runner, found none; call start() first")
        return self.runner
