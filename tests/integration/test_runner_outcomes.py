"""Outcomes: results, custom events and the annotations hook, through the face."""

from __future__ import annotations

import asyncio

import pytest

from tasker import (
    PermanentError,
    StepHandler,
    TaskHandler,
    Wait,
    task_handler,
)
from tasker.testing import FrozenClock
from tasker.testing import app as memory_app
from tests.integration.runner_kit import Boom, Gate, eventually, plan, raising, run, step, types


class Publishes(StepHandler):
    """Publishes twice, then fails where told to."""

    def process(self, task, sequence, step):
        """Publish, then fail on the first attempt."""
        self.publish("order.noted", {"attempt": step.attempt})
        self.publish("order.tried", {"attempt": step.attempt}, always=True)
        if step.attempt == 1:
            raise ValueError("first")
        return {}


def test_custom_events_are_recorded_with_their_attempt():
    """With a failure only `always` events are recorded, with a completion all, in the append of the outcome."""
    clock = FrozenClock()
    app, task_id = run(Publishes, clock, retry_delay=1, jitter=0)
    assert types(app, task_id, "order.*") == ["order.tried"]
    clock.advance(1)
    app.run_until_idle()
    found = [(event.type, dict(event.body)) for event in app.events(task_id, types="order.*")]
    assert found[1:] == [("order.noted", {"attempt": 2}), ("order.tried", {"attempt": 2})]
    app.close()


def test_a_fenced_attempt_records_no_custom_event():
    """What a cancelled attempt published is recorded nowhere, not even with always."""
    gate = Gate()

    def process(task, sequence, step):
        step.publish("order.tried", {}, always=True)
        return gate.process(task, sequence, step)

    with memory_app(plan(step("a", process))) as app:
        app.start()
        task = app.submit(name="plan")
        eventually(lambda: gate.inside)
        app.cancel_step(task.id, "a")
        gate.opened.set()
        eventually(lambda: app._engine.runner.slots.busy == 0)
        assert types(app, task.id, "order.*") == []


def hooked(handler, hook, **keys):
    """Declare a task with an annotations hook."""

    @task_handler("hooked")
    class Hooked(TaskHandler):
        step_templates = [step("a", handler, **keys)]

        def update_annotations(self, task, sequence, steps):
            hook(task, sequence, list(steps))

    return Hooked


@pytest.mark.parametrize("fails", [False, True])
def test_the_hook_runs_before_the_end(fails):
    """Its annotations stand just before the event that ends the task, complete or error, once."""

    def note(task, sequence, steps):
        task.annotate("summary", {"status": str(sequence["a"].status.value), "done": [one.name for one in steps]})

    handler = raising(PermanentError("no")) if fails else None
    with memory_app(hooked(handler, note)) as app:
        task = app.submit(name="hooked")
        app.run_until_complete(task.id, timeout=10)
        ending = "task.failed" if fails else "task.completed"
        assert types(app, task.id)[-2:] == ["task.annotated", ending]
        note = app.task(task.id).annotations[0].value
        assert note == ({"status": "error", "done": []} if fails else {"status": "complete", "done": ["a"]})


@pytest.mark.parametrize("error", [KeyError("k"), SystemExit(1), Boom("\0"), ValueError("x" * 1_000_000)])
def test_a_failing_hook_is_noted_and_fails_nothing(error):
    """An exception of the hook becomes an annotation of type tasker.annotation_error, whatever it is."""

    def fail(task, sequence, steps):
        raise error

    with memory_app(hooked(None, fail)) as app:
        task = app.submit(name="hooked")
        assert app.run_until_complete(task.id, timeout=10).status == "complete"
        assert [note.type for note in app.task(task.id).annotations] == ["tasker.annotation_error"]


def test_the_hook_runs_before_an_expired_wait_ends_the_task():
    """A wait that runs out is an outcome, too: the hook notes before the task fails."""
    clock = FrozenClock()

    def note(task, sequence, steps):
        task.annotate("last", {"kind": sequence["a"].error.kind})

    definition = hooked(lambda task, sequence, step: Wait(5, "nobody comes"), note, default_retry_limit=1)
    with memory_app(definition, clock=clock) as app:
        task = app.submit(name="hooked")
        app.run_until_idle()
        clock.advance(6)
        app.run_until_idle()
        assert [event.type for event in app.events(task.id)][-3:] == ["step.failed", "task.annotated", "task.failed"]
        assert [note.value for note in app.task(task.id).annotations] == [{"kind": "timeout"}]


def test_the_hook_sees_the_results_that_end_the_task():
    """The hook reads the results of the step whose outcome is not appended yet."""
    seen = []
    with memory_app(
        hooked(lambda task, sequence, step: {"n": 7}, lambda task, sequence, steps: seen.append(steps[0].results))
    ) as app:
        task = app.submit(name="hooked")
        app.run_until_complete(task.id, timeout=10)
    assert seen == [{"n": 7}]


def test_process_results_shapes_the_results():
    """An overriding process_results gets the output and the initial results, and sets step.results."""

    class Shapes(StepHandler):
        def process(self, task, sequence, step):
            return {"price": 5}

        def process_results(self, step, process_output, initial_results):
            step.results = {**process_output, "initial": initial_results}

    app, task_id = run(Shapes)
    assert app.task(task_id).step("a").results == {"price": 5, "initial": {}}
    app.close()


def test_async_handlers_run_concurrently():
    """Async handlers of one worker wait for each other on one loop."""
    inside = []

    async def process(task, sequence, step):
        inside.append(step.name)
        for _ in range(1000):
            if len(inside) == 5:
                return {}
            await asyncio.sleep(0.005)
        raise AssertionError("the others never came")

    with memory_app(plan(*(step(f"s{n}", process) for n in range(5)))) as app:
        task = app.submit(name="plan")
        assert app.run_until_complete(task.id, timeout=20).status == "complete"


def test_handlers_block_in_parallel_up_to_the_slots():
    """As many handlers block at once as there are slots, never more."""
    gate = Gate()
    with memory_app(plan(*(step(f"s{n}", gate.process) for n in range(12))), concurrency=4) as app:
        app.start()
        task = app.submit(name="plan")
        eventually(lambda: gate.inside == 4)
        assert app._engine.runner.slots.free == 0
        gate.opened.set()
        app.run_until_complete(task.id, timeout=10)
        assert gate.most == 4
