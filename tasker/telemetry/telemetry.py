"""`Telemetry`: what one application measures of itself. Whatever fails here is logged, and changes no task."""

from __future__ import annotations

import os
import sys
from functools import partial
from typing import TYPE_CHECKING

from tasker.errors import TaskerError
from tasker.instrument import logger
from tasker.telemetry import environment, incidents, provider, scope
from tasker.telemetry.change import Change
from tasker.telemetry.counts import Counts
from tasker.telemetry.lines import EventLines
from tasker.telemetry.pipe import Pipe
from tasker.telemetry.routing import Routes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager
    from contextvars import Token

    from opentelemetry.context import Context

    from tasker.codec.rows import StoredEvent
    from tasker.domain.events import ControlEvent
    from tasker.domain.task import Task
    from tasker.log.port import EventLog
    from tasker.redaction import Redactor
    from tasker.settings.sections import Telemetry as Settings
    from tasker.telemetry.attempts import AttemptSpan
    from tasker.telemetry.gauges import Gauges
    from tasker.telemetry.meters import Meters
    from tasker.telemetry.provider import Provider
    from tasker.telemetry.traces import Traces

TRACE_PARENT, TRACE_STATE = "traceparent", "tracestate"
_FLUSH_SECONDS = 5.0
_CLOSE_SECONDS = 5.0
_EDGE = 100  # events that are read of each end of a long stream, for the span of a task that others worked on, too
_API = "opentelemetry.trace"
_log = logger("telemetry")


