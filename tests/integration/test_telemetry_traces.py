"""Traces: one span for each task and each attempt, whoever submits, runs and ends it."""

from __future__ import annotations

import asyncio
import threading

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import SpanProcessor
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import StatusCode

from tasker import PermanentError, RetryableError, Tasker, Wait
from tasker.telemetry import telemetry
from tasker.telemetry.traces import Traces
from tests.integration.runner_kit import PATIENCE, Gate, chain, eventually, memory_app, plan, step
from tests.unit.telemetry.kit import host, names

TRACE, CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
PARENT = {"traceparent": f"00-{TRACE}-{CALLER}-01"}
SECOND = 1_000_000_000


@pytest.fixture
def spans(monkeypatch):
    """Give what a host's provider has sent."""
    with host(monkeypatch) as sent:
        yield sent


def below(span, parent):
    """Say whether a span is a child of another one."""
    return span.parent.span_id == parent.context.span_id and span.context.trace_id == parent.context.trace_id


def test_a_task_is_one_span_with_one_below_for_each_attempt(spans):
    """The root reaches from creation to the end; attempts, retried ones too, are its children, with their events."""

    def flaky(task, sequence, step):
        step.publish("order.tried", {}, always=True)
        if step.attempt == 1:
            raise RetryableError("GET https://shop/x?token=sesame gave 503", retry_after=0)
        return {}

    with memory_app(plan(step("pay", flaky, jitter=0), version="1.2.0"), clock=None) as app:
        task = app.submit(name="plan", correlation_id="corr-1")
        app.run_until_complete(task.id)
    root, attempts = spans.one("tasker.task"), spans.all("tasker.step")
    said = {
        "tasker.task.id": task.id,
        "tasker.task.name": "plan",
        "tasker.task.namespace": "default",
        "tasker.task.version": "1.2.0",
        "tasker.correlation_id": "corr-1",
    }
    assert dict(root.attributes) == said
    assert (root.parent, root.status.status_code) == (None, StatusCode.OK)
    assert names(root) == ["task.created", "task.started", "task.completed"]
    assert all(below(one, root) for one in attempts)
    first, second = attempts
    told = {"tasker.step.name": "pay", "tasker.step.retry_limit": 3}
    assert dict(first.attributes) == said | told | {
        "tasker.step.attempt": 1,
        "tasker.step.outcome": "failed",
        "error.type": "tasker.errors.RetryableError",
    }
    assert dict(second.attributes) == said | told | {"tasker.step.attempt": 2, "tasker.step.outcome": "completed"}
    assert sorted(names(first)) == ["order.tried", "step.failed", "step.retry_scheduled", "step.started"]
    assert (first.status.status_code, second.status.status_code) == (StatusCode.ERROR, StatusCode.OK)
    assert first.status.description == "GET https://shop/x?token=[FILTERED] gave 503"
    assert "sesame" not in "".join(one.to_json() for one in spans.all())


def test_spans_have_real_times(spans):
    """An attempt lasts as long as its handler, within the span of its task."""
    with memory_app(plan(step("nap", lambda *_: threading.Event().wait(0.05))), clock=None) as app:
        task = app.run_until_complete(app.submit(name="plan").id)
    root, attempt = spans.one("tasker.task"), spans.one("tasker.step")
    assert attempt.end_time - attempt.start_time >= 0.04 * SECOND
    assert root.start_time == int(task.created_at.timestamp() * 1_000_000) * 1_000
    assert root.start_time <= attempt.start_time <= attempt.end_time <= root.end_time


def test_spans_of_the_users_nest(spans):
    """A handler runs inside the span of its attempt, sync or async: its spans lie below, its attributes are kept."""

    def sync(task, sequence, step):
        with trace.get_tracer("mine").start_as_current_span("inner"):
            trace.get_current_span().set_attribute("deep", 1)
        trace.get_current_span().set_attributes({"order": 7, "card_token": "4111"})
        trace.get_current_span().add_event("charged", {"password": "x"})

    async def coroutine(task, sequence, step):
        await asyncio.sleep(0)
        with trace.get_tracer("mine").start_as_current_span("inner"):
            await asyncio.sleep(0)

    with memory_app(plan(step("a", sync), step("b", coroutine))) as app:
        app.submit(name="plan")
        app.run_until_idle()
    (first,), (second,) = spans.of_step("a"), spans.of_step("b")
    assert sorted(one.parent.span_id for one in spans.all("inner")) == sorted(
        [first.context.span_id, second.context.span_id]
    )
    assert first.attributes["order"] == 7
    assert first.attributes["card_token"] == "[FILTERED]"
    charged = next(event for event in first.events if event.name == "charged")
    assert dict(charged.attributes) == {"password": "[FILTERED]"}


