"""Faults: a full inbox, a log that fails, and conflicts with other processes; through the face."""

from __future__ import annotations

import threading
import uuid

import pytest

from tasker import PermanentError, Tasker, TaskHandler, task_handler
from tasker.errors import LogUnavailable, NotAllowed, Overloaded
from tasker.runtime import inbox
from tasker.runtime.runner import Runner
from tasker.testing import app as memory_app
from tests.integration.runner_kit import (
    Gate,
    chain,
    eventually,
    faulty,
    plan,
    step,
    types,
    unavailable,
)


@pytest.fixture
def url(tmp_path):
    """Give the address of a log in a file."""
    return f"sqlite:///{tmp_path / 'log.db'}"


def held(app, log):
    """Hold the leader in an append; give what lets it go, and its thread."""
    inside, go = threading.Event(), threading.Event()
    log.before.append(lambda _: (inside.set(), go.wait(10)))
    thread = threading.Thread(target=app.submit, kwargs={"name": "plan"})
    thread.start()
    assert inside.wait(10)
    return go, thread


def test_a_full_inbox_is_overloaded(monkeypatch):
    """While the inbox stays full a submit raises Overloaded; nothing of it is appended, and later all goes on."""
    monkeypatch.setattr(inbox, "MOST_TICKETS", 1)
    monkeypatch.setattr(inbox, "PATIENCE_SECONDS", 0.05)
    with memory_app(plan(step("a"))) as app:
        go, first = held(app, faulty(app))
        second = threading.Thread(target=app.submit, kwargs={"name": "plan"})
        second.start()
        eventually(lambda: len(app._engine.context.office.inbox) == 1)
        with pytest.raises(Overloaded):
            app.submit(name="plan")
        errors = app.submit_many([{"name": "plan"}] * 3)
        assert [type(error) for error in errors] == [Overloaded] * 3
        go.set()
        first.join(10)
        second.join(10)
        assert app.submit(name="plan").created
        assert len(types(app, only="task.created")) == 3


def test_submit_many_may_ask_for_more_than_the_inbox_holds(monkeypatch):
    """A call with more bytes than the inbox takes at once leads in between instead of waiting for itself."""
    monkeypatch.setattr(inbox, "MOST_BYTES", 10_000)
    with memory_app(plan(step("a"))) as app:
        tasks = app.submit_many([{"name": "plan", "context": {"x": "y" * 1000}} for _ in range(50)])
        assert all(task.created for task in tasks)


def test_a_report_is_kept_while_the_log_is_away():
    """An outcome that cannot be appended is recorded once the log answers; meanwhile nothing is claimed."""
    with memory_app(chain(2)) as app:
        log = faulty(app)
        task = app.submit(name="plan")
        entered = threading.Event()
        log.before.extend([lambda _: entered.set(), *[unavailable()] * 3])
        assert app.run_until_complete(task.id, timeout=10).status == "complete"
        assert entered.is_set()
        assert types(app, task.id, "step.completed") == ["step.completed"] * 2


def test_a_report_is_kept_while_its_stream_cannot_be_read():
    """A log that cannot be read loses no outcome either."""
    with memory_app(chain(2)) as app:
        log = faulty(app)
        task = app.submit(name="plan")
        stream = uuid.UUID(task.id).bytes
        app._engine.context.streams.forget(stream)
        log.unreadable[stream] = 2
        app.start()
        eventually(lambda: not log.unreadable[stream])
        eventually(lambda: app.task(task.id).status == "complete")
        assert types(app, task.id, "step.completed") == ["step.completed"] * 2


@pytest.mark.parametrize("unknown", [False, True])
def test_a_submit_says_whether_its_outcome_is_unknown(unknown):
    """LogUnavailable of a submit carries outcome_unknown; repeated with the same key there is one task."""
    with memory_app(plan(step("a"))) as app:
        log = faulty(app)
        (log.after if unknown else log.before).append(unavailable(unknown=unknown))
        with pytest.raises(LogUnavailable) as caught:
            app.submit(name="plan", idempotency_key="k")
        assert caught.value.outcome_unknown is unknown
        task = app.submit(name="plan", idempotency_key="k")
        assert task.created is not unknown
        assert app.run_until_complete(task.id, timeout=10).status == "complete"
        assert len(types(app, only="task.created")) == 1


@pytest.mark.parametrize("place", range(1, 5))
def test_an_append_of_unknown_outcome_loses_nothing(place):
    """An append that was durable after all counts once, and an attempt whose start nobody saw is given back."""
    with memory_app(chain(3)) as app:
        log = faulty(app)
        task = app.submit(name="plan")
        log.after.extend([lambda _: None] * (place - 1) + [unavailable(unknown=True)])
        app.start()
        eventually(lambda: app.task(task.id).status == "complete")
        assert types(app, task.id, "step.completed") == ["step.completed"] * 3
        assert app._engine.runner.slots.busy == 0


def test_a_conflict_is_decided_again(url):
    """An append of another process between load and append makes the command decide anew on the newer state."""
    with memory_app(chain(2), url=url) as app, Tasker(url, settings={}) as other:
        log = faulty(app)
        task = app.submit(name="plan")
        log.before.append(lambda _: other.annotate(task.id, "note", {"n": 1}))
        app.update(task.id, tags=["a"], reason="r")
        log.before.append(lambda _: other.annotate(task.id, "note", {"n": 2}))
        app.run_until_idle()
        found = app.task(task.id)
        assert (found.status, found.tags, len(found.annotations)) == ("complete", ("a",), 2)


