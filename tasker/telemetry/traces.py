"""Spans of tasks and attempts, made of what was appended; used by the thread of telemetry, but for `enter`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry import context as contexts
from opentelemetry.context import Context
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, NonRecordingSpan, Status, StatusCode, set_span_in_context

from tasker.domain import events as ev
from tasker.domain.status import StepStatus
from tasker.redaction import mask_values
from tasker.telemetry import facts
from tasker.telemetry.attempts import AttemptSpan, bounded
from tasker.telemetry.origins import REPAIR_SPAN, STEP_SPAN, TASK_SPAN, Origins
from tasker.telemetry.trails import Mark, Trails

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from contextvars import Token

    from opentelemetry.sdk.trace import Tracer
    from opentelemetry.trace import SpanContext
    from opentelemetry.util.types import Attributes, AttributeValue

    from tasker.domain.events import TaskStreamEvent
    from tasker.domain.task import Task
    from tasker.redaction import Redactor
    from tasker.telemetry.change import Change
    from tasker.telemetry.origins import Origin
    from tasker.telemetry.routing import Routes
    from tasker.telemetry.scope import Scope
    from tasker.telemetry.trails import Segment

    Place = tuple[bytes, int, int]

_MOST_OPEN = 20_000
_NANOS = 1_000
_SHARE_DROPPED = 10
_WELL = frozenset({ev.StepCompleted, ev.TaskCompleted})
_OK, _UNSET = Status(StatusCode.OK), Status(StatusCode.UNSET)
_OUTCOMES: dict[type[object], str] = {
    ev.StepCompleted: "completed",
    ev.StepFailed: "failed",
    ev.StepAbandoned: "abandoned",
    ev.StepWaiting: "waiting",
    ev.StepCancelled: "cancelled",
    ev.StepResolvedManually: "resolved_manually",
}


class Draft:
    """A span that is about to be sent; times are nanoseconds."""

    __slots__ = ("attributes", "begins", "context", "ends", "events", "links", "name", "parent", "status")

    def __init__(self, name: str, context: SpanContext, parent: SpanContext | None, begins: int, ends: int) -> None:
        """Begin with what every span has."""
        self.name = name
        self.context = context
        self.parent = parent
        self.begins = begins
        self.ends = ends
        self.attributes: dict[str, AttributeValue] = {}
        self.events: list[Event] = []
        self.links: list[Link] = []
        self.status = _UNSET


class Open:
    """An attempt that has not ended, as far as its events were appended here."""

    __slots__ = ("ended", "events", "started_at")

    def __init__(self, started_at: int) -> None:
        """Begin with its start (microseconds)."""
        self.started_at = started_at
        self.events: list[Event] = []
        self.ended: TaskStreamEvent | None = None


class Traces:
    """Sends one span for each task and one for each attempt to a tracer of the SDK."""

    def __init__(self, tracer: Tracer, routes: Routes, redactor: Redactor, origins: Origins, trails: Trails) -> None:
        """Take where spans go, and what is known of tasks."""
        self._tracer = tracer
        self._scope = InstrumentationScope("tasker")
        self._routes = routes
        self._redactor = redactor
        self._origins = origins
        self._trails = trails
        self._open: dict[Place, Open] = {}
        self._running: dict[Place, AttemptSpan] = {}

    # --- while a handler runs, in its thread ---

    def enter(self, stream_id: bytes, running: Scope, now: int) -> tuple[Token[Context], AttemptSpan | None]:
        """Make the span of an attempt the current one of this thread or coroutine.

        Args:
            stream_id: The task.
            running: The attempt.
            now: The present time of the engine's clock (microseconds).

        Returns:
            What `leave` takes.
        """
        origin = self._origins.of(stream_id)
        if not (origin.sampled and self._shows(STEP_SPAN, origin)):
            return contexts.attach(set_span_in_context(NonRecordingSpan(origin.root), Context())), None
        number = running.number
        attempt = running.task.steps[number].attempt
        span = AttemptSpan(origin.below(STEP_SPAN, stream_id, number, attempt), now * _NANOS, running.secrets)
        _trim(self._running)
        self._running[stream_id, number, attempt] = span
        return contexts.attach(set_span_in_context(span, Context())), span

    def leave(self, token: Token[Context], span: AttemptSpan | None) -> None:
        """Note that the handler has returned."""
        if span is not None:
            span.returned()
        contexts.detach(token)

    # --- what was appended ---

    def born(self, change: Change) -> None:
        """Take note, at once and in any thread, of a task that was created here."""
        self._origins.born(change.stream_id, change.metadata)

    def take(self, change: Change) -> None:
        """Send the spans that an append has ended."""
        origin = self._origins.of(change.stream_id)
        if not origin.sampled:
            return
        ended: dict[Place, Open] = {}
        rest: list[tuple[int, TaskStreamEvent]] = []
        for version, event in enumerate(change.events, change.before.version + 1):
            if not self._of_attempt(change, event, origin, ended):
                rest.append((version, event))
        for place, open_ in ended.items():
            self._attempt(change.after, place, open_, origin)
        self._of_task(change, rest, origin)

    def _of_task(self, change: Change, rest: Iterable[tuple[int, TaskStreamEvent]], origin: Origin) -> None:
        """Note the events that belong on the task's span, and send that with the last of them."""
        trail = self._trails.begin(change.stream_id, change.before.version)
        for version, event in rest:
            if trail is not None and self._wants(event.type, origin):
                trail.add(Mark(event.type, event.at, facts.of_event(event, self._redactor)))
            if type(event) in facts.TASK_ENDS:
                self._task(change, event, origin, self._trails.end(change.stream_id, trail, version))
                trail = None
        if trail is not None:
            trail.version = change.after.version

    def _shows(self, span: str, origin: Origin) -> bool:
        """Say whether a task's spans of a kind are sent: they go where the event goes with which they begin."""
        return self._wants("task.created" if span == TASK_SPAN else "step.started", origin)

    def _wants(self, name: str, origin: Origin) -> bool:
        """Say whether an event of a task is shown on spans."""
        if self._routes.everything:
            return True
        route = self._routes.of(name)
        return route.traces and route.takes(origin.fraction)

    def _of_attempt(self, change: Change, event: TaskStreamEvent, origin: Origin, ended: dict[Place, Open]) -> bool:
        """Note an event on the span of its attempt; False if it belongs on the task's."""
        if not isinstance(event, (ev.StepEvent, ev.CustomEvent)):
            return False
        place = (change.stream_id, change.before.definition.graph.ordinal[event.step], event.attempt)
        kind = type(event)
        if kind is ev.StepStarted:
            _trim(self._open)
            self._open[place] = open_ = Open(event.at)
        else:
            found = ended.get(place) or self._open.get(place) or _found(change.before, place)
            if found is None:
                return False
            open_ = found
        if kind in facts.OF_ATTEMPT:
            name = facts.name_of(event)
            if self._wants(name, origin):
                open_.events.append(Event(name, facts.of_event(event, self._redactor), event.at * _NANOS))
        elif kind not in facts.ATTEMPT_ENDS:
            return False
        if kind in facts.ATTEMPT_ENDS:
            open_.ended = event
            ended[place] = open_
            self._open.pop(place, None)
        return kind in facts.OF_ATTEMPT

    # --- spans ---

    def _task(self, change: Change, event: TaskStreamEvent, origin: Origin, segment: Segment) -> None:
        """Send the span of a task, or of what people did to it after its first end."""
        if not self._shows(TASK_SPAN, origin):
            return
        begins = change.after.created_at if segment.first else None
        if begins is None:
            begins = segment.marks[0].at if segment.marks else event.at
        if segment.first:
            draft = Draft(TASK_SPAN, origin.root, origin.parent, begins * _NANOS, event.at * _NANOS)
        else:
            own = origin.below(REPAIR_SPAN, change.stream_id, change.after.version)
            draft = Draft(REPAIR_SPAN, own, origin.root, begins * _NANOS, event.at * _NANOS)
        draft.attributes |= _of_task(change.after, origin)
        draft.events = [Event(mark.name, mark.facts, mark.at * _NANOS) for mark in segment.marks]
        self._send(draft, event)

    def _attempt(self, task: Task, place: Place, open_: Open, origin: Origin) -> None:
        """Send the span of an attempt; of one that ran here, with what its handler added."""
        span, event = self._running.pop(place, None), open_.ended
        if event is None or not self._shows(STEP_SPAN, origin):
            return
        stream_id, number, attempt = place
        own = origin.below(STEP_SPAN, stream_id, number, attempt) if span is None else span.get_span_context()
        draft = Draft(STEP_SPAN, own, origin.root, open_.started_at * _NANOS, event.at * _NANOS)
        if span is not None:
            self._add(draft, span)
        attributes = draft.attributes
        attributes |= _of_task(task, origin)
        attributes["tasker.step.name"] = task.definition.graph.names[number]
        attributes["tasker.step.attempt"] = attempt
        attributes["tasker.step.retry_limit"] = task.retry_limit(number)
        attributes["tasker.step.outcome"] = _OUTCOMES[type(event)]
        draft.events = sorted([*open_.events, *draft.events], key=_time) if draft.events else open_.events
        self._send(draft, event)

    def _add(self, draft: Draft, span: AttemptSpan) -> None:
        """Add what a handler set on its span; its secrets are masked as everywhere."""
        span.take()
        draft.begins, draft.ends = span.started_at, span.ended_at or draft.ends
        if span.added:
            draft.attributes |= bounded(self._redacted(span.added, span.secrets)) or {}
        draft.events = [
            Event(str(mask_values(one.name, span.secrets)), self._redacted(one.attributes, span.secrets), one.timestamp)
            for one in span.events
        ]
        draft.links = [Link(one.context, self._redacted(one.attributes, span.secrets)) for one in span.links]
        draft.status = span.status or _UNSET
        if draft.status.description:
            draft.status = Status(draft.status.status_code, mask_values(draft.status.description, span.secrets))

    def _redacted(self, values: Attributes, secrets: Mapping[str, str]) -> dict[str, AttributeValue]:
        masked = mask_values(self._redactor.mapping(dict(values or {})), secrets)
        return masked if isinstance(masked, dict) else {}

    def _send(self, draft: Draft, event: TaskStreamEvent) -> None:
        """Send a span, with what the event says that ended it."""
        error = facts.error_type(event)
        status = draft.status
        if error is not None:
            draft.attributes["error.type"] = error
            status = Status(StatusCode.ERROR, self._message(event))
        elif type(event) in _WELL:
            status = _OK
        self._tracer.span_processor.on_end(
            ReadableSpan(
                draft.name,
                draft.context,
                draft.parent,
                self._tracer.resource,
                draft.attributes,
                draft.events,
                draft.links,
                status=status,
                start_time=draft.begins,
                end_time=max(draft.begins, draft.ends),
                instrumentation_scope=self._scope,
            )
        )

    def _message(self, event: TaskStreamEvent) -> str:
        if isinstance(event, ev.StepFailed):
            return facts.short(event.error.message, self._redactor)
        return facts.short(event.error_message, self._redactor) if isinstance(event, ev.TaskFailed) else ""


def _found(before: Task, place: Place) -> Open | None:
    """Give an attempt that ran before an append and whose start was appended elsewhere."""
    state = before.steps[place[1]]
    if state.status is not StepStatus.IN_PROGRESS or state.attempt != place[2] or state.started_at is None:
        return None
    return Open(state.started_at)


def _of_task(task: Task, origin: Origin) -> dict[str, facts.Fact]:
    """Give what every span of a task says; made once for each task, for most have several."""
    if not origin.attributes:
        origin.attributes.update(facts.of_task(task))
    return origin.attributes


def _time(event: Event) -> int:
    return event.timestamp


def _trim(kept: dict[Place, Open] | dict[Place, AttemptSpan]) -> None:
    """Forget the oldest where there are too many: their ends were appended elsewhere, and told there."""
    if len(kept) >= _MOST_OPEN:
        for oldest in list(kept)[: _MOST_OPEN // _SHARE_DROPPED]:
            kept.pop(oldest, None)
