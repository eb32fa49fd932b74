"""Three orders of a shop and what became of them: a history in which every system event is recorded.

The examples of the catalogue are taken from it. It is decided, encoded and shown by the code that does so in the
engine, with fixed times and ids, so an example cannot differ from what the log gives.
"""

from __future__ import annotations

from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING

from tasker.codec import definition as plans
from tasker.codec.decode import text_id
from tasker.codec.encode import encode
from tasker.codec.recorded import RecordedEvent
from tasker.codec.rows import NewEvent, StoredEvent, StreamHeader
from tasker.domain import commands as cmd
from tasker.domain import events as ev
from tasker.domain.control import STREAM
from tasker.domain.decide import react
from tasker.domain.definition import StepTemplate, TaskDefinition
from tasker.domain.status import TaskStatus
from tasker.domain.task import SECOND, blank, evolve

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

CUSTOM_EXAMPLE = "order.charged"
_LOG_ID = bytes.fromhex("01928c5e0000700080000000000000aa")
_MORNING = 1_795_269_600 * SECOND  # 2026-11-21T14:00:00Z
_ANN, _AGREED = "ann@shop.example", "agreed with the customer"
_WORKER = "01928c5e-7d0a-7c3e-9f00-5b1e6a7d4c21"


def _definition() -> TaskDefinition:
    """Declare the task that the story is about."""
    return TaskDefinition(
        name="order_process",
        namespace="shop",
        version="1.2.0",
        step_templates=[
            StepTemplate(name="fetch_order", handler_class="shop.steps:FetchOrder"),
            StepTemplate(name="check_fraud", handler_class="shop.steps:CheckFraud", skippable=True),
            StepTemplate(
                name="charge", handler_class="shop.steps:Charge", depends_on_steps=["fetch_order", "check_fraud"]
            ),
            StepTemplate(name="approve", handler_class="tasker.Manual", depends_on_step="charge"),
            StepTemplate(name="ship", handler_class="shop.steps:Ship", depends_on_step="approve"),
        ],
    )


class _Shelf:
    """The log of the story: gives places and ids, and keeps what was recorded."""

    def __init__(self) -> None:
        """Begin empty."""
        self.events: list[RecordedEvent] = []

    def append(self, stream: bytes, version: int, new: NewEvent, header: StreamHeader) -> None:
        """Put an event at the end; what only its bytes in a log would have, salt and hashes, is left out."""
        code = new.code or 1000  # the first custom type of a log
        row = new._replace(code=code)
        stored = StoredEvent(len(self.events) + 1, stream, version, *row, None, None, bytes(32), header)
        self.events.append(RecordedEvent(stored, _LOG_ID))