def test_a_command_that_a_conflict_makes_illegal_is_refused(url):
    """After a foreign cancel a pause is no longer legal: NotAllowed, and nothing is appended."""
    with memory_app(chain(2), url=url) as app, Tasker(url, settings={}) as other:
        log = faulty(app)
        task = app.submit(name="plan")
        log.before.append(lambda _: other.cancel(task.id))
        with pytest.raises(NotAllowed):
            app.pause(task.id)
        assert types(app, task.id)[-1] == "task.cancelled"


def test_nothing_starts_after_a_pause_of_another_process(url):
    """A pause that another process records between claim and append keeps the claimed step from starting."""
    with memory_app(plan(step("a")), url=url) as app, Tasker(url, settings={}) as other:
        log = faulty(app)
        task = app.submit(name="plan")
        log.before.append(lambda _: other.pause(scope="all"))
        app.run_until_idle()
        assert types(app, only="step.started") == []
        other.resume(scope="all")
        assert app.run_until_complete(task.id, timeout=10).status == "complete"


def test_a_repeated_request_leaves_nothing_to_look_after(url, caplog):
    """A request that another process turned into a task a moment before leaves no trace of the id it would have had."""
    gate = Gate()
    with memory_app(plan(step("a", gate.process)), url=url, concurrency=1) as app, Tasker(url, settings={}) as other:
        other.register(plan(step("a", gate.process)))
        log = faulty(app)
        app.start()
        app.submit(name="plan")
        eventually(lambda: gate.entered)
        log.before.append(lambda _: other.submit(name="plan", idempotency_key="k"))
        repeated = app.submit(name="plan", idempotency_key="k")
        gate.opened.set()
        assert app.run_until_complete(repeated.id, timeout=60).status == "complete"
        app.run_until_idle()
        assert app._engine.runner._claiming.left_to_others == {}
    assert "left to others" not in caplog.text


def after_the_claim(monkeypatch, act):
    """Have something happen once, between what a turn decides and claims and its append."""
    acts, claim = [act], Runner.claim

    def claim_then_act(runner, turn):
        claim(runner, turn)
        if acts and (turn.batch or turn.staged):
            acts.pop()()

    monkeypatch.setattr(Runner, "claim", claim_then_act)


@pytest.mark.parametrize("reread", [True, False])
def test_a_pause_that_another_thread_reads_behind_a_claim_holds(monkeypatch, url, reread):
    """A claim counts for the pauses it was decided on, whoever has read newer ones before its append."""
    with memory_app(plan(step("a")), url=url) as app, Tasker(url, settings={}) as other:
        task = app.submit(name="plan")

        def pause():
            other.pause(scope="all")
            if reread:
                app._engine.context.office.refresh_control()

        after_the_claim(monkeypatch, pause)
        app.run_until_idle()
        assert types(app, only="step.started") == []
        other.resume(scope="all")
        assert app.run_until_complete(task.id, timeout=10).status == "complete"


def test_a_pause_that_was_recorded_meanwhile_is_not_recorded_twice(monkeypatch, url):
    """A pause counts for the pauses it was decided on: of two processes that pause one scope, one records it."""
    with memory_app(url=url) as app, Tasker(url, settings={}) as other:

        def pause():
            other.pause(scope="all")
            app._engine.context.office.refresh_control()

        app.start()
        after_the_claim(monkeypatch, pause)
        app.pause(scope="all")
        assert [event.type for event in app.events("$control")] == ["control.paused"]


def test_a_reader_hides_nothing_from_the_runner(url):
    """A retry by another process is run here, even if this process has read the new state before its runner looked."""
    results = iter([PermanentError("first"), None])

    def process(task, sequence, step):
        if error := next(results):
            raise error

    with memory_app(plan(step("a", process)), url=url) as app, Tasker(url, settings={}) as other:
        app.start()
        task = app.submit(name="plan")
        eventually(lambda: app.task(task.id).status == "error")
        other.retry(task.id)
        assert app.task(task.id).status in {"in_progress", "complete"}
        eventually(lambda: app.task(task.id).status == "complete", 2)


def test_an_outcome_in_the_hands_of_a_hook_is_not_given_back(url):
    """An append of another process while the hook runs does not make the runner take the attempt for lost."""
    inside, go, calls = threading.Event(), threading.Event(), []

    @task_handler("hooked")
    class Hooked(TaskHandler):
        step_templates = [step("a", lambda task, sequence, step: calls.append(step.attempt))]

        def update_annotations(self, task, sequence, steps):
            inside.set()
            go.wait(10)

    with memory_app(Hooked, url=url) as app, Tasker(url, settings={}) as other:
        app.start()
        task = app.submit(name="hooked")
        assert inside.wait(10)
        noted = other.annotate(task.id, "note", {})
        eventually(lambda: noted.position and app._engine.runner._lookout._others)
        go.set()
        assert app.run_until_complete(task.id, timeout=10).status == "complete"
        assert calls == [1]


def test_a_control_conflict_is_decided_again(url):
    """Two processes pause scopes at once: both pauses are recorded."""
    with memory_app(url=url) as app, Tasker(url, settings={}) as other:
        log = faulty(app)
        log.before.append(lambda _: other.pause(scope="system:b"))
        app.pause(scope="system:a")
        assert [event.body["scope"] for event in app.events("$control")] == ["system:b", "system:a"]


def test_a_handler_waits_for_a_log_that_does_not_answer(url):
    """What a handler reads comes late while the log is away; that costs the step no attempt."""
    seen = []

    def process(task, sequence, step):
        log.unreadable[bytes.fromhex(task.id.replace("-", ""))] = 2
        seen.append(task.context)
        return {}

    with memory_app(plan(step("a", process)), url=url) as app:
        log = faulty(app)
        task = app.submit(name="plan", context={"n": 1})
        app.run_until_idle()
        assert seen == [{"n": 1}]
        assert app.task(task.id).step("a").attempts == 1
