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

from tasker.errors import LogUnavailable, TaskerError
from tasker.testing import app as memory_app
from tests.integration.runner_kit import (
    Gate,
    bodies,
    eventually,
    nothing,
    plan,
    step,
    types,
)

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
    """After SIGKILL the next runner abandons the attempts at once: retried, or failed if not retryable."""
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
    with memory_app(plan(step("a", gate.process, default_retry_limit=1)), url=url) as app:
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
    with memory_app(
        plan(step("a", gate.process, **keys), step("b", gate.process, **keys)), concurrency=4, settings=settings
    ) as app:
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


def test_a_directory_that_cannot_be_written_is_told(tmp_path):
    """A log that cannot be opened is LogUnavailable with the path; nothing is created elsewhere."""
    url = f"sqlite:///{tmp_path / 'none' / 'log.db'}"
    with memory_app(plan(step("a")), url=url) as app, pytest.raises(LogUnavailable, match="none"):
        app.submit(name="plan")
    assert list(tmp_path.iterdir()) == []


def test_a_timeout_of_run_until_complete_is_kept_while_a_handler_blocks():
    """The caller's time is real time: a handler that hangs does not keep it, and the error says what is waited for."""
    gate = Gate()
    with memory_app(plan(step("a", gate.process))) as app:
        task = app.submit(name="plan")
        with pytest.raises(TimeoutError, match="a"):
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
