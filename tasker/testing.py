"""What users' tests need: a still clock, an application in memory, given/when/then, one step or one event alone.

It imports no test runner. Event and command classes of the domain are at hand under their own names.
"""

from __future__ import annotations

import asyncio
import os
import random
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, NamedTuple

from tasker.app.tasker import DEFAULT_CONCURRENCY, Tasker
from tasker.catalog.sample import sample
from tasker.clock import SystemClock, micros
from tasker.definitions.declare import definition_of
from tasker.definitions.resolve import resolve
from tasker.definitions.secrets import resolve_config
from tasker.domain import commands as _commands
from tasker.domain import events as _events
from tasker.domain.commands import *  # noqa: F403 - the command classes are part of this module's face
from tasker.domain.decide import decide
from tasker.domain.definition import MANUAL, StepTemplate, TaskDefinition
from tasker.domain.events import *  # noqa: F403 - the event classes are part of this module's face
from tasker.domain.status import TaskStatus
from tasker.domain.task import blank, fold
from tasker.errors import InvalidDefinition
from tasker.handlers.attempt import Attempt, Completed, Failed, is_async
from tasker.handlers.attempt_step import AttemptControl
from tasker.handlers.connections import Connections
from tasker.handlers.publishing import Tools
from tasker.handlers.values import to_json
from tasker.handlers.views import Task

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tasker.catalog.catalog import Catalog
    from tasker.clock import Clock, IdSource
    from tasker.codec.recorded import RecordedEvent
    from tasker.domain.commands import TaskCommand
    from tasker.domain.definition import HandlerClass
    from tasker.domain.events import Event, StepError, TaskStreamEvent
    from tasker.handlers.attempt import Outcome
    from tasker.settings import Settings

_START = datetime(2026, 1, 1, tzinfo=UTC)
_STEP = "step"
_NO_SETTINGS: Mapping[str, object] = MappingProxyType({})


class FrozenClock:
    """A clock that stands still until it is advanced."""

    def __init__(self, at: datetime | None = None) -> None:
        """Stand at an aware time, by default at the beginning of 2026 (UTC)."""
        self._now = (at or _START).astimezone(UTC)

    def now(self) -> datetime:
        """Give the time at which it stands (aware, UTC)."""
        return self._now

    def advance(self, by: float | timedelta) -> None:
        """Move on by seconds or a timedelta."""
        self._now += by if isinstance(by, timedelta) else timedelta(seconds=by)


class SeededIds:
    """UUIDv7 ids and jitter that are the same in every run."""

    def __init__(self, seed: int = 0) -> None:
        """Start a sequence."""
        self._random = random.Random(seed)  # noqa: S311 - tests want the same numbers again
        self._count = 0

    def uuid(self) -> uuid.UUID:
        """Give the next id; ids increase."""
        self._count += 1
        high = (1_767_225_600_000 << 80) | (7 << 76) | ((self._count >> 62 & 0xFFF) << 64)
        return uuid.UUID(int=high | (2 << 62) | (self._count & (1 << 62) - 1))

    def jitter(self) -> float:
        """Give the next number from 0 to 1."""
        return self._random.random()


def app(
    *definitions: TaskDefinition | type,
    url: str = "memory://",
    clock: Clock | None = None,
    settings: Mapping[str, object] | Settings | None = _NO_SETTINGS,
    ids: IdSource | None = None,
    concurrency: int = DEFAULT_CONCURRENCY,
    bus: Literal["own", "all"] = "own",
) -> Tasker:
    """Make an application for a test: in memory, with seeded ids and jitter, without settings from outside.

    Args:
        *definitions: What to register.
        url: Address of the log.
        clock: For instance a `FrozenClock`.
        settings: As in `Tasker`; None reads `tasker.yaml` and TASKER_ variables.
        ids: Source of ids and jitter, if not the seeded one.
        concurrency: Slots.
        bus: As in `Tasker`.
    """
    made = Tasker(
        url, settings=settings, clock=clock or SystemClock(), ids=ids or SeededIds(), concurrency=concurrency, bus=bus
    )
    for definition in definitions:
        made.register(definition)
    return made


class Given:
    """A history; `when` asks something of it."""

    def __init__(self, definition: object, history: Sequence[TaskStreamEvent]) -> None:
        """Fold the history over the definition."""
        resolved = resolve(definition_of(definition), environment=None)
        self._task = fold(blank(str(uuid.UUID(int=0)), resolved), history)

    def when(self, command: TaskCommand) -> When:
        """Decide on a command; what it raises passes through."""
        return When(decide(self._task, command))


class When:
    """A decision; `then` compares it."""

    def __init__(self, events: tuple[TaskStreamEvent, ...]) -> None:
        """Take the events."""
        self.events = events

    def then(self, *expected: Event) -> None:
        """Compare types and fields, not envelopes (the time).

        Raises:
            AssertionError: They differ; shows both.
        """
        if self.events != expected:
            shown = "\n  ".join(map(repr, self.events)) or "no event"
            wanted = "\n  ".join(map(repr, expected)) or "no event"
            raise AssertionError(f"expected\n  {wanted}\nfound\n  {shown}")


def given(definition: object, *history: TaskStreamEvent) -> Given:
    """Begin a given/when/then test of the rules with a definition and what has happened so far."""
    return Given(definition, history)


