"""Attempts: retries, delays, timeouts, heartbeats, cancellation and waits, through the face."""

from __future__ import annotations

import asyncio
import threading

import pytest

from tasker import (
    Manual,
    PermanentError,
    RetryableError,
    Wait,
)
from tasker.testing import FrozenClock
from tasker.testing import app as memory_app
from tests.integration.runner_kit import Boom, Gate, bodies, eventually, plan, raising, run, step, types


def test_delays_double_until_the_limit():
    """The delays between attempts are retry_delay · 2^(n-1), and the last failure is final."""
    clock = FrozenClock()
    app, task_id = run(raising(ValueError("no")), clock, default_retry_limit=4, retry_delay=2.0, max_delay=5, jitter=0)
    for _ in range(4):
        clock.advance(10)
        app.run_until_idle()
    delays = [body["delay_seconds"] for body in bodies(app, task_id, "step.retry_scheduled")]
    assert delays == [2.0, 4.0, 5.0]
    assert [body["final"] for body in bodies(app, task_id, "step.failed")] == [False, False, False, True]
    assert app.task(task_id).status == "error"
    app.close()


def test_a_retry_waits_for_the_given_clock():
    """Before the delay has passed on the given clock nothing starts; then the next attempt does."""
    clock = FrozenClock()
    app, task_id = run(raising(ValueError("no")), clock, retry_delay=60, jitter=0)
    clock.advance(59)
    app.run_until_idle()
    assert app.task(task_id).step("a").attempts == 1
    assert [reason.code for reason in app.why(task_id, "a")] == ["due"]
    clock.advance(1)
    app.run_until_idle()
    assert app.task(task_id).step("a").attempts == 2
    app.close()


def test_a_constant_delay_does_not_grow():
    """Without exponential backoff every delay is retry_delay."""
    clock = FrozenClock()
    keys = {"enable_exponential_backoff": False, "retry_delay": 3, "jitter": 0}
    app, task_id = run(raising(ValueError("no")), clock, **keys)
    clock.advance(3)
    app.run_until_idle()
    scheduled = bodies(app, task_id, "step.retry_scheduled")
    assert [(body["delay_seconds"], body["backoff_type"]) for body in scheduled] == [(3.0, "constant")] * 2
    app.close()


@pytest.mark.parametrize(("asked", "granted"), [(7, 7.0), (0, 0.0), (-5, 0.0), (9_000, 3600.0)])
def test_retry_after_is_the_delay_and_capped(asked, granted):
    """A handler's own delay replaces the backoff, at most max_server_delay; 0 and less mean at once."""
    error = RetryableError("later", retry_after=asked)
    app, task_id = run(raising(error), jitter=0, default_retry_limit=2)
    scheduled = bodies(app, task_id, "step.retry_scheduled")[0]
    assert (scheduled["delay_seconds"], scheduled["backoff_type"]) == (granted, "server_requested")
    app.close()


@pytest.mark.parametrize(
    ("error", "keys"),
    [(PermanentError("never", code="E1"), {}), (ValueError("once"), {"default_retryable": False})],
)
def test_no_second_attempt(error, keys):
    """A PermanentError, and any failure of a step that is not retryable, is final at once."""
    app, task_id = run(raising(error), **keys)
    task = app.task(task_id)
    assert (task.status, task.step("a").attempts) == ("error", 1)
    assert task.step("a").error.code == getattr(error, "code", None)
    app.close()


