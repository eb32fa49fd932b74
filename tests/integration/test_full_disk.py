"""A full disk: requests are told, outcomes are kept, nothing is half-written, and work goes on once there is room."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from tasker import Tasker
from tasker.errors import LogUnavailable
from tests.integration.runner_kit import Gate, eventually, plan, step

BULK = {"text": "x" * 50_000}


@contextlib.contextmanager
def full(app: Tasker) -> Iterator[None]:
    """Let SQLite's own bound on the size of the file stand for the end of the disk."""
    database = app._engine.context.store._database
    with database.lock:
        (pages,) = database.writer().execute("PRAGMA page_count").fetchone()
        database.writer().execute(f"PRAGMA max_page_count={pages}")
    yield
    with database.lock:
        database.writer().execute("PRAGMA max_page_count=1000000")


def test_a_submit_to_a_full_disk_is_told_and_leaves_nothing(tmp_path):
    """`LogUnavailable` says what is wrong; no event of the request is recorded, and the same request works later."""
    with Tasker(f"sqlite:///{tmp_path / 'log.db'}", settings={}) as app:
        app.register(plan(step()))
        app.submit(name="plan")
        head = len(list(app.events()))
        with full(app), pytest.raises(LogUnavailable, match=r"full|space") as told:
            app.submit(name="plan", context=BULK, idempotency_key="once")
        assert (told.value.outcome_unknown, len(list(app.events()))) == (False, head)
        again = app.submit(name="plan", context=BULK, idempotency_key="once")
        app.run_until_idle()
        assert (again.created, app.task(again.id).status) == (True, "complete")
        assert app.audit.verify().events == len(list(app.events()))


def test_an_outcome_waits_for_room_on_the_disk(tmp_path):
    """A handler's results are kept while the disk is full and recorded once there is room; the handler runs once."""
    gate = Gate()

    def bulky(task, sequence, step):
        gate.process(task, sequence, step)
        return BULK

    with Tasker(f"sqlite:///{tmp_path / 'log.db'}", settings={}) as app:
        app.register(plan(step(handler=bulky)))
        app.start()
        task = app.submit(name="plan")
        eventually(lambda: gate.inside)
        with full(app):
            gate.opened.set()
            eventually(lambda: app._engine.context.office.is_stalled)
            assert app.task(task.id).status == "in_progress"
        eventually(lambda: app.task(task.id).status == "complete")
        only = app.task(task.id).step("a")
        assert (only.results, only.attempts) == (BULK, 1)
