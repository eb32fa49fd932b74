"""Handlers whose behaviour stands in their configuration, and the ledger of the effects they have outside the log."""

from __future__ import annotations

import asyncio
import os
import time
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tasker import PermanentError, RetryableError, StepHandler, TaskHandler, Wait

LEDGER = "TASKER_TEST_LEDGER"
"""The environment variable that names the file in which every execution of a handler leaves its lines."""
PUBLISHED = "faults.done"
SUMMARY = "faults.summary"


def note(word, step, task):
    """Add a line to the ledger in one write, so that a kill leaves all of it or nothing."""
    line = f"{word} {task.id} {step.name} {step.attempt} {step.worker_id} {time.time_ns() // 1000}\n"
    ledger = os.open(os.environ[LEDGER], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(ledger, line.encode())
    finally:
        os.close(ledger)


class Line(NamedTuple):
    """A line of the ledger: what happened (start, effect, end), to which attempt, when (microseconds)."""

    word: str
    attempt: tuple[str, str, str, str]
    time: int


def lines(path: Path) -> list[Line]:
    """Read a ledger."""
    found = [line.split() for line in path.read_text().splitlines()] if path.exists() else []
    return [Line(word, (task, step, number, worker), int(at)) for word, task, step, number, worker, at in found]


@contextmanager
def noted(config, task, step):
    """Leave the lines of the start and of the end, and fail as the configuration says."""
    note("start", step, task)
    try:
        if config.get("permanent"):
            raise PermanentError("refused for good", code="NO")
        if step.attempt <= config.get("fails", 0):
            raise RetryableError("busy")
        yield
    finally:
        note("end", step, task)


def finish(handler, task, step):
    """Have the effect, publish, and give what the step gives."""
    config = handler.config
    if config.get("wait"):
        return Wait(config["wait"], "somebody outside")
    note("effect", step, task)
    if config.get("publish"):
        handler.publish(PUBLISHED, {"attempt": step.attempt})
    return {"attempt": step.attempt}


class Sync(StepHandler):
    """A handler on a thread."""

    name = "faults.sync"

    def process(self, task, sequence, step):
        """Start, take a while, end."""
        with noted(self.config, task, step):
            time.sleep(self.config.get("ms", 0) / 1000)
            return finish(self, task, step)


class Async(StepHandler):
    """The same handler on an event loop."""

    name = "faults.async"

    async def process(self, task, sequence, step):
        """Start, take a while, end."""
        with noted(self.config, task, step):
            await asyncio.sleep(self.config.get("ms", 0) / 1000)
            return finish(self, task, step)


class Hook(TaskHandler):
    """Notes how many steps were completed just before the task ends."""

    name = "faults.hook"

    def update_annotations(self, task, sequence, steps):
        """Note it."""
        task.annotate(SUMMARY, {"completed": len(list(steps))})
