"""Threads: who runs handlers, and that no handler keeps another from its thread."""

from __future__ import annotations

import threading

from tasker.testing import app as memory_app
from tests.integration.runner_kit import eventually, plan, step


def test_a_task_submitted_by_a_handler_runs_beside_that_handler():
    """A handler may submit a task and wait for it: another thread runs it, though this one has decided its start."""

    def parent(task, sequence, step):
        child = app.submit(name="child")
        eventually(lambda: app.task(child.id).status == "complete", 5)
        return {"child": child.id}

    def child(task, sequence, step):
        return {}

    with memory_app(plan(step("wait", parent), name="parent"), plan(step("only", child), name="child")) as app:
        app.start()
        asked = app.submit(name="parent")
        eventually(lambda: app.task(asked.id).status == "complete")
        assert app.task(asked.id).step("wait").history[0].outcome == "completed"


def test_handlers_that_block_after_many_quick_ones_still_run_side_by_side():
    """Quick handlers share a thread; when they begin to block, each gets one of its own, up to the slots."""
    together = threading.Barrier(4, timeout=60)

    def maybe(task, sequence, step):
        if task.context.get("block"):
            together.wait()
        return {}

    with memory_app(plan(step("a", maybe), name="maybe"), concurrency=4) as app:
        app.start()
        quick = app.submit_many([{"name": "maybe"}] * 200)
        eventually(lambda: all(app.task(task.id).status == "complete" for task in quick))
        slow = app.submit_many([{"name": "maybe", "context": {"block": True}}] * 4)
        eventually(lambda: all(app.task(task.id).status == "complete" for task in slow))
        assert all(app.task(task.id).step("a").attempts == 1 for task in slow)


def test_a_chain_stays_on_one_thread():
    """The thread that reports a step and claims the next runs that one, too."""
    seen: list[int] = []

    def note(task, sequence, step):
        seen.append(threading.get_ident())
        return {}

    links = [step("s0", note), *(step(f"s{n}", note, depends_on_step=f"s{n - 1}") for n in range(1, 6))]
    with memory_app(plan(*links, name="chain")) as app:
        task = app.submit(name="chain")
        app.run_until_complete(task.id, timeout=10)
    assert len(seen) == 6
    assert len(set(seen)) == 1