def _id(at: int, number: int) -> bytes:
    """Make a UUIDv7 of a time and a number."""
    return (at // 1000).to_bytes(6) + b"\x70\x00\x80" + number.to_bytes(7)


class _Order:
    """One order: what is asked of its task, second by second."""

    def __init__(self, shelf: _Shelf, number: int, bypass: tuple[str, ...] = ()) -> None:
        """Ask for the task."""
        self._shelf = shelf
        self._definition = _definition()
        self._now = _MORNING + number * 3600 * SECOND
        self._stream = _id(self._now, number)
        digest = plans.digest(plans.encode(self._definition))
        self._header = StreamHeader(
            self._definition.namespace, self._definition.name, self._definition.version, digest, f"web-{number}", None
        )
        self.task = blank(text_id(self._stream), self._definition)
        self.do(
            lambda now: cmd.CreateTask(
                now=now, definition_digest=digest.hex(), context={"order_id": number}, initiator=_ANN,
                source_system="web", reason="new order", tags=("vip",), priority=0, identity=None,
                bypass_steps=bypass, not_before=None, correlation_id=f"web-{number}", parent=None,
                requested_at=now - SECOND,
            )
        )  # fmt: skip

    def do(self, command: Callable[[int], cmd.TaskCommand], after: float = 1) -> None:
        """Give a command, so many seconds after the last, and record what is decided."""
        self._now += round(after * SECOND)
        events, _ = react(self.task, command(self._now))
        first: bytes | None = None
        for event in events:
            self.task = evolve(self.task, event)
            own = _id(self._now, 100 + len(self._shelf.events))
            self._record(event, own, first)
            first = first or own

    def _record(self, event: ev.TaskStreamEvent, event_id: bytes, cause: bytes | None) -> None:
        step = None if isinstance(event, ev.TaskEvent) else self._definition.graph.ordinal[event.step]
        new = encode(event, event_id=event_id, number=step, status=self.task.status, causation_id=cause)
        self._shelf.append(self._stream, self.task.version, new, self._header)

    def start(self, step: str, after: float = 0.5) -> None:
        """Start the next attempt of a step."""
        self.do(lambda now: cmd.StartStep(now=now, step=step, worker_id=_WORKER), after)

    def complete(self, step: str, results: object, *published: cmd.Publication) -> None:
        """Complete the running attempt of a step."""
        attempt = self.task.step(step).attempt
        self.do(
            lambda now: cmd.ReportStepCompleted(
                now=now, step=step, attempt=attempt, results=results, duration=0.25, published=published
            ),
            0.25,
        )

    def fail(self, step: str, error: ev.StepError) -> None:
        """Fail the running attempt of a step."""
        attempt = self.task.step(step).attempt
        self.do(
            lambda now: cmd.ReportStepFailed(
                now=now, step=step, attempt=attempt, error=error, jitter=0.5, duration=0.75
            ),
            0.75,
        )


def _busy(order: _Order) -> None:
    """Let an order wait for the gateway, for a person and for another worker, and arrive."""
    late = ev.StepError(
        "shop.errors.GatewayTimeout", "no answer within 5 s", ev.RETRYABLE, "shop/steps.py:31 in process", 504,
        "HTTP_504", {"gateway": "payments"},
    )  # fmt: skip
    order.start("fetch_order")
    order.complete("fetch_order", {"total": 12.5})
    order.start("charge")
    order.fail("charge", late)
    order.start("charge", after=60)
    order.complete("charge", {"charged": True}, cmd.Publication(CUSTOM_EXAMPLE, {"order_id": 7, "amount": 12.5}))
    order.start("approve")
    order.do(
        lambda now: cmd.ReportStepWaiting(
            now=now, step="approve", attempt=1, reason="approval by a person", timeout_seconds=86_400
        )
    )
    order.do(lambda now: cmd.PauseTask(now=now, actor=_ANN, reason=_AGREED))
    order.do(lambda now: cmd.UpdateTask(now=now, tags=("vip", "gift"), actor=_ANN, reason="it is a gift"))
    order.do(
        lambda now: cmd.UpdateStep(
            now=now, step="ship", inputs={"express": True}, sets_inputs=True, actor=_ANN, reason=_AGREED
        )
    )
    order.do(lambda now: cmd.ResumeTask(now=now, actor=_ANN, reason=_AGREED))
    order.do(
        lambda now: cmd.CompleteStep(now=now, step="approve", results={"approved": True}, actor=_ANN, reason=_AGREED)
    )
    order.start("ship")
    order.do(lambda now: cmd.AbandonStep(now=now, step="ship", attempt=1, reason=ev.WORKER_LOST, jitter=0.5), 30)
    order.start("ship", after=60)
    order.complete("ship", {"parcel": "P-1"})
    order.do(
        lambda now: cmd.AnnotateTask(
            now=now, annotation_type="refund", annotation={"amount": 2.5}, actor=_ANN, reason=_AGREED
        ),
        86_400,
    )


def _refused(order: _Order) -> None:
    """Let an order fail for good, be retried, resolved by hand, and forgotten."""
    declined = ev.StepError("tasker.errors.PermanentError", "card declined", ev.PERMANENT, None, None, "DECLINED")
    order.start("fetch_order")
    order.complete("fetch_order", {"total": 3})
    order.start("charge")
    order.fail("charge", declined)
    order.do(lambda now: cmd.RetryTask(now=now, actor=_ANN, reason=_AGREED), 600)
    order.do(
        lambda now: cmd.ResolveStep(now=now, step="charge", results={"charged": "in cash"}, actor=_ANN, reason=_AGREED)
    )
    order.start("approve")
    order.fail("approve", declined)
    order.do(lambda now: cmd.ResolveTask(now=now, actor=_ANN, reason=_AGREED))
    order.do(lambda now: cmd.EraseTask(now=now, actor=_ANN, reason="the customer asked for it"), 86_400)


def _control(shelf: _Shelf) -> None:
    header = StreamHeader(STREAM, STREAM, "0.0.0", bytes(32), None, None)
    kinds: tuple[type[ev.ControlPaused | ev.ControlResumed], ...] = (ev.ControlPaused, ev.ControlResumed)
    for version, kind in enumerate(kinds, start=1):
        at = _MORNING + (12 * 3600 + version) * SECOND
        event = kind(at=at, scope="system:payments", actor=_ANN, reason="the gateway is down")
        own = _id(at, 100 + len(shelf.events))
        new = encode(event, event_id=own, number=None, status=TaskStatus.PENDING)
        shelf.append(_id(_MORNING, 0), version, new, header)


@cache
def story() -> tuple[RecordedEvent, ...]:
    """Give everything that is recorded in the story, in order."""
    shelf = _Shelf()
    _busy(_Order(shelf, 7, ("check_fraud",)))
    _refused(_Order(shelf, 8, ("check_fraud",)))
    _Order(shelf, 9).do(lambda now: cmd.CancelTask(now=now, actor=_ANN, reason="ordered twice"))
    _control(shelf)
    return tuple(shelf.events)


@cache
def examples() -> Mapping[str, RecordedEvent]:
    """Give the first event of each type in the story."""
    return MappingProxyType({event.type: event for event in reversed(story())})
