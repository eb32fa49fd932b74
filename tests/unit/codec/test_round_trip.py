"""Events survive the way to rows and back, and what is shown of them keeps its promises."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasker.codec import registry
from tasker.codec.decode import decode, decode_control, text_id
from tasker.codec.encode import encode
from tasker.codec.recorded import RecordedEvent
from tasker.codec.registry import FIRST_CUSTOM_CODE, SYSTEM_TYPES
from tasker.codec.rows import StoredEvent, StreamHeader
from tasker.domain import events as ev
from tasker.domain.status import TaskStatus
from tasker.errors import UnsupportedEvent

STREAM = bytes.fromhex("01890000000070008000000000000001")
EVENT_ID = bytes.fromhex("01890000000070008000000000000002")
HEADER = StreamHeader("shop", "order", "1.2.0", bytes(32), None, None)
CONTROL = StreamHeader("$control", "$control", "0.0.0", bytes(32), None, None)

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)
WHOLE = st.integers(0, 2**53)
SECONDS = st.floats(0, 1e9, allow_nan=False)
JSON = st.recursive(
    st.none() | st.booleans() | WHOLE | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
STATUS = st.sampled_from(TaskStatus)
COUNTS = st.builds(ev.Counts, *[st.integers(0, 100)] * len(ev.Counts._fields))
ERROR = st.builds(
    ev.StepError,
    type=TEXT,
    message=TEXT,
    kind=st.sampled_from([ev.RETRYABLE, ev.PERMANENT, ev.TIMEOUT, ev.ABANDONED, ev.TOO_LARGE]),
    backtrace=st.none() | TEXT,
    http_status=st.none() | st.integers(100, 599),
    code=st.none() | TEXT,
    context=JSON,
)
TEXTS = st.lists(TEXT, max_size=3).map(tuple)
FIELDS = {
    "at": WHOLE,
    "status": STATUS,
    "step": TEXT,
    "attempt": st.integers(0, 1000),
    "retry_limit": st.integers(1, 100),
    "actor": st.none() | TEXT,
    "reason": TEXT,
    "initiator": TEXT,
    "source_system": TEXT,
    "tags": TEXTS,
    "bypass_steps": TEXTS,
    "priority": st.integers(-100, 100),
    "parent": st.none() | st.builds(ev.Parent, TEXT, TEXT),
    "requested_at": st.none() | WHOLE,
    "not_before": st.integers(1, 2**53),
    "until": st.none() | WHOLE,
    "context": JSON,
    "results": JSON,
    "annotation": JSON,
    "body": JSON,
    "inputs": JSON,
    "sets_inputs": st.just(True),
    "sets_limit": st.booleans(),
    "rerun": st.booleans(),
    "final": st.booleans(),
    "duration": SECONDS,
    "delay_seconds": SECONDS,
    "backoff_type": st.sampled_from(["exponential", "constant", "server_requested"]),
    "counts": COUNTS,
    "failed_steps": st.lists(st.builds(ev.FailedStep, TEXT, TEXT, st.none() | TEXT), max_size=3).map(tuple),
    "error_type": TEXT,
    "error_message": st.none() | TEXT,
    "error": ERROR,
    "worker_id": TEXT,
    "annotation_type": TEXT,
    "scope": TEXT,
    "number": st.integers(0, 100),
}
FIXED = {
    ev.TaskCreated: {
        "status": TaskStatus.PENDING,
        "name": "order",
        "namespace": "shop",
        "version": "1.2.0",
        "definition_digest": bytes(32).hex(),
        "identity": None,
        "correlation_id": text_id(STREAM),
    },
    ev.TaskStarted: {"status": TaskStatus.IN_PROGRESS},
    ev.TaskCompleted: {"status": TaskStatus.COMPLETE},
    ev.TaskFailed: {"status": TaskStatus.ERROR},
    ev.StepAbandoned: {"reason": ev.WORKER_LOST},
    ev.CustomEvent: {"name": "order.shipped"},
}
KINDS = sorted({kind.event for kind in SYSTEM_TYPES.values()} | {ev.CustomEvent}, key=lambda kind: kind.__name__)


def events(kind: type) -> st.SearchStrategy:
    """Make events of one class."""
    fixed = FIXED.get(kind, {})
    names = [field.name for field in dataclasses.fields(kind) if field.name not in fixed]
    return st.builds(kind, **{name: FIELDS[name] for name in names}, **{name: st.just(v) for name, v in fixed.items()})


ALL = st.sampled_from(KINDS).flatmap(events)


def stored(event: ev.Event, *, status: TaskStatus = TaskStatus.IN_PROGRESS) -> StoredEvent:
    """Write an event as the log would give it back."""
    control = isinstance(event, ev.ControlPaused | ev.ControlResumed)
    number = 0 if isinstance(event, ev.StepEvent | ev.CustomEvent) else None
    row = encode(event, event_id=EVENT_ID, number=number, status=getattr(event, "status", status))
    if row.code == 0:
        row = row._replace(code=FIRST_CUSTOM_CODE)
    return StoredEvent(7, STREAM, 3, *row, None, None, bytes(32), CONTROL if control else HEADER)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_an_event_survives_the_way_to_a_row_and_back(kind):
    """decode(encode(event)) is the event, whatever stands in its fields, the time too."""

    @given(events(kind))
    def check(event):
        row = stored(event)
        back = decode_control(row) if row.header is CONTROL else decode(row)
        assert (back, back.at) == (event, event.at)

    check()


@given(ALL)
def test_what_is_shown_of_an_event_keeps_its_promises(event):
    """A task's event shows id, name, namespace, version and status; a step's also step, attempt and limit."""
    shown = RecordedEvent(stored(event))
    body = shown.body
    if isinstance(event, ev.CustomEvent):
        other = {} if event.body is None else {"value": event.body}
        assert body == (event.body if isinstance(event.body, dict) else other)
    elif isinstance(event, ev.TaskEvent | ev.StepEvent):
        promised = (body["task_id"], body["name"], body["namespace"], body["version"])
        assert promised == (text_id(STREAM), "order", "shop", "1.2.0")
        assert body["status"] == getattr(event, "status", TaskStatus.IN_PROGRESS)
    if isinstance(event, ev.StepEvent):
        assert (body["step_name"], body["attempt"], body["retry_limit"]) == (
            event.step,
            event.attempt,
            event.retry_limit,
        )
    if isinstance(event, ev.StepFailed):
        assert (body["error_message"], body["error_type"]) == (event.error.message, event.error.type)
    if isinstance(event, ev.TaskFailed):
        assert (body["error_message"], body["error_type"]) == (event.error_message, event.error_type)


@given(ALL)
def test_the_cloudevents_form(event):
    """It has the required attributes, extensions only where there is a value, and the body as data."""
    shown = RecordedEvent(stored(event), b"\x07")
    form = shown.cloudevent()
    assert (form["specversion"], form["type"], form["id"]) == ("1.0", f"tasker.{shown.type}", text_id(EVENT_ID))
    assert form["subject"] == shown.stream_id
    assert form["source"].startswith("/tasker/07/")
    assert form["time"].endswith("Z")
    assert form["data"] == dict(shown.body)
    assert None not in form.values()


def test_a_recorded_event_is_immutable():
    """Neither its attributes nor its body can be changed."""
    shown = RecordedEvent(stored(ev.TaskStarted(at=1, status=TaskStatus.IN_PROGRESS)))
    with pytest.raises(AttributeError):
        shown.position = 1
    with pytest.raises(TypeError):
        shown.body["status"] = "x"


@pytest.mark.parametrize("change", [{"code": 99}, {"schema_version": 2}])
def test_what_a_newer_release_wrote_is_not_guessed(change):
    """An unknown system code or schema version is UnsupportedEvent with position and type; custom types pass."""
    row = stored(ev.TaskStarted(at=1, status=TaskStatus.IN_PROGRESS))._replace(**change)
    with pytest.raises(UnsupportedEvent, match="position 7") as caught:
        decode(row)
    assert caught.value.position == 7
    custom = stored(ev.CustomEvent(at=1, name="order.shipped", step="a", attempt=1, number=0, body={}))
    assert decode(custom._replace(code=FIRST_CUSTOM_CODE + 5)).name == "order.shipped"


def test_upcasters_are_applied_one_version_at_a_time(monkeypatch):
    """Data of version 1 goes through 1→2 and 2→3; data of version 2 only through 2→3; both show the newest form."""
    monkeypatch.setitem(registry.UPCASTERS, ("step.waiting", 1), lambda data: {**data, "reason": f"{data['reason']}+2"})
    monkeypatch.setitem(registry.UPCASTERS, ("step.waiting", 2), lambda data: {**data, "reason": f"{data['reason']}+3"})
    kinds = dict(SYSTEM_TYPES)
    kinds[27] = kinds[27]._replace(schema_version=3)
    monkeypatch.setattr(registry, "SYSTEM_TYPES", kinds)
    row = stored(ev.StepWaiting(at=1, step="a", attempt=1, retry_limit=3, until=None, reason="r"))
    reasons = [decode(row._replace(schema_version=version)).reason for version in (1, 2, 3)]
    assert reasons == ["r+2+3", "r+3", "r"]
    assert RecordedEvent(row).body["reason"] == "r+2+3"


def test_codes_are_fixed_for_ever():
    """The codes of a released log never change their meaning."""
    assert {code: kind.name for code, kind in SYSTEM_TYPES.items()} == {
        1: "task.created", 2: "task.started", 3: "task.completed", 4: "task.failed", 5: "task.cancelled",
        6: "task.paused", 7: "task.resumed", 8: "task.retried", 9: "task.resolved_manually", 10: "task.updated",
        11: "task.annotated", 12: "task.erased", 20: "step.started", 21: "step.completed", 22: "step.failed",
        23: "step.failed", 24: "step.retry_scheduled", 25: "step.abandoned", 26: "step.abandoned", 27: "step.waiting",
        28: "step.skipped", 29: "step.cancelled", 30: "step.reset", 31: "step.resolved_manually", 32: "step.updated",
        40: "control.paused", 41: "control.resumed",
    }  # fmt: skip