def event(
    type: str, body: Mapping[str, object] | None = None, *, catalog: Catalog | None = None, **envelope: object
) -> RecordedEvent:
    """Make a recorded event for the test of a subscriber, without a log: `subscriber.deliver(event("task.failed"))`.

    Args:
        type: A system event such as `task.failed`, or one of your own.
        body: Of a system event the fields that matter, such as `{"error_message": "card declined"}`, the others are
            those of the catalogue's example; of an event of your own all of it.
        catalog: Where events of your own are declared, `app.catalog`; without it their bodies are not checked.
        **envelope: Fields of the envelope: position, stream_id, version, event_id, time, namespace, task_name, step,
            attempt, actor, correlation_id, causation_id, metadata. By default each event has a position, a version
            and an event_id of its own, all are of one task, and the rest is that of the example.

    Raises:
        InvalidRequest: There is no such event, a field is not known or has a wrong value, the body breaks the schema,
            or envelope and body say different things.
    """
    return sample(type, body, envelope, catalog)


class PublishedEvent(NamedTuple):
    """A custom event that a handler published."""

    type: str
    body: object


class StepOutcome(NamedTuple):
    """How one attempt ended.

    Attributes:
        results: What became `step.results`; None if it failed or waits.
        error: Why it failed, or None.
        events: The custom events it published, in order.
        delay: Seconds that it asked to wait before the next attempt, or None.
    """

    results: object
    error: StepError | None
    events: list[PublishedEvent]
    delay: float | None


class _Payloads:
    """Payloads by version, for views without a log."""

    def __init__(self, payloads: Mapping[int, object]) -> None:
        self._payloads = payloads

    def payload(self, version: int) -> object:
        return self._payloads.get(version)

    def history(self) -> Sequence[RecordedEvent]:
        return ()


def run_step(
    handler: HandlerClass,
    *,
    config: Mapping[str, object] | None = None,
    context: Mapping[str, object] | None = None,
    inputs: object = None,
    results: Mapping[str, object] | None = None,
    transport: object = None,
) -> StepOutcome:
    """Run one attempt of one handler alone, without a log.

    Args:
        handler: A class or function.
        config: Its handler_config; placeholders are resolved from the environment.
        context: The task's context.
        inputs: What `step.inputs` gives in place of the context.
        results: For each parent step its results.
        transport: An httpx2 transport for API steps, such as `httpx2.MockTransport`.

    Raises:
        InvalidDefinition: The handler or its config cannot be declared.
        InvalidRequest: A given value is no JSON.
    """
    parents = dict(results or {})
    templates = [StepTemplate(name=name, handler_class=MANUAL) for name in parents]
    own = StepTemplate(
        name=_STEP, handler_class=handler, handler_config=dict(config or {}), depends_on_steps=list(parents)
    )
    definition = resolve(TaskDefinition(name="run_step", step_templates=[*templates, own]), environment=None)
    number = len(templates)
    template = definition.step_templates[number]
    state, payloads = _history(definition, context or {}, parents, inputs)
    resolved, secrets = resolve_config(template.handler_config, os.environ)
    tools = Tools(connections=Connections(transport))
    handler_class = template.handler_class
    if isinstance(handler_class, str):
        handler_class = Tasker("memory://", settings={}).register(definition).step_templates[number].handler_class
    if isinstance(handler_class, str):
        raise InvalidDefinition(
            f"expected a handler to run, found the name {handler_class!r}; give the class or function"
        )
    view = Task(fold(blank(str(uuid.UUID(int=0)), definition), state), _Payloads(payloads))
    attempt = Attempt(handler_class, view, number, resolved, secrets, AttemptControl(), tools)
    outcome = asyncio.run(attempt.run_async()) if is_async(attempt.handler) else attempt.run()
    tools.connections.close()
    return _outcome(outcome)


def _history(
    definition: TaskDefinition, context: Mapping[str, object], parents: Mapping[str, object], inputs: object
) -> tuple[list[TaskStreamEvent], dict[int, object]]:
    """Make the events that lead to the start of the step, and their payloads by version."""
    at = micros(_START)
    payloads: dict[int, object] = {1: to_json(dict(context), what="the context")[0]}
    history: list[TaskStreamEvent] = [
        _events.TaskCreated(
            at=at,
            status=TaskStatus.PENDING,
            name=definition.name,
            namespace=definition.namespace,
            version=definition.version,
            definition_digest="",
            context=payloads[1],
            correlation_id=str(uuid.UUID(int=0)),
        ),
    ]
    for name, value in parents.items():
        payloads[len(history) + 1] = plain = to_json(value)[0]
        history.append(_events.StepResolvedManually(at=at, step=name, attempt=0, retry_limit=1, results=plain))
    if inputs is not None:
        payloads[len(history) + 1] = plain = to_json(inputs, what="the inputs")[0]
        history.append(_events.StepUpdated(at=at, step=_STEP, attempt=0, retry_limit=1, inputs=plain, sets_inputs=True))
    history.append(_events.StepStarted(at=at, step=_STEP, attempt=1, retry_limit=1, worker_id="run_step"))
    return history, payloads


def _outcome(outcome: Outcome) -> StepOutcome:
    published = [PublishedEvent(event.name, event.body) for event in outcome.published]
    if isinstance(outcome, Completed):
        return StepOutcome(outcome.results, None, published, None)
    if isinstance(outcome, Failed):
        kept = [PublishedEvent(event.name, event.body) for event in outcome.published if event.always]
        return StepOutcome(None, outcome.error, kept, outcome.retry_after)
    return StepOutcome(None, None, published, None)


_CLASSES = sorted(
    {
        name
        for module in (_commands, _events)
        for name, value in vars(module).items()
        if isinstance(value, type) and value.__module__ == module.__name__
    }
)
__all__ = [  # noqa: PLE0604 - the names of the classes are texts
    "FrozenClock",
    "Given",
    "PublishedEvent",
    "SeededIds",
    "StepOutcome",
    "When",
    "app",
    "event",
    "given",
    "run_step",
    *_CLASSES,
]
