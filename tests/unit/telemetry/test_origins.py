"""Rules of the ids of traces and spans."""

from __future__ import annotations

import pytest
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, ParentBased, TraceIdRatioBased

from tasker.settings import Settings
from tasker.telemetry import origins
from tasker.telemetry.origins import STEP_SPAN, Origins, parent_of
from tasker.telemetry.routing import Routes

TASK = bytes(range(16))
TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SAMPLED = f'{{"traceparent":"00-{TRACE}-{SPAN}-01","tracestate":"a=b"}}'.encode()
LEFT_OUT = f'{{"traceparent":"00-{TRACE}-{SPAN}-00"}}'.encode()


USUAL = ParentBased(ALWAYS_ON)


def known(metadata: bytes | None = None, sampler=USUAL, rules=()) -> Origins:
    """Make the traces of tasks that were all created elsewhere, with this metadata."""
    routes = Routes(Settings.of({"telemetry": {"events": list(rules)}}).telemetry.events)
    return Origins(sampler, routes, lambda _: metadata)


def test_every_process_derives_the_same_ids():
    """Trace, root and attempts follow from the task's id; other tasks, steps and attempts have others."""
    first, second = known().of(TASK), known().of(TASK)
    assert first.root == second.root
    assert first.root.is_valid
    assert first.parent is None
    places = [(0, 1), (0, 2), (1, 1)]
    ids = {first.below(STEP_SPAN, TASK, *place).span_id for place in places}
    assert ids == {second.below(STEP_SPAN, TASK, *place).span_id for place in places}
    assert len(ids | {first.root.span_id, known().of(bytes(16)).root.span_id}) == 5
    assert known().of(bytes(16)).root.trace_id != first.root.trace_id


def test_a_request_with_a_trace_stays_in_it():
    """The stored `traceparent` names the trace and the span above the root, whose own id is the derived one."""
    origin = known(SAMPLED).of(TASK)
    assert f"{origin.root.trace_id:032x}" == TRACE
    assert f"{origin.parent.span_id:016x}" == SPAN
    assert origin.parent.is_remote
    assert origin.root.trace_state.get("a") == "b"
    assert origin.root.span_id == known().of(TASK).root.span_id


def test_a_trace_that_its_caller_left_out_is_left_out():
    """The sampled flag of the caller is obeyed."""
    origin = known(LEFT_OUT).of(TASK)
    assert not origin.sampled
    assert not origin.root.trace_flags.sampled
    assert known(SAMPLED).of(TASK).sampled


def test_the_sampler_of_the_sdk_decides():
    """OTEL_TRACES_SAMPLER counts: its sampler is asked with the trace's id, whose bits are spread evenly."""
    assert not known(sampler=ALWAYS_OFF).of(TASK).sampled
    half = known(sampler=TraceIdRatioBased(0.5))
    taken = sum(half.of(bytes(14) + number.to_bytes(2)).sampled for number in range(300))
    assert 75 < taken < 225  # the ids are fixed: this sum is always the same


def test_a_rule_for_created_tasks_samples_traces():
    """`telemetry.events` samples whole traces by `task.created`."""
    assert not known(rules=[{"match": "task.created", "sampling": 0.0}]).of(TASK).sampled


@pytest.mark.parametrize("metadata", [None, b'{"request_id":"7"}', b'{"traceparent":"rubbish"}'])
def test_without_a_valid_parent_there_is_none(metadata):
    """Other metadata and rubbish name no trace."""
    assert parent_of(metadata) is None


def test_what_was_created_here_is_not_read():
    """The metadata of a task that this process created needs no look into the log."""

    def fail(_: bytes) -> bytes:
        raise AssertionError("read")

    mine = Origins(ALWAYS_ON, Routes(), fail)
    mine.born(TASK, SAMPLED)
    assert f"{mine.of(TASK).root.trace_id:032x}" == TRACE
    mine.born(bytes(16), None)
    assert mine.of(bytes(16)).parent is None


def test_traces_are_remembered_within_bounds(monkeypatch):
    """Beyond the bound the oldest are forgotten, and read again when asked for."""
    monkeypatch.setattr(origins, "_MOST", 20)
    asked: list[bytes] = []
    mine = Origins(ALWAYS_ON, Routes(), asked.append)
    ids = [bytes(15) + bytes([number]) for number in range(40)]
    for one in ids:
        mine.of(one)
    assert len(mine._known) <= 20
    mine.of(ids[-1])
    mine.of(ids[0])
    assert asked == [*ids, ids[0]]
