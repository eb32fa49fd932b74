"""Events for the tests of subscribers: like those that a log gives, and refused where no log could give them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tasker import BaseSubscriber
from tasker.catalog.catalog import Catalog, system_entries
from tasker.catalog.sample import ENVELOPE
from tasker.errors import InvalidRequest
from tasker.testing import event
from tests import emitted

TASK = "01928c5e-7d0a-7c3e-9f00-5b1e6a7d4c21"
SCHEMA = {"type": "object", "required": ["order_id"], "properties": {"order_id": {"type": "integer"}}}
TOLD = {
    "position": 42,
    "stream_id": TASK,
    "version": 3,
    "event_id": "01928c5e-7d0a-7c3e-9f00-000000000001",
    "time": datetime(2026, 5, 1, 12, tzinfo=UTC),
    "namespace": "pay",
    "task_name": "refund",
    "step": "charge",
    "attempt": 2,
    "actor": "ann",
    "correlation_id": "web-7",
    "causation_id": "01928c5e-7d0a-7c3e-9f00-000000000002",
    "metadata": {"traceparent": "00-1-2-03"},
}


@pytest.mark.parametrize("name", [*system_entries(), "order.fulfilled"])
def test_every_event_can_be_had(name):
    """Of every type there is an event whose envelope and body fit the schemas, without a word about it."""
    made = event(name)
    assert made.type == name
    assert emitted.problems(made) == []


def test_the_fields_that_matter_are_given():
    """What is given of a system event's body is in it, and the rest is that of the catalogue's example."""
    made = event("task.failed", {"error_message": "card declined", "name": "refund"})
    example = system_entries()["task.failed"].example
    assert (made.body["error_message"], made.body["name"], made.task_name) == ("card declined", "refund", "refund")
    assert made.body.keys() == example.keys()
    assert made.body["counts"] == example["counts"]
    made.body["counts"]["total"] = 99
    assert event("task.failed").body["counts"] == example["counts"]


def test_the_envelope_is_given():
    """Every field of the envelope can be given, and the body says the same."""
    made = event("step.failed", **TOLD)
    assert {key: getattr(made, key) for key in ENVELOPE} == TOLD
    same = ("task_id", "name", "namespace", "step", "step_name", "attempt")
    assert [made.body[key] for key in same] == [TASK, "refund", "pay", "charge", "charge", 2]
    assert made.cloudevent()["traceparent"] == "00-1-2-03"


def test_no_two_are_the_same():
    """Each has a place and an id of its own; they follow each other in one task."""
    first, second = event("task.started"), event("task.failed")
    assert first.event_id < second.event_id
    assert (first.position, first.version, first.time) < (second.position, second.version, second.time)
    assert first.stream_id == second.stream_id == first.body["task_id"]
    assert first != second
    assert event("task.created").version == 1
    assert event("control.paused").stream_id == "$control"


def test_a_body_of_ones_own():
    """The body of a custom event is what is given; a catalogue checks it, and gives its example where nothing is."""
    catalog = Catalog()
    catalog.register("order.fulfilled", schema=SCHEMA, example={"order_id": 7})
    assert event("order.fulfilled").body == {}
    assert event("order.fulfilled", {"x": [1]}, step="ship").body == {"x": [1]}
    assert event("order.fulfilled", {"name": "tea"}, task_name="plan").body == {"name": "tea"}
    assert event("order.fulfilled", catalog=catalog).body == {"order_id": 7}
    with pytest.raises(InvalidRequest, match=r"breaks the schema of its type: \$\.order_id: 'x' is not of type"):
        event("order.fulfilled", {"order_id": "x"}, catalog=catalog)
    with pytest.raises(InvalidRequest, match=r"Did you mean 'order\.fulfilled'"):
        event("order.fulfiled", catalog=catalog)


@pytest.mark.parametrize(
    ("name", "body", "envelope", "found"),
    [
        ("task.faild", None, {}, "Did you mean 'task.failed'"),
        ("Order", None, {}, "expected two or more words"),
        (None, None, {}, "event name 'None': expected two or more words"),
        ("task.failed", {"eror_message": "x"}, {}, "the body has no 'eror_message'. Did you mean 'error_message'"),
        ("task.failed", {"duration": "long"}, {}, r"$.duration: 'long' is not of type"),
        ("task.failed", {"name": "a"}, {"task_name": "b"}, "expected one task_name in envelope and body, found 'b'"),
        ("step.failed", {"step": "a", "step_name": "b"}, {}, "expected one step in envelope and body"),
        ("task.failed", None, {"step": "charge"}, "expected no step"),
        ("control.paused", None, {"task_name": "refund"}, "expected no task_name"),
        ("task.failed", {"context": 1}, {}, "the body has no 'context'"),
        ("order.paid", {"at": object()}, {}, "a mapping of JSON values"),
        ("order.paid", [1], {}, "a mapping of JSON values"),
        ("order.paid", None, {"positon": 1}, "the envelope has no 'positon'. Did you mean 'position'"),
        ("order.paid", None, {"position": 0}, "a whole number of at least 1, found 0"),
        ("order.paid", None, {"version": True}, "a whole number of at least 1, found True"),
        ("order.paid", None, {"stream_id": "7"}, "expected for stream_id a UUID, found '7'"),
        ("order.paid", None, {"actor": 7}, "a text that is not empty, found 7"),
        ("order.paid", None, {"time": "now"}, "an aware datetime, found 'now'"),
        ("order.paid", None, {"time": datetime(2026, 1, 1)}, "naive"),  # noqa: DTZ001 - what is refused
        ("order.paid", None, {"metadata": "x"}, "expected for metadata a mapping"),
    ],
)
def test_what_no_log_could_give_is_refused(name, body, envelope, found):
    """A wrong name, field or value is InvalidRequest, with what was expected and what was found."""
    with pytest.raises(InvalidRequest) as refused:
        event(name, body, **envelope)
    assert found in str(refused.value)


def test_a_subscriber_takes_it():
    """It is a recorded event to `deliver`, `filter` and `safe_get`."""

    class Notify(BaseSubscriber):
        subscribe_to = ("task.failed",)
        told = ()

        def filter(self, event):
            return event.namespace == "pay"

        def handle_task_failed(self, event):
            self.told = (self.safe_get(event, "error_message"), self.safe_get(event, "position"))

    notify = Notify()
    assert not notify.deliver(event("task.failed"))
    assert notify.deliver(event("task.failed", {"error_message": "declined"}, namespace="pay", position=9))
    assert notify.told == ("declined", 9)
