"""One application in which everything happens: each system event is recorded by the engine, and a custom one."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from tasker import PermanentError, StepTemplate, TaskDefinition, Tasker, Wait
from tasker.codec.recorded import RecordedEvent
from tasker.testing import FrozenClock
from tasker.testing import app as new_app
from tests.integration.runner_kit import Gate, eventually

WHO = {"actor": "ann", "reason": "agreed"}
ROUND_TRIP = 60  # seconds of the frozen clock, longer than any delay here


def flaky(task, sequence, step):
    """Fail once, having said that it was tried."""
    step.publish("order.tried", {"attempt": step.attempt}, always=True)
    if step.attempt == 1:
        raise ConnectionError("not now")
    return {"done": True}


def outside(task, sequence, step):
    """Wait for a person."""
    return Wait(3600, "needs a signature")


def nothing(task, sequence, step):
    """Give {}."""
    return {}


def refuse(task, sequence, step):
    """Fail for good."""
    raise PermanentError("no such card", code="DECLINED")


def step(name: str, handler: object, after: str | None = None, **keys: object) -> StepTemplate:
    """Declare a step."""
    return StepTemplate(name=name, handler_class=handler, depends_on_step=after, **keys)


def definitions(held: object) -> list[TaskDefinition]:
    """Declare all tasks; `held` is the handler that has to be let go."""
    steps = [
        step("gift", nothing, skippable=True),
        step("flaky", flaky, "gift"),
        step("sign", outside, "flaky"),
        step("last", nothing, "sign"),
    ]
    return [
        TaskDefinition(name="busy", step_templates=steps),
        TaskDefinition(name="refused", step_templates=[step("pay", refuse)]),
        TaskDefinition(name="held", step_templates=[step("hold", held, retry_delay=0, jitter=0)]),
    ]


def events(folder: Path) -> Iterator[RecordedEvent]:
    """Let everything happen, and give what was recorded."""
    gate, clock = Gate(), FrozenClock()
    mine = definitions(gate.process)
    with new_app(*mine, url=f"sqlite:///{folder}/first.db", clock=clock) as app:
        _busy(app, clock)
        _refused(app)
        _stopped(app)
        _lost(app, gate, folder)
        yield from app.events()
    with new_app(*definitions(nothing), url=f"sqlite:///{folder}/copy.db", clock=clock) as app:
        app.run_until_idle()
        yield from app.events()


def _busy(app: Tasker, clock: FrozenClock) -> None:
    task = app.submit(name="busy", context={"order_id": 7}, bypass_steps=["gift"], tags=["vip"])
    app.run_until_idle()
    clock.advance(ROUND_TRIP)
    app.run_until_idle()
    app.pause(task.id, **WHO)
    app.update(task.id, reason="a gift", tags=["gift"], actor="ann")
    app.update_step(task.id, "last", inputs={"express": True}, retry_limit=5, **WHO)
    app.resume(task.id, **WHO)
    app.complete_step(task.id, "sign", results={"signed": True}, **WHO)
    app.run_until_idle()
    app.annotate(task.id, "refund", {"amount": 2}, **WHO)
    assert app.task(task.id).status == "complete"


def _refused(app: Tasker) -> None:
    task = app.submit(name="refused")
    app.run_until_idle()
    app.retry(task.id, **WHO)
    app.run_until_idle()
    app.resolve(task.id, **WHO)
    app.erase(task.id, reason="asked for")
    other = app.submit(name="refused")
    app.run_until_idle()
    app.resolve_step(other.id, "pay", results={"paid": "in cash"}, **WHO)
    assert [app.task(one.id).status for one in (task, other)] == ["resolved_manually", "complete"]


def _stopped(app: Tasker) -> None:
    app.cancel(app.submit(name="busy").id, **WHO)
    app.pause(scope="namespace:default", **WHO)
    app.resume(scope="namespace:default", **WHO)


def _lost(app: Tasker, gate: Gate, folder: Path) -> None:
    """Take a copy of the log while an attempt runs, as a crash would leave it; then stop without waiting for it."""
    task = app.submit(name="held")
    app.start()
    eventually(lambda: gate.inside)
    with (
        closing(sqlite3.connect(folder / "first.db")) as log,
        closing(sqlite3.connect(folder / "copy.db")) as copy,
    ):
        log.backup(copy)
    app.stop(timeout=0.01)
    gate.opened.set()
    assert app.task(task.id).step("hold").history[0].outcome == "abandoned"
