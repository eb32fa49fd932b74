"""Rules of the span that a handler finds as its current one."""

from __future__ import annotations

from opentelemetry.trace import Link, Span, SpanContext, Status, StatusCode, TraceFlags

from tasker.telemetry.attempts import AttemptSpan, bounded

CONTEXT = SpanContext(1, 2, is_remote=False, trace_flags=TraceFlags(1))


def span() -> AttemptSpan:
    """Make one that began at 1000."""
    return AttemptSpan(CONTEXT, 1000, {})


def test_it_takes_what_a_span_takes():
    """Attributes, events, links, exceptions and a status are kept for the span that is sent."""
    one = span()
    assert isinstance(one, Span)
    assert one.is_recording()
    assert one.get_span_context() is CONTEXT
    one.set_attribute("a", 1)
    one.set_attributes({"b": [1, 2], "a": 2})
    one.add_event("noted", {"c": True}, 1500)
    one.add_link(CONTEXT, {"d": 1})
    one.record_exception(ValueError("no"), {"e": 1})
    one.set_status(StatusCode.ERROR, "bad")
    assert one.added == {"a": 2, "b": [1, 2]}
    assert [event.name for event in one.events] == ["noted", "exception"]
    assert one.events[0].timestamp == 1500
    assert one.events[1].timestamp >= 1000
    assert dict(one.events[1].attributes)["exception.message"] == "no"
    assert [type(link) for link in one.links] == [Link]
    assert (one.status.status_code, one.status.description) == (StatusCode.ERROR, "bad")


def test_it_ends_with_its_attempt():
    """`end` and `update_name` change nothing; `returned` notes the real time, and after `take` it takes nothing."""
    one = span()
    one.end()
    one.update_name("other")
    assert one.ended_at is None
    one.returned()
    assert one.ended_at >= 1000
    one.take()
    one.set_attribute("late", 1)
    one.add_event("late")
    one.add_link(CONTEXT)
    assert (one.added, one.events, one.links, one.is_recording()) == ({}, [], [], False)


def test_it_is_bounded():
    """A handler that notes things without end costs no memory without end; known attributes may still change."""
    one = span()
    for number in range(1000):
        one.set_attribute(f"a{number}", number)
        one.add_event("again")
        one.add_link(CONTEXT)
    one.set_attribute("a0", "changed")
    assert (len(one.added), len(one.events), len(one.links)) == (128, 128, 128)
    assert one.added["a0"] == "changed"


def test_a_given_status_is_kept():
    """A status may come as a value."""
    one = span()
    one.set_status(Status(StatusCode.OK))
    assert one.status.status_code is StatusCode.OK


def test_attributes_of_another_kind_are_left_out():
    """What no attribute can be is dropped, as by the SDK."""
    assert dict(bounded({"good": 1, "bad": object()})) == {"good": 1}