class Telemetry:
    """Traces, metrics and log lines of one application. Constructing it opens nothing and starts nothing.

    Attributes:
        counts: What this process has appended, for metrics.
        gauges: Reads how things stand, where somebody can.
    """

    def __init__(
        self,
        settings: Settings,
        redactor: Redactor,
        log: Callable[[], EventLog],
        now: Callable[[], int],
    ) -> None:
        """Take the settings and the log.

        Args:
            settings: The section `telemetry`.
            redactor: Masks what spans and lines show.
            log: Gives the log, to read what other processes have appended.
            now: Tells the time of the engine's clock in microseconds.

        Raises:
            InvalidRequest: A rule's glob is none.
        """
        self.enabled = settings.enabled
        self._settings = settings
        self._redactor = redactor
        self._log = log
        self._now = now
        self._routes = Routes(settings.events)
        self.counts = Counts(self._routes)
        self._lines = EventLines(self._routes, redactor)
        self._pipe: Pipe[Change | ControlEvent] = Pipe(self._take, self._lines.flush)
        self._provider: Provider | None = None
        self._traces: Traces | None = None
        self._meters: Meters | None = None
        self.gauges: Callable[[], Gauges] | None = None
        self._opened = False
        self._failed: frozenset[str] = frozenset()

    def open(self) -> None:
        """Find out where spans go; called before the first append or attempt, and safe to repeat."""
        if self._opened or not self.enabled:
            return
        self._opened = True
        incidents.listen()
        try:
            self._provider = provider.find(self._settings.service_name)
            if self._provider is not None:
                self._traces = self._tracing(self._provider)
            self._meters = self._metering()
        except Exception as error:  # noqa: BLE001 - reported; wrong variables must not keep tasks from running
            self._report("start", error)

    def publish(self) -> None:
        """Send the spans of the whole process to the same place; for a command, whose process is Tasker's own."""
        self.open()
        if self._provider is not None:
            provider.publish(self._provider)

    def flush(self, seconds: float = _FLUSH_SECONDS) -> bool:
        """Wait until what was appended so far is told; False if an exporter takes longer than that."""
        return self._pipe.flush(seconds)

    def close(self) -> None:
        """Tell what is left, for a few seconds at most; safe to repeat."""
        self._pipe.close(_CLOSE_SECONDS)
        found, self._provider = self._provider, None
        if found is not None:
            found.close(_CLOSE_SECONDS)
        meters, self._meters = self._meters, None
        if meters is not None:
            meters.close(_CLOSE_SECONDS)

    @property
    def dropped(self) -> int:
        """Count the appends that were not told, because an exporter or a reader of log lines was too slow."""
        return self._pipe.dropped

    # --- what was appended ---

    def committed(self, changes: Sequence[Change], control: Sequence[ControlEvent] = ()) -> None:
        """Hear what this process has appended, after the commit, in order; returns at once.

        Args:
            changes: What was done to tasks.
            control: The events of pauses of scopes.
        """
        try:
            self.open()
            self.counts.note(changes)
            traces = self._traces
            if traces is not None:
                for change in changes:
                    if change.before.version == 0:
                        traces.born(change)
            if traces is not None or self._meters is not None or control or self._lines.wants(changes):
                for one in (*changes, *control):
                    self._pipe.put(one)
        except Exception as error:  # noqa: BLE001 - reported; what was appended stands, whatever is told of it
            self._report("committed", error)

    def _take(self, one: Change | ControlEvent) -> None:
        """Tell, on the thread of telemetry, what was appended."""
        if not isinstance(one, Change):
            self._lines.control(one)
            return
        if self._lines.wants((one,)):
            self._lines.take(one)
        if self._traces is not None:
            self._traces.take(one)
        if self._meters is not None:
            self._meters.take(one)

    # --- attempts and requests ---

    def attempt(
        self, stream_id: bytes, task: Task, number: int, secrets: Mapping[str, str]
    ) -> AbstractContextManager[None]:
        """Give the context in which the handler of an attempt is called: its span, and the fields of its log lines.

        Args:
            stream_id: The task.
            task: Its state at the attempt's start.
            number: Ordinal of the step.
            secrets: What the handler gets from the environment, by variable; it is masked in what it says.
        """
        return _Inside(self, stream_id, scope.Scope(task, number, secrets))

    def enter(self, stream_id: bytes, running: scope.Scope) -> Callable[[], None] | None:
        """Begin the span of an attempt; gives what ends it, or None without traces."""
        self.open()
        traces = self._traces
        if traces is None:
            return None
        try:
            entered = traces.enter(stream_id, running, self._now())
        except Exception as error:  # noqa: BLE001 - reported; a handler runs without a span, too
            self._report("attempt", error)
            return None
        return partial(self._left, traces, entered)

    def _left(self, traces: Traces, entered: tuple[Token[Context], AttemptSpan | None]) -> None:
        try:
            traces.leave(*entered)
        except Exception as error:  # noqa: BLE001 - reported; what the handler gave stands
            self._report("attempt", error)

    def inherited(self, metadata: Mapping[str, str] | None) -> Mapping[str, str] | None:
        """Give what a request came with; where it names no trace, with that of the span in which it is submitted."""
        if metadata and metadata.get(TRACE_PARENT):
            return metadata
        found = self.headers()
        return {**(metadata or {}), **found} if found else metadata

    def headers(self) -> dict[str, str]:
        """Give the span of this thread or coroutine as `traceparent` and `tracestate`; {} outside of spans."""
        if not self.enabled or _API not in sys.modules:
            return {}
        from tasker.telemetry.propagation import current  # noqa: PLC0415 - the API is loaded; without it, nothing is

        return current()

    # --- parts ---

    def _tracing(self, found: Provider) -> Traces | None:
        from opentelemetry.sdk.trace import Tracer  # noqa: PLC0415 - needs OpenTelemetry

        from tasker.telemetry.origins import Origins  # noqa: PLC0415 - the same
        from tasker.telemetry.traces import Traces  # noqa: PLC0415 - the same
        from tasker.telemetry.trails import Trails  # noqa: PLC0415 - the same

        tracer = found.tracers.get_tracer("tasker")
        if not isinstance(tracer, Tracer):  # OTEL_SDK_DISABLED
            return None
        origins = Origins(found.tracers.sampler, self._routes, self._metadata_of)
        return Traces(tracer, self._routes, self._redactor, origins, Trails(self._history_of, self._redactor))

    def _metering(self) -> Meters | None:
        if not environment.wanted(os.environ, environment.METRICS):
            return None
        found = environment.exporters(os.environ, environment.METRICS)
        if not found:
            return None
        from tasker.telemetry.meters import Meters  # noqa: PLC0415 - needs OpenTelemetry, which the exporters have loaded

        named = environment.service(os.environ, self._settings.service_name)
        return Meters(found, named, self.counts, self.gauges)

    def _metadata_of(self, stream_id: bytes) -> bytes | None:
        """Read what was stored with `task.created`; without an answer of the log, the trace is the derived one."""
        try:
            rows = self._log().stream(stream_id, limit=1)
        except TaskerError as error:
            self._report("the log", error)
            return None
        return rows[0].metadata if rows else None

    def _history_of(self, stream_id: bytes, version: int) -> Sequence[StoredEvent]:
        """Read the stream of a task up to a version; of a long one its beginning and its end."""
        try:
            if version <= 2 * _EDGE:
                return self._log().stream(stream_id, limit=version)
            ends = self._log().stream(stream_id, after=version - _EDGE, limit=_EDGE)
            return [*self._log().stream(stream_id, limit=_EDGE), *ends]
        except TaskerError as error:
            self._report("the log", error)
            return []

    def _report(self, place: str, error: Exception) -> None:
        if place not in self._failed:
            self._failed |= {place}
            kind = type(error).__qualname__  # not its text: an exporter's errors may quote its credentials
            text = "telemetry met %s at %s; tasks go on, further failures of this kind are not logged"
            _log.warning(text, kind, place)


class _Inside:
    """Around the call of one handler."""

    __slots__ = ("_leave", "_scope", "_stream_id", "_telemetry", "_token")

    def __init__(self, telemetry: Telemetry, stream_id: bytes, running: scope.Scope) -> None:
        self._telemetry = telemetry
        self._stream_id = stream_id
        self._scope = running
        self._leave: Callable[[], None] | None = None
        self._token: Token[scope.Scope | None] | None = None

    def __enter__(self) -> None:
        self._token = scope.enter(self._scope)
        self._leave = self._telemetry.enter(self._stream_id, self._scope)

    def __exit__(self, *_: object) -> None:
        if self._leave is not None:
            self._leave()
        if self._token is not None:
            scope.leave(self._token)
