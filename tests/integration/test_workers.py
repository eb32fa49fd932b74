"""Several workers over one log on PostgreSQL: shares, deaths, returns, draining, limits and pauses over all of them."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from functools import partial

import pytest

from tasker import Tasker
from tasker.log.postgres_signals import Listener
from tests.integration.runner_kit import Gate, chain, eventually, nothing, plan, step, types

HEARTBEAT, LEASE = 0.2, 3.0
BLOCKED, PLAIN = "blocked", "plain"


@pytest.fixture
def worker(postgres_url):
    """Make an application on one log, as many as are wanted, each a worker once it is started; all are closed."""
    made = []

    def make(*definitions, concurrency=4, settings=None, **keys):
        given = {"leases": {"heartbeat": HEARTBEAT, "timeout": LEASE}, "shutdown_timeout": 0.5, **(settings or {})}
        app = Tasker(postgres_url, settings=given, concurrency=concurrency, **keys)
        made.append(app)
        for definition in definitions:
            app.register(definition)
        return app

    yield make
    for app in made:
        app.close()


def handler(name, process):
    """Give a function of its own under a name in the registry."""

    def call(task, sequence, step):
        return process(task, sequence, step)

    call.name = name
    return call


def ended(app, *tasks):
    """Wait until tasks have ended, and give them."""
    eventually(lambda: all(app.task(task.id).completed_at for task in tasks), 60)
    return [app.task(task.id) for task in tasks]


def starters(app):
    """Count the attempts that each worker started."""
    return Counter(event.body["worker_id"] for event in app.events(types="step.started"))


def together(apps):
    """Start workers, and wait until each knows of the others."""
    for app in apps:
        app.start()
    eventually(lambda: all(app._engine.runner._claiming.share for app in apps))


def silence(app):
    """Let a worker send no more heartbeats, as one whose process is frozen."""
    app._engine.runner._standing.stop()


def beats(app):
    """Let a silent worker send heartbeats again."""
    pulse = app._engine.runner._standing._pulse
    pulse._stopping = False
    app._engine.context.threads.start("tasker-pulse", pulse._loop)


def states(app):
    """Give the states of all workers, in the order in which they were registered."""
    return [one.state for one in app.workers()]


def test_two_workers_share_the_work(worker):
    """Both run steps, each step runs once, and nothing fails."""
    apps = [worker(chain(3)) for _ in range(2)]
    together(apps)
    tasks = apps[0].submit_many({"name": "plan"} for _ in range(60))
    ended(apps[1], *tasks)
    started = starters(apps[0])
    assert (len(started), sum(started.values())) == (2, 180)
    assert Counter(types(apps[0]))["step.completed"] == 180


def test_what_another_process_submits_is_found(worker, monkeypatch):
    """A worker that has nothing to do is told of what a process without a worker submits; it waits for no poll."""
    monkeypatch.setattr(Listener, "poll_seconds", 600.0)
    busy, other = worker(plan(step("a"))), worker(plan(step("a")))
    busy.start()
    eventually(lambda: busy._engine.runner.idle)
    (task,) = ended(other, other.submit(name="plan"))
    assert task.step("a").worker_id == busy._engine.runner.worker_id


class TestSilence:
    """A worker that sends no heartbeat for as long as its lease is dead."""

    @pytest.fixture
    def gate(self):
        """Keep the first attempt of a step in its handler."""
        return Gate()

    @pytest.fixture
    def both(self, worker, gate):
        """Give two workers whose handlers wait at the gate only on the first attempt."""

        def process(task, sequence, step):
            return gate.process(task, sequence, step) if step.attempt == 1 else {"by": "the other"}

        one = handler("held", process)
        return [worker(plan(step("a", one, retry_delay=0.01), step("b", depends_on_step="a"))) for _ in range(2)]

    def test_its_attempts_are_abandoned_and_run_again(self, both, gate):
        """After its lease the other worker runs the step again; the late report changes nothing."""
        frozen, other = both
        frozen.start()
        task = frozen.submit(name="plan")
        eventually(lambda: gate.inside == 1)
        other.start()
        silence(frozen)
        (task,) = ended(other, task)
        before = types(other, task.id)
        gate.opened.set()
        eventually(lambda: not frozen._engine.runner.slots.busy)
        assert types(other, task.id) == before
        assert [entry.outcome for entry in task.step("a").history] == ["abandoned", "completed"]
        assert task.step("a").results == {"by": "the other"}

    def test_it_returns_under_a_new_name(self, both, gate):
        """Once it beats again it cancels what runs, registers anew and starts steps again."""
        frozen, other = both
        frozen.start()
        task = frozen.submit(name="plan")
        eventually(lambda: gate.inside == 1)
        name = frozen._engine.runner.worker_id
        other.start()
        silence(frozen)
        ended(other, task)
        beats(frozen)
        eventually(lambda: states(other) == ["dead", "alive", "alive"])
        assert frozen._engine.runner.worker_id != name
        other.stop()
        gate.opened.set()
        (again,) = ended(frozen, frozen.submit(name="plan"))
        assert again.step("a").worker_id == frozen._engine.runner.worker_id

    def test_a_report_finds_out_first(self, both, gate):
        """A report that meets the death of its worker in the append is not recorded, and the worker returns."""
        frozen, other = both
        frozen.start()
        task = frozen.submit(name="plan")
        eventually(lambda: gate.inside == 1)
        silence(frozen)
        store = other._engine.context.store
        eventually(store.workers.bury)
        before = types(other, task.id)
        gate.opened.set()
        eventually(lambda: not frozen._engine.runner.slots.busy)
        assert types(other, task.id) == before
        eventually(lambda: frozen._engine.runner.worker_id not in starters(other))


def test_a_step_that_may_run_once_is_not_run_again(worker):
    """With default_retryable: false the attempt of a dead worker ends the step, and a person decides."""
    gate = Gate()
    once = plan(step("a", handler("once", gate.process), default_retryable=False))
    frozen, other = worker(once), worker(once)
    frozen.start()
    task = frozen.submit(name="plan")
    eventually(lambda: gate.inside == 1)
    other.start()
    silence(frozen)
    (task,) = ended(other, task)
    gate.opened.set()
    assert (task.status, task.step("a").error.kind, gate.entered) == ("error", "abandoned", 1)


def test_a_worker_that_stops_leaves_nothing(worker):
    """It gives back what still runs, says that it stopped, and another goes on at once."""
    gate = Gate()
    first = handler(
        "first", lambda task, sequence, step: gate.process(task, sequence, step) if step.attempt == 1 else 1
    )
    going, other = worker(plan(step("a", first))), worker(plan(step("a", first)))
    going.start()
    task = going.submit(name="plan")
    eventually(lambda: gate.inside == 1)
    other.start()
    assert going.stop() is False
    (task,) = ended(other, task)
    gate.opened.set()
    assert states(other) == ["stopped", "alive"]
    assert [entry.outcome for entry in task.step("a").history] == ["abandoned", "completed"]


def test_a_worker_drains(worker):
    """Asked to drain it finishes what runs and starts nothing more; what is new goes to others."""
    gate = Gate()
    held = plan(step("a", handler("held", gate.process)), name=BLOCKED)
    going, other = (worker(held, plan(step("a"), name=PLAIN)) for _ in range(2))
    going.start()
    task = going.submit(name=BLOCKED)
    eventually(lambda: gate.inside == 1)
    other.start()
    other.drain(going._engine.runner.worker_id, reason="maintenance")
    eventually(lambda: going._engine.runner._standing.draining)
    later = [going.submit(name=PLAIN) for _ in range(5)]
    ended(other, *later)
    assert starters(other)[going._engine.runner.worker_id] == 1
    assert not going._engine.runner.drained
    gate.opened.set()
    ended(other, task)
    eventually(lambda: going._engine.runner.drained)


def test_steps_wait_for_a_worker_with_their_handler(worker):
    """Whoever lacks a handler leaves its steps to others, whatever their share; why says so while nobody has it."""
    special = plan(step("a", handler("special", nothing)), name="special")
    lacking, having = worker(plan(step("a"))), worker(special, plan(step("a")))
    lacking.start()
    tasks = [having.submit(name="special") for _ in range(8)]
    eventually(lambda: [one.code for one in having.why(tasks[0].id, "a")] == ["no_worker_has_handler"])
    having.start()
    ended(having, *tasks)
    assert list(starters(having)) == [having._engine.runner.worker_id]


def test_steps_wait_for_a_worker_with_their_variable(worker, monkeypatch):
    """A process without a worker tells which variable the workers lack; once it is set, the step runs."""
    needs = plan(step("a", handler_config={"key": "${TASKER_TEST_ABSENT}"}))
    app, asking = worker(needs), worker(needs)
    app.start()
    task = asking.submit(name="plan")
    reason = eventually(lambda: [one for one in asking.why(task.id, "a") if one.code == "missing_env"])[0]
    assert reason.details["variables"] == ["TASKER_TEST_ABSENT"]
    monkeypatch.setenv("TASKER_TEST_ABSENT", "x")
    ended(asking, task)


class TestLimits:
    """A limit holds over all workers."""

    SETTINGS = {"limits": {"systems": {"bank": 2}}}

    def test_it_is_never_exceeded(self, worker):
        """By the log, never more attempts run than may, and handlers never see more."""
        inside, most, lock, both = [0], [0], threading.Lock(), threading.Event()

        def process(task, sequence, step):
            with lock:
                inside[0] += 1
                most[0] = max(most[0], inside[0])
            if inside[0] > 1:
                both.set()
            assert both.wait(60)  # the first ones wait for each other, so that two did run at once
            with lock:
                inside[0] -= 1

        bank = chain(3, handler("bank", process), dependent_system="bank")
        apps = [worker(bank, settings=self.SETTINGS, concurrency=1) for _ in range(3)]
        together(apps)
        tasks = apps[0].submit_many({"name": "plan"} for _ in range(20))
        ended(apps[0], *tasks)
        running, high = 0, 0
        for event in apps[0].events(types="step.*"):
            running += {"step.started": 1, "step.completed": -1}[event.type]
            high = max(high, running)
        assert (high, most[0] <= 2) == (2, True)
        assert len(starters(apps[0])) > 1

    def test_why_names_the_holders(self, worker):
        """Any process that knows the limit tells who holds it, and a place that another worker frees is taken."""
        gate = Gate()
        bank = plan(step("a", handler("bank", gate.process), dependent_system="bank"))
        apps = [worker(bank, settings=self.SETTINGS) for _ in range(3)]
        apps[0].start()
        held = [apps[0].submit(name="plan") for _ in range(2)]
        eventually(lambda: gate.inside == 2)
        apps[1].start()
        waiting = apps[1].submit(name="plan")
        reason = eventually(lambda: [one for one in apps[2].why(waiting.id, "a") if one.code == "limit"])[0]
        assert set(reason.details["holders"]) == {task.id for task in held}
        gate.opened.set()
        ended(apps[2], waiting, *held)


def test_a_pause_holds_for_all_workers(worker):
    """Nothing in scope starts after the position of the pause, on any worker; after the resume everything goes on."""
    apps = [worker(chain(3), plan(step("a", dependent_system="bank"), name=PLAIN)) for _ in range(2)]
    asking = worker()
    for app in apps:
        app.start()
    tasks = apps[0].submit_many({"name": "plan"} for _ in range(40))
    paused = asking.pause(scope="task:default.plan")
    (other,) = ended(asking, apps[1].submit(name=PLAIN))
    assert other.status == "complete"
    starts = [event.position for event in asking.events(types="step.started") if event.task_name == "plan"]
    assert all(position < paused.position for position in starts)
    resumed = asking.resume(scope="task:default.plan")
    ended(asking, *tasks)
    assert resumed.position > paused.position


def test_a_cancel_reaches_the_worker_that_runs_the_task(worker):
    """A handler is asked to stop although another process cancelled its task."""
    seen = threading.Event()

    def process(task, sequence, step):
        eventually(step.cancelled)
        seen.set()

    app, other = worker(plan(step("a", handler("waits", process)))), worker()
    app.start()
    task = app.submit(name="plan")
    eventually(lambda: types(other, task.id, "step.started"))
    other.cancel(task.id)
    assert seen.wait(10)


def test_retries_of_a_dead_worker_fall_due(worker):
    """A retry that a worker was waiting for is started by another once the first is gone."""
    fails = handler("fails", lambda task, sequence, step: 1 / 0 if step.attempt == 1 else {})
    going, other = (worker(plan(step("a", fails, retry_delay=1.5, jitter=0))) for _ in range(2))
    going.start()
    task = going.submit(name="plan")
    eventually(lambda: types(going, task.id, "step.retry_scheduled"))
    going.stop()
    other.start()
    (task,) = ended(other, task)
    assert task.status == "complete"


def test_one_worker_serves_the_read_models(worker):
    """The worker that was registered first does it for all; when it has gone, the next one does."""
    apps = [worker(plan(step("a"))) for _ in range(2)]
    for app in apps:
        app.start()
        eventually(partial(lambda app: len(app.workers()) == apps.index(app) + 1, app))
    eventually(lambda: [app._engine.runner.first for app in apps] == [True, False])
    apps[0].stop()
    assert eventually(lambda: apps[1]._engine.runner.first)


def test_a_clock_that_is_off_is_reported(worker, monkeypatch, caplog):
    """A worker whose clock is more than 5 s off the database's says that it is unhealthy, and its row shows it."""
    real = time.time
    monkeypatch.setattr("tasker.runtime.lease.time.time", lambda: real() + 60)
    app = worker(plan(step("a")))
    with caplog.at_level(logging.ERROR, "tasker"):
        app.start()
        eventually(lambda: abs(app.workers()[0].clock_skew - 60) < 1)
    assert "unhealthy: the clock of this machine is 60" in caplog.text


def test_who_waits_for_a_task_sees_another_worker_end_it(worker):
    """`run_until_complete` returns although the step ran elsewhere."""
    gate = Gate()
    held = plan(step("a", handler("held", gate.process)))
    running, waiting = worker(held), worker(held)
    running.start()
    task = running.submit(name="plan")
    eventually(lambda: gate.inside == 1)
    threading.Timer(0.1, gate.opened.set).start()
    assert waiting.run_until_complete(task.id, timeout=10).status == "complete"
    assert gate.entered == 1