def test_a_handler_cannot_put_its_secrets_on_its_span(spans, monkeypatch):
    """What its configuration got from the environment is masked in attributes, events, links and status."""
    monkeypatch.setenv("SHOP_WORD", "open-sesame")

    def careless(task, sequence, step):
        word, span = step.secrets["SHOP_WORD"], trace.get_current_span()
        span.set_attributes({"word": word, "words": [f"a {word}", "b"]})
        span.add_event(f"said {word}", {"word": word})
        span.record_exception(ValueError(word))
        span.add_link(span.get_span_context(), {"word": word})
        span.set_status(StatusCode.ERROR, f"not {word}")
        return Wait(None, "for somebody")

    with memory_app(plan(step("a", careless, handler_config={"word": "${SHOP_WORD}"}))) as app:
        app.submit(name="plan")
        app.run_until_idle()
    span = spans.one("tasker.step")
    assert "open-sesame" not in span.to_json()
    assert span.attributes["words"] == ("a [ENV:SHOP_WORD]", "b")
    assert dict(span.links[0].attributes) == {"word": "[ENV:SHOP_WORD]"}
    assert span.status.description == "not [ENV:SHOP_WORD]"
    assert "said [ENV:SHOP_WORD]" in names(span)


def test_a_request_joins_the_trace_of_its_caller(spans):
    """A given `traceparent`, or the span in which `submit` is called, is recorded and lies above the task's span."""
    with memory_app(plan(step())) as app:
        given = app.submit(name="plan", metadata=PARENT)
        with trace.get_tracer("mine").start_as_current_span("caller"):
            app.submit(name="plan")
            app.submit_many([{"name": "plan"}])
        app.run_until_idle()
        recorded = next(iter(app.events(given.id))).metadata
    assert recorded["traceparent"] == PARENT["traceparent"]
    first, *others = spans.all("tasker.task")
    assert f"{first.context.trace_id:032x}" == TRACE
    assert f"{first.parent.span_id:016x}" == CALLER
    assert all(below(one, spans.one("caller")) for one in others)
    assert len(others) == 2


def test_a_task_submitted_by_a_handler_lies_below_its_attempt(spans):
    """The trace of a parent task goes on in the tasks that its handlers submit."""
    app = memory_app(plan(step("ask", lambda *_: {"id": app.submit(name="child").id})))
    with app:
        app.register(plan(step(), name="child"))
        app.submit(name="plan")
        app.run_until_idle()
    ((asking,), (child,)) = (
        [one for one in spans.of_step("ask") if one.attributes["tasker.task.name"] == "plan"],
        [one for one in spans.all("tasker.task") if one.attributes["tasker.task.name"] == "child"],
    )
    assert below(child, asking)


def test_processes_join_by_what_is_stored(spans, tmp_path):
    """Submitted here, run and ended by others: one trace, one root with all its events, no span twice."""
    url = f"sqlite:///{tmp_path}/log.db"
    made = chain(2, lambda *_: Wait(3600, "sign"))
    with Tasker(url, settings={}) as first:
        first.register(made)
        task = first.submit(name="plan", metadata=PARENT)
    with Tasker(url, settings={}) as second:
        second.register(made)
        second.run_until_idle()
    with Tasker(url, settings={}) as third:
        third.complete_step(task.id, "s0", results={})
        third.cancel(task.id, reason="enough", actor="ann")
    root = spans.one("tasker.task")
    (attempt,) = spans.of_step("s0")
    assert f"{root.context.trace_id:032x}" == TRACE
    assert below(attempt, root)
    assert attempt.attributes["tasker.step.outcome"] == "waiting"
    assert names(root) == ["task.created", "task.started", "step.completed", "step.cancelled", "task.cancelled"]


def test_what_people_do_after_the_end_is_a_span_below(spans):
    """A reopened task has one root all the same; from `task.retried` to the next end there is a span below it."""
    broken = [True]

    def pay(task, sequence, step):
        if broken:
            raise PermanentError("declined")

    with memory_app(plan(step("pay", pay))) as app:
        task = app.submit(name="plan")
        app.run_until_idle()
        broken.clear()
        app.retry(task.id, actor="ann", reason="paid in cash")
        app.run_until_idle()
    root, repair = spans.one("tasker.task"), spans.one("tasker.task.repair")
    assert (root.status.status_code, root.attributes["error.type"]) == (
        StatusCode.ERROR,
        "tasker.errors.PermanentError",
    )
    assert below(repair, root)
    assert names(repair) == ["task.retried", "step.reset", "task.completed"]
    assert dict(repair.events[0].attributes) == {"tasker.actor": "ann", "tasker.reason": "paid in cash"}
    assert all(below(one, root) for one in spans.of_step("pay"))
    assert len(spans.of_step("pay")) == 2


