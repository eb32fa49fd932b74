"""What the tests in the browser look at: an application with the real clock, whose steps wait for a test's word."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from tasker import PermanentError, StepTemplate, TaskDefinition, Tasker, Wait
from tests.integration.http_kit import served

SECONDS = 60  # until a step that nobody lets go goes on by itself


class House(NamedTuple):
    """An application that runs, and where it answers.

    Attributes:
        app: The application.
        url: Where it answers.
        gate: Steps named `gate` wait for it.
        mended: While it is not set, steps named `pay` fail.
    """

    app: Tasker
    url: str
    gate: threading.Event
    mended: threading.Event

    def submit(self, name: str, **fields: object) -> str:
        """Ask for a task; gives its id."""
        return self.app.submit(name=name, **fields).id

    def run(self, name: str, **fields: object) -> str:
        """Ask for a task, and wait until it has ended; gives its id."""
        task = self.submit(name, **fields)
        self.app.run_until_complete(task, timeout=SECONDS)
        return task


def _definitions(gate: threading.Event, mended: threading.Event) -> list[TaskDefinition]:
    def quick(task, sequence, step):
        return {"done": step.name}

    def held(task, sequence, step):
        gate.wait(SECONDS)
        return {"done": step.name}

    def pay(task, sequence, step):
        if not mended.is_set():
            raise PermanentError("the card was declined by the bank", code="DECLINED")
        return {"paid": True}

    def sign(task, sequence, step):
        return Wait(86_400, "needs the signature of a manager")

    for name, handler in (("quick", quick), ("held", held), ("pay", pay), ("sign", sign)):
        handler.name = f"house:{name}"

    def step(name: str, handler: object, *parents: str) -> StepTemplate:
        return StepTemplate(name=name, handler_class=handler, depends_on_steps=list(parents))

    return [
        TaskDefinition(
            name="order",
            version="1.0.0",
            description="From the shop to the door",
            step_templates=[
                step("fetch", quick), step("check", quick, "fetch"), step("ship", quick, "check"),
                step("tell", quick, "fetch", "ship"),
            ],
        ),
        TaskDefinition(name="slow", step_templates=[step("before", quick), step("gate", held, "before")]),
        TaskDefinition(
            name="failing",
            step_templates=[step("fetch", quick), step("pay", pay, "fetch"), step("thank", quick, "pay")],
        ),
        TaskDefinition(name="signing", step_templates=[step("sign", sign), step("file", quick, "sign")]),
        TaskDefinition(name="empty", step_templates=[]),
    ]  # fmt: skip


@contextmanager
def house(settings: object = None, *, url: str = "memory://", running: bool = True) -> Iterator[House]:
    """Hold an application on a real socket.

    Args:
        settings: Its settings.
        url: Its database.
        running: Whether it runs what is submitted.
    """
    gate, mended = threading.Event(), threading.Event()
    with Tasker(url, settings=settings or {}, concurrency=4) as app:
        for definition in _definitions(gate, mended):
            app.register(definition)
        if running:
            app.start()
        try:
            with served(app) as place:
                yield House(app, place, gate, mended)
        finally:
            gate.set()
            mended.set()
