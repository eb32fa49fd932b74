"""Claims: what starts, in which order, at what cost, and what holds it back; through the face."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest

from tasker import Tasker
from tasker.testing import FrozenClock
from tasker.testing import app as memory_app
from tests.integration.runner_kit import Gate, chain, eventually, faulty, nothing, plan, step, types


@pytest.fixture
def url(tmp_path):
    """Give the address of a log in a file."""
    return f"sqlite:///{tmp_path / 'log.db'}"


def codes(app, task, name=None):
    """Give the codes of why."""
    return [reason.code for reason in app.why(task.id, name)]


def test_a_chain_of_n_steps_costs_n_plus_one_commits():
    """The append that completes a step starts the next, and submit beside a running runner starts the root."""
    with memory_app(chain(10)) as app:
        log = faulty(app)
        app.start()
        log.appends.clear()
        task = app.submit(name="plan")
        app.run_until_complete(task.id, timeout=10)
        assert len(log.appends) == 11
        assert types(app, task.id)[:3] == ["task.created", "task.started", "step.started"]


def test_a_start_is_durable_before_its_handler_runs(url):
    """The handler finds its own step.started in the log, read through another connection."""
    seen = []

    def process(task, sequence, step):
        with Tasker(url, settings={}) as other:
            seen.extend(types(other, task.id))
        return {}

    with memory_app(plan(step("a", process)), url=url) as app:
        task = app.submit(name="plan")
        app.run_until_idle()
        assert seen == ["task.created", "task.started", "step.started"]
        assert app.task(task.id).status == "complete"


def order_of(app):
    """Give the names of tasks in the order in which their steps started."""
    return [event.task_name for event in app.events(types="step.started")]


def test_higher_priority_first_then_older():
    """Of what waits for a slot the higher priority starts first, among equals the older."""
    names = {"low": -100, "first": 0, "second": 0, "high": 100}
    with memory_app(*(plan(step("a"), name=name) for name in names), concurrency=1, clock=FrozenClock()) as app:
        for name, priority in names.items():
            app.submit(name=name, priority=priority)
        app.run_until_idle()
        assert order_of(app) == ["high", "first", "second", "low"]


def test_waiting_gains_one_point_of_priority_in_thirty_seconds():
    """A step that has waited 91 s comes before one of priority 3 that is ready now."""
    clock = FrozenClock()
    with memory_app(plan(step("a"), name="old"), plan(step("a"), name="new"), concurrency=1, clock=clock) as app:
        app.submit(name="old")
        clock.advance(91)
        app.submit(name="new", priority=3)
        app.run_until_idle()
        assert order_of(app) == ["old", "new"]


def test_nothing_starts_before_not_before():
    """A task waits for its not_before on the given clock, and `why` says so."""
    clock = FrozenClock()
    with memory_app(plan(step("a")), clock=clock) as app:
        task = app.submit(name="plan", not_before=clock.now() + timedelta(seconds=60))
        app.run_until_idle()
        assert (app.task(task.id).status, codes(app, task, "a")) == ("pending", ["not_before"])
        clock.advance(60)
        app.run_until_idle()
        assert app.task(task.id).status == "complete"


def test_without_concurrency_one_step_at_a_time_in_order():
    """With `concurrent: false` steps run one by one, in topological, then declared order."""
    gate = Gate()
    gate.opened.set()
    steps = [step("z", gate.process), step("b", gate.process, depends_on_step="a"), step("a", gate.process)]
    with memory_app(plan(*steps, concurrent=False)) as app:
        task = app.submit(name="plan")
        app.run_until_idle()
        assert [event.step for event in app.events(task.id, types="step.started")] == ["z", "a", "b"]
        assert gate.most == 1


@pytest.mark.parametrize(
    "limits", [{"namespaces": {"default": 3}}, {"tasks": {"default.plan": 3}}, {"systems": {"shop": 3}}]
)
def test_a_limit_is_held_exactly(limits):
    """Under 16 slots as many attempts run as the limit of namespace, task or system allows, no more; `why` names it."""
    gate = Gate()
    definition = plan(step("a", gate.process, dependent_system="shop"))
    with memory_app(definition, settings={"limits": limits}) as app:
        app.start()
        tasks = [app.submit(name="plan") for _ in range(12)]
        eventually(lambda: gate.inside == 3)
        waiting = [task for task in tasks if app.task(task.id).status == "pending"]
        assert len(waiting) == 9
        assert codes(app, waiting[0], "a") == ["limit"]
        assert len(app.why(waiting[0].id, "a")[0].details["holders"]) == 3
        gate.opened.set()
        for task in tasks:
            app.run_until_complete(task.id, timeout=10)
        assert gate.most == 3


@pytest.mark.parametrize("scope", ["all", "namespace:default", "task:default.plan", "system:shop"])
def test_a_paused_scope_starts_nothing(scope):
    """After the pause's position nothing in scope starts, what runs finishes; after resume the rest goes on."""
    gate = Gate()
    steps = [step("a", gate.process, dependent_system="shop"), step("b", depends_on_step="a", dependent_system="shop")]
    with memory_app(plan(*steps)) as app:
        app.start()
        task = app.submit(name="plan")
        eventually(lambda: gate.inside)
        paused = app.pause(scope=scope, actor="ann", reason="night")
        gate.opened.set()
        eventually(lambda: app.task(task.id).step("a").status == "complete")
        app.run_until_idle()
        assert [
            event.step for event in app.events(task.id, types="step.started") if event.position > paused.position
        ] == []
        assert codes(app, task, "b") == ["paused"]
        app.resume(scope=scope)
        assert app.run_until_complete(task.id, timeout=10).status == "complete"


