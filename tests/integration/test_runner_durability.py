"""Durability: kills, stops, forks, other processes, a log that fails, and conflicts; through the face."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest

from tasker import Tasker
from tasker.errors import LogUnavailable, NotAllowed, Overloaded, TaskerError
from tasker.runtime import inbox
from tasker.testing import app as memory_app
from tests.integration.runner_kit import Gate, bodies, chain, eventually, faulty, nothing, plan, step, types, unavailable

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = """
import sys, threading
from tasker import StepTemplate, TaskDefinition, Tasker

def hang(task, sequence, step):
    print("inside", flush=True)
    threading.Event().wait()
hang.name = "hang"

def plan(name, **keys):
    return TaskDefinition(name=name, step_templates=[StepTemplate(name="a", handler_class=hang, **keys)])

app = Tasker(sys.argv[1], settings={})
app.register(plan("again", retry_delay=0, jitter=0))
app.register(plan("once", default_retryable=False))
for name in sys.argv[2:]:
    print(app.submit(name=name).id, flush=True)
"""


def hang(task, sequence, step):
    """Stand in for the handler of the other process."""
    return {"attempt": step.attempt}


hang.name = "hang"


@pytest.fixture
def url(tmp_path):
    """Give the address of a log in a file."""
    return f"sqlite:///{tmp_path / 'log.db'}"


def other_process(url, rest, *arguments):
    """Run the program with an ending of its own in another process."""
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM + textwrap.dedent(rest), url, *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )


def plans():
    """Declare what the other process declares."""
    again = plan(step("a", hang, retry_delay=0, jitter=0), name="again")
    return again, plan(step("a", hang, default_retryable=False), name="once")


def test_the_next_runner_takes_over_after_a_kill(url):
    """After SIGKILL in handlers the next runner abandons their attempts at once: retried, or failed if not retryable."""
    process = other_process(url, "app.start(); threading.Event().wait()", "again", "once")
    lines = [process.stdout.readline().strip() for _ in range(2)]
    with memory_app(*plans(), url=url) as app:
        submitted = lines if "inside" not in lines else None
        ids = submitted or [event.stream_id for event in app.events(types="task.created")]
        eventually(lambda: len(types(app, only="step.started")) == 2)
        process.send_signal(signal.SIGKILL)
        process.wait(10)
        process.stdout.close()
        app.run_until_idle()
        again, once = (app.task(task_id) for task_id in ids)
        assert [entry.outcome for entry in again.step("a").history] == ["abandoned", "completed"]
        assert bodies(app, ids[0], "step.abandoned")[0]["reason"] == "worker_lost"
        assert (again.status, again.step("a").results) == ("complete", {"attempt": 2})
        assert (once.status, once.step("a").error.kind, once.step("a").attempts) == ("error", "abandoned", 1)


def test_a_second_runner_is_refused_with_the_pid(url):
    """While a runner works, another refuses to start and names its process; reading and submitting need no runner."""
    process = other_process(url, "app.start(); print('ready', flush=True); sys.stdin.read()")
    try:
        assert process.stdout.readline().strip() == "ready"
        with memory_app(plan(step("a"), name="mine"), url=url) as app:
            with pytest.raises(TaskerError, match=str(process.pid)):
                app.start()
            task = app.submit(name="mine")
            assert app.task(task.id).status == "pending"
    finally:
        process.kill()
        process.wait(10)
        process.stdout.close()


def test_a_runner_hears_of_other_processes(url):
    """What another process submits is run, and what it cancels is cancelled, within a second."""
    gate = Gate()
    gate_handler = gate.process
    definition = plan(step("a", gate_handler, retry_delay=0, jitter=0), name="mine")
    with memory_app(*plans(), definition, url=url) as app:
        app.start()
        own = app.submit(name="mine")
        eventually(lambda: gate.inside)
        process = other_process(url, f"app.cancel({own.id!r}, actor='other')", "again")
        task_id = process.stdout.readline().strip()
        process.wait(10)
        process.stdout.close()
        eventually(lambda: app.task(task_id).status == "complete", 2)
        running = app._engine.runner._roster.all()
        eventually(lambda: all(one.control.cancelled for one in running), 2)
        assert app.task(own.id).status == "cancelled"
        gate.opened.set()


def test_a_graceful_stop_gives_steps_back(url):
    """What does not finish in time is recorded as worker_stopped: the step is pending again and lost no attempt."""
    gate = Gate()
    with memory_app(plan(step("a", gate.process, default_retryable=False)), url=url) as app:
        app.start()
        task = app.submit(name="plan")
        eventually(lambda: gate.inside)
        assert not app.stop(timeout=0.05)
        assert bodies(app, task.id, "step.abandoned")[0]["reason"] == "worker_stopped"
        assert app.task(task.id).step("a").status == "pending"
        gate.opened.set()
        assert app.run_until_complete(task.id, timeout=10).status == "complete"
        assert app.task(task.id).step("a").attempts == 2


def test_stop_waits_for_handlers_and_claims_nothing():
    """A stop within its time lets the running step finish and starts no other."""
    gate = Gate()
    with memory_app(plan(step("a", gate.process), step("b", depends_on_step="a"))) as app:
        app.start()
        task = app.submit(name="plan")
        eventually(lambda: gate.inside)
        stopping = threading.Thread(target=app.stop)
        stopping.start()
        eventually(lambda: not app._engine.started)
        gate.opened.set()
        stopping.join(10)
        assert [one.status for one in app.task(task.id).steps.values()] == ["complete", "pending"]


def test_serve_gives_up_with_half_of_its_slots_stuck():
    """A worker with half of its slots stuck stops claiming, drains, and serve() gives 1."""
    gate = Gate()
    keys = {"timeout_seconds": 0.02, "default_retry_limit": 1}
    settings = {"shutdown_timeout": 0.1}
    with memory_app(plan(step("a", gate.process, **keys), step("b", gate.process, **keys)), concurrency=4, settings=settings) as app:
        app.submit(name="plan")
        assert app.serve() == 1
        gate.opened.set()


def test_used_after_a_fork_it_raises():
    """A Tasker belongs to the process that made it."""
    app = memory_app(plan(step("a")))
    app._pid = os.getpid() + 1
    with pytest.raises(TaskerError, match="fork"):
        app.submit(name="plan")
    app._pid = os.getpid()
    app.close()


def test_closed_it_raises_and_closes_twice():
    """After close every use raises; close itself is safe to repeat."""
    app = memory_app(plan(step("a")))
    app.submit(name="plan")
    app.close()
    app.close()
    with pytest.raises(TaskerError, match="closed"):
        app.tasks()


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
        context = app._engine.context
        context.streams.forget(next(iter(context.streams._live)))
        app.start()
        log.reads.extend([unavailable()] * 2)
        eventually(lambda: not log.reads)
        eventually(lambda: app.task(task.id).status == "complete")


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
    """If an append of the runner was durable after all, its outcome counts once, and a start without handler is given back."""
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


def test_a_control_conflict_is_decided_again(url):
    """Two processes pause scopes at once: both pauses are recorded."""
    with memory_app(url=url) as app, Tasker(url, settings={}) as other:
        log = faulty(app)
        log.before.append(lambda _: other.pause(scope="system:b"))
        app.pause(scope="system:a")
        assert [event.body["scope"] for event in app.events("$control")] == ["system:b", "system:a"]


def test_a_directory_that_cannot_be_written_is_told(tmp_path):
    """A log that cannot be opened is LogUnavailable with the path; nothing is created elsewhere."""
    with memory_app(plan(step("a")), url=f"sqlite:///{tmp_path / 'none' / 'log.db'}") as app:
        with pytest.raises(LogUnavailable, match="none"):
            app.submit(name="plan")
    assert list(tmp_path.iterdir()) == []


def test_a_timeout_of_run_until_complete_is_kept_while_a_handler_blocks():
    """The caller's time is real time: a handler that hangs does not keep it, and the error says what is waited for."""
    gate = Gate()
    with memory_app(plan(step("a", gate.process))) as app:
        task = app.submit(name="plan")
        with pytest.raises(TimeoutError, match="'a'|step a"):
            app.run_until_complete(task.id, timeout=0.1)
        assert gate.inside == 1
        gate.opened.set()


def test_after_stop_the_same_application_runs_again():
    """Start and stop may be repeated; each start is a runner of its own."""
    with memory_app(plan(step("a", nothing))) as app:
        for _ in range(3):
            app.start()
            task = app.submit(name="plan")
            assert app.run_until_complete(task.id, timeout=10).status == "complete"
            assert app.stop()