@pytest.mark.parametrize(
    "error", [SystemExit(3), asyncio.CancelledError(), Boom("b"), KeyboardInterrupt(), GeneratorExit()]
)
def test_whatever_a_handler_raises_is_a_retryable_failure(error):
    """SystemExit, CancelledError and every BaseException are failures of the attempt, and the worker goes on."""
    app, task_id = run(raising(error), default_retry_limit=2)
    found = app.task(task_id).step("a")
    assert (found.status, found.error.kind) == ("waiting_for_retry", "retryable")
    app.register(plan(step("b"), name="next"))
    other = app.submit(name="next")
    assert app.run_until_complete(other.id, timeout=10).status == "complete"
    app.close()


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), Boom("b")])
def test_whatever_an_async_handler_raises_is_a_retryable_failure(error):
    """The loop of async handlers outlives whatever one of them raises."""

    async def process(task, sequence, step):
        raise error

    async def fine(task, sequence, step):
        return 1

    app, task_id = run(process, default_retry_limit=2)
    assert app.task(task_id).step("a").status == "waiting_for_retry"
    app.register(plan(step("b", fine), name="next"))
    other = app.submit(name="next")
    assert app.run_until_complete(other.id, timeout=10).status == "complete"
    app.close()


@pytest.mark.parametrize(
    ("results", "path"),
    [
        ({"x": [1, object()]}, "$.x[1]"),
        (float("nan"), "$"),
        ({"n": 2**70}, "$.n"),
        ("a\0b", "$"),
        ({"s": "\ud800"}, "$.s"),
    ],
)
def test_results_that_are_no_json_fail_for_good(results, path):
    """Results that cannot be stored name the JSON path and are never retried: the effect has happened."""
    app, task_id = run(lambda task, sequence, step: results)
    found = app.task(task_id).step("a")
    assert (found.status, found.attempts, found.error.kind) == ("error", 1, "permanent")
    assert path in found.error.message
    app.close()


def test_results_that_are_too_large_fail_for_good():
    """Results over 256 KiB are a final failure of kind too_large."""
    app, task_id = run(lambda task, sequence, step: "x" * 300_000)
    assert app.task(task_id).step("a").error.kind == "too_large"
    assert app.task(task_id).step("a").attempts == 1
    app.close()


def test_a_long_error_is_cut_and_stays_retryable():
    """A message of a megabyte, with characters that cannot be stored, is cut and changes no kind."""
    app, task_id = run(raising(ValueError("\0\ud800" + "x" * 1_000_000)))
    error = app.task(task_id).step("a").error
    assert error.kind == "retryable"
    assert len(error.message.encode()) <= 4096
    app.close()


def test_a_timed_out_sync_handler_is_fenced():
    """Its attempt fails with kind timeout, its thread keeps the slot as stuck, and its late result is refused."""
    gate = Gate()
    definition = plan(step("a", gate.process, timeout_seconds=0.05, default_retry_limit=1))
    with memory_app(definition, concurrency=8) as app:
        task = app.submit(name="plan")
        assert app.run_until_complete(task.id, timeout=10).status == "error"
        slots = app._engine.runner.slots
        assert app.task(task.id).step("a").error.kind == "timeout"
        assert (slots.stuck, slots.busy) == (1, 1)
        gate.opened.set()
        eventually(lambda: slots.busy == 0)
        app.run_until_idle()
        assert (slots.stuck, slots.free) == (0, 8)
        assert types(app, task.id, "step.completed") == []


def test_a_timed_out_async_handler_is_cancelled():
    """An async handler gets CancelledError when its attempt times out, and its slot comes back."""
    cancelled = threading.Event()

    async def process(task, sequence, step):
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    with memory_app(plan(step("a", process, timeout_seconds=0.05, default_retry_limit=1))) as app:
        task = app.submit(name="plan")
        assert app.run_until_complete(task.id, timeout=10).step("a").error.kind == "timeout"
        assert cancelled.wait(10)
        eventually(lambda: app._engine.runner.slots.busy == 0)
        assert app._engine.runner.slots.stuck == 0


def test_a_handler_without_heartbeats_times_out():
    """Without a heartbeat for heartbeat_timeout_seconds the attempt fails; its duration is the time it took."""
    gate = Gate()
    keys = {"heartbeat_timeout_seconds": 0.05, "default_retry_limit": 1}
    with memory_app(plan(step("a", gate.process, **keys))) as app:
        task = app.submit(name="plan")
        error = app.run_until_complete(task.id, timeout=10).step("a").error
        assert (error.kind, "heartbeat" in error.message) == ("timeout", True)
        assert bodies(app, task.id, "step.failed")[0]["duration"] < 10
        gate.opened.set()