def test_a_pause_of_another_scope_holds_nothing():
    """Only what is in scope is held."""
    with memory_app(plan(step("a"))) as app:
        for scope in ("namespace:other", "task:default.other", "system:other"):
            app.pause(scope=scope)
        task = app.submit(name="plan")
        app.run_until_idle()
        assert app.task(task.id).status == "complete"


def test_a_paused_task_records_outcomes_and_starts_nothing():
    """Pausing a task stops starts only; it may even end while paused; resume lets it go on."""
    gate = Gate()
    with memory_app(plan(step("a", gate.process), step("b", depends_on_step="a"))) as app:
        app.start()
        task = app.submit(name="plan")
        eventually(lambda: gate.inside)
        assert app.pause(task.id).paused
        gate.opened.set()
        eventually(lambda: app.task(task.id).step("a").status == "complete")
        app.run_until_idle()
        assert app.task(task.id).step("b").status == "pending"
        assert not app.resume(task.id).paused
        assert app.run_until_complete(task.id, timeout=10).status == "complete"


def test_a_step_without_handler_waits_for_it(url):
    """Another process submits; here the step costs no attempt, `why` says so, and it starts once it is registered."""
    with memory_app(plan(step("a"), name="theirs"), url=url) as other:
        task = other.submit(name="theirs")
    with memory_app(url=url) as app:
        app.start()
        app.run_until_idle()
        assert codes(app, task, "a") == ["no_worker_has_handler"]
        assert app.task(task.id).step("a").attempts == 0
        app.register(plan(step("a"), name="theirs"))
        assert app.run_until_complete(task.id, timeout=10).status == "complete"


@pytest.mark.parametrize("started", [True, False])
def test_a_step_without_its_variable_waits_for_it(monkeypatch, started):
    """A step whose handler_config names a missing variable is not claimed; `why` names it; it starts once it is set."""
    monkeypatch.delenv("SHOP_KEY", raising=False)
    with memory_app(plan(step("a", handler_config={"key": "${SHOP_KEY}"}))) as app:
        task = app.submit(name="plan")
        app.run_until_idle()
        reason = app.why(task.id, "a")[0]
        assert (reason.code, "SHOP_KEY" in reason.text) == ("missing_env", True)
        if started:
            app.start()
        monkeypatch.setenv("SHOP_KEY", "secret-key")
        if not started:
            app.run_until_idle()
        eventually(lambda: app.task(task.id).status == "complete")


def test_resolved_variables_are_masked():
    """A value that came from the environment is recorded as [ENV:NAME] in results."""
    import os

    os.environ["TASKER_TEST_SHOP_KEY"] = "very-secret"
    try:
        handler = Echo
        with memory_app(plan(step("a", handler, handler_config={"key": "${TASKER_TEST_SHOP_KEY}"}))) as app:
            task = app.submit(name="plan")
            app.run_until_idle()
            assert app.task(task.id).step("a").results == {"key": "[ENV:TASKER_TEST_SHOP_KEY]"}
    finally:
        del os.environ["TASKER_TEST_SHOP_KEY"]


class Echo:
    """Gives its configuration."""

    def process(self, task, sequence, step):
        """Give it."""
        return dict(self.config)


def test_bypassed_steps_are_skipped_when_their_parents_are_satisfied():
    """A bypassed root is skipped with task.created, a later one with the end of its parents; its results are {}."""
    steps = [step("a", skippable=True), step("b", depends_on_step="a"), step("c", depends_on_step="b", skippable=True)]
    with memory_app(plan(*steps)) as app:
        task = app.submit(name="plan", bypass_steps=["a", "c"])
        assert types(app, task.id) == ["task.created", "step.skipped"]
        app.run_until_idle()
        found = app.task(task.id)
        assert [one.status for one in found.steps.values()] == ["skipped", "complete", "skipped"]
        assert found.step("c").results == {}


def test_a_task_without_steps_is_complete_at_once():
    """No steps: complete with its creation."""
    with memory_app(plan()) as app:
        assert app.submit(name="plan").status == "complete"


def test_reports_go_before_requests():
    """While a turn is held, what waits is taken reports first."""
    with memory_app(plan(step("a"))) as app:
        log = faulty(app)
        app.start()
        held, go = threading.Event(), threading.Event()
        log.before.append(lambda _: (held.set(), go.wait(10)))
        first = threading.Thread(target=app.submit, kwargs={"name": "plan"})
        first.start()
        assert held.wait(10)
        late = [threading.Thread(target=app.submit, kwargs={"name": "plan"}) for _ in range(3)]
        for thread in late:
            thread.start()
        inbox = app._engine.context.office.inbox
        eventually(lambda: len(inbox) == 3)
        go.set()
        for thread in (first, *late):
            thread.join(10)
        app.run_until_idle()
        assert len(types(app, only="task.completed")) == 4


def test_slots_are_never_exceeded_with_many_submitters():
    """Sixteen threads submit; no more handlers run at once than there are slots, and every task completes."""
    gate = Gate()
    gate.opened.set()
    with memory_app(plan(step("a", gate.process), step("b", gate.process, depends_on_step="a")), concurrency=5) as app:
        app.start()
        threads = [threading.Thread(target=lambda: [app.submit(name="plan") for _ in range(10)]) for _ in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        app.run_until_idle()
        assert len(types(app, only="task.completed")) == 160
        assert gate.most <= 5


def test_many_tasks_behind_a_limit_all_complete():
    """A limit of one holds hundreds of tasks back in order, and every one runs in the end."""
    with memory_app(plan(step("a", nothing)), settings={"limits": {"namespaces": {"default": 1}}}) as app:
        app.submit_many([{"name": "plan"} for _ in range(300)])
        app.run_until_idle()
        assert len(types(app, only="task.completed")) == 300