def test_an_attempt_that_was_ended_from_outside_is_sent_once(spans):
    """Cancelled while its handler runs, an attempt ends there; what the handler does later changes nothing."""
    gate = Gate()
    with memory_app(plan(step("hold", gate.process)), clock=None) as app:
        app.start()
        task = app.submit(name="plan")
        eventually(lambda: gate.inside)
        app.cancel(task.id)
        gate.opened.set()
        app.run_until_idle()
    (attempt,) = spans.of_step("hold")
    assert attempt.attributes["tasker.step.outcome"] == "cancelled"
    assert attempt.status.status_code is StatusCode.UNSET
    assert below(attempt, spans.one("tasker.task"))


def test_rules_and_the_switch_choose_what_is_sent(spans):
    """Routed elsewhere, sampled out or switched off, nothing is sent; a handler's spans then lie below the task's."""

    def inner(task, sequence, step):
        with trace.get_tracer("mine").start_as_current_span("inner"):
            pass

    def run(**settings):
        before = len(spans.all())
        with memory_app(plan(step("a", inner)), settings={"telemetry": settings}) as app:
            app.submit(name="plan")
            app.run_until_idle()
        return [one.name for one in spans.all()[before:] if one.name != "inner"]

    assert run(enabled=False) == []
    assert run(events=[{"match": "*", "sampling": 0.0}]) == []
    assert run(events=[{"match": "task.*", "backends": ["logs", "metrics"]}]) == ["tasker.step"]
    assert run(events=[{"match": "step.*", "backends": ["logs"]}]) == ["tasker.task"]
    assert spans.all("inner")[-1].parent.span_id == spans.all("tasker.task")[-1].context.span_id
    assert run(events=[{"match": "step.started", "backends": ["logs"]}]) == ["tasker.task"]


class Raising(SpanProcessor):
    """A processor that raises."""

    def on_end(self, span):
        """Raise."""
        raise OSError("api_key=hunter2")


class Hanging(SpanExporter):
    """An exporter that never answers until it is let go."""

    def __init__(self):
        self.entered, self.released = threading.Event(), threading.Event()

    def export(self, spans):
        """Hang."""
        self.entered.set()
        assert self.released.wait(PATIENCE)
        return SpanExportResult.SUCCESS


def test_an_exporter_that_raises_changes_no_task(monkeypatch, caplog):
    """Tasks end as ever, and the log says so once, without the text of the error."""
    with host(monkeypatch, Raising()), memory_app(chain(3)) as app:
        tasks = [app.submit(name="plan") for _ in range(3)]
        app.run_until_idle()
        assert {app.task(one.id).status for one in tasks} == {"complete"}
    assert caplog.text.count("OSError") == 1
    assert "hunter2" not in caplog.text


@pytest.mark.parametrize("place", ["enter", "leave", "take", "born"])
def test_a_fault_of_telemetry_changes_no_task(spans, monkeypatch, caplog, place):
    """Wherever making a span fails, handlers run, outcomes count, and the log says so without the text of the error."""

    def fault(*_):
        raise RuntimeError("api_key=hunter2")

    monkeypatch.setattr(Traces, place, fault)
    with memory_app(chain(2)) as app:
        task = app.submit(name="plan")
        app.run_until_idle()
        assert app.task(task.id).status == "complete"
    assert caplog.text.count("RuntimeError") == 1
    assert "hunter2" not in caplog.text


def test_an_exporter_that_hangs_changes_no_task(monkeypatch):
    """Tasks are run and ended while an exporter hangs, and closing waits for it no longer than it says."""
    monkeypatch.setattr(telemetry, "_FLUSH_SECONDS", 0.01)
    monkeypatch.setattr(telemetry, "_CLOSE_SECONDS", 0.01)
    exporter = Hanging()
    with host(monkeypatch, SimpleSpanProcessor(exporter)):
        try:
            with memory_app(chain(3)) as app:
                task = app.submit(name="plan")
                app.run_until_complete(task.id)
                assert exporter.entered.wait(PATIENCE)
                other = app.submit(name="plan")
                app.run_until_idle()
                assert app.task(other.id).status == "complete"
        finally:
            exporter.released.set()


def test_without_a_provider_nothing_of_opentelemetry_is_asked(monkeypatch):
    """Telemetry is on by default and traces nothing where nobody asks for it: no thread, no span."""
    with memory_app(chain(2)) as app:
        app.submit(name="plan")
        app.run_until_idle()
        watch = app._engine.context.telemetry
        assert watch.enabled
        assert watch._traces is None
        assert watch._pipe._thread is None