def test_heartbeats_keep_an_attempt_alive():
    """A handler that says that it is alive may take longer than heartbeat_timeout_seconds."""

    def process(task, sequence, step):
        for _ in range(20):
            threading.Event().wait(0.02)
            step.heartbeat()
        return {"beats": 20}

    with memory_app(plan(step("a", process, heartbeat_timeout_seconds=0.2, timeout_seconds=None))) as app:
        task = app.submit(name="plan")
        assert app.run_until_complete(task.id, timeout=10).status == "complete"


def test_cancel_reaches_a_running_handler():
    """`cancel` ends the task at once; the handler leaves by raise_if_cancelled, and nothing more is recorded."""
    entered = threading.Event()

    def process(task, sequence, step):
        entered.set()
        eventually(step.cancelled)
        step.raise_if_cancelled()

    with memory_app(plan(step("a", process))) as app:
        app.start()
        task = app.submit(name="plan")
        assert entered.wait(10)
        assert app.cancel(task.id, actor="ann", reason="changed mind").status == "cancelled"
        eventually(lambda: app._engine.runner.slots.busy == 0)
        assert types(app, task.id)[-2:] == ["step.cancelled", "task.cancelled"]


def test_a_late_result_after_cancel_is_refused():
    """A handler that ignores the cancellation changes nothing any more."""
    gate = Gate()
    with memory_app(plan(step("a", gate.process))) as app:
        app.start()
        task = app.submit(name="plan")
        eventually(lambda: gate.inside)
        app.cancel(task.id)
        gate.opened.set()
        eventually(lambda: app._engine.runner.slots.busy == 0)
        assert app.task(task.id).step("a").status == "cancelled"


def test_a_wait_ends_from_outside_or_expires():
    """A parked step ends by complete_step; else at `until` it fails with kind timeout and may be retried."""
    clock = FrozenClock()

    def process(task, sequence, step):
        return Wait(timeout_seconds=60, reason="approval")

    app, task_id = run(process, clock, default_retry_limit=2, retry_delay=1, jitter=0)
    assert app.task(task_id).execution_status == "waiting"
    assert app._engine.runner.slots.busy == 0
    clock.advance(60)
    app.run_until_idle()
    assert app.task(task_id).step("a").error.kind == "timeout"
    clock.advance(1)
    app.run_until_idle()
    assert app.task(task_id).step("a").status == "waiting"
    app.complete_step(task_id, "a", results={"ok": True}, actor="ann")
    assert app.task(task_id).status == "complete"
    app.close()


def test_manual_waits_without_end():
    """A step of `Manual` waits until somebody completes it, without a bound if none is written."""
    clock = FrozenClock()
    app, task_id = run(Manual, clock)
    clock.advance(10**8)
    app.run_until_idle()
    assert app.task(task_id).step("a").status == "waiting"
    assert bodies(app, task_id, "step.waiting")[0]["until"] is None
    app.close()


def test_a_task_times_out_and_retry_starts_its_time_anew():
    """On expiry the waiting step fails with kind timeout and the task with reason timeout; `retry` reopens it."""
    clock = FrozenClock()
    app = memory_app(plan(step("a", Manual), step("b", depends_on_step="a"), timeout_seconds=100), clock=clock)
    task = app.submit(name="plan")
    app.run_until_idle()
    clock.advance(100)
    app.run_until_idle()
    assert app.task(task.id).status == "error"
    assert bodies(app, task.id, "task.failed")[0]["reason"] == "timeout"
    assert app.task(task.id).step("b").status == "pending"
    app.retry(task.id)
    clock.advance(99)
    app.run_until_idle()
    assert app.task(task.id).step("a").status == "waiting"
    clock.advance(1)
    app.run_until_idle()
    assert app.task(task.id).status == "error"
    app.close()
