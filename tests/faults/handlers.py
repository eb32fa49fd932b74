"""Handlers that do what their configuration and their request say, and the ledger of their effects outside the log.

A request may hold a mischief for one of its steps: the handler then hangs past its timeout and reports late, ignores
that it is cancelled, ends the process, returns what is no JSON, or raises something odd.
"""

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
EXIT = 70
"""The code with which a handler ends its process."""
BULK = 300_000
MISCHIEF = ("hang", "stubborn", "exit", "rubbish", "raise")


def note(word, step, task):
    """Add a line to the ledger in one write, so that a kill leaves all of it or nothing."""
    line = f"{word} {task.id} {step.name} {step.attempt} {step.worker_id} {time.time_ns() // 1000}\n"
    ledger = os.open(os.environ[LEDGER], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(ledger, line.encode())
    finally:
        os.close(ledger)


class Line(NamedTuple):
    """A line of the ledger: what happened (start, effect, end, a mischief), to which attempt, when (microseconds)."""

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


def mischief(task, step):
    """Give what this attempt shall do wrong, and for how many seconds; note it."""
    found = task.context.get("mischief")
    if not found or found["step"] != step.name or step.attempt > found["attempts"]:
        return None, 0.0
    note(found["what"], step, task)
    if found["what"] == "exit":
        os._exit(EXIT)
    if found["what"] == "raise":
        raise _odd(found["how"])
    return found["what"], found["seconds"]


class Mute(Exception):
    """An exception that cannot even say what it is."""

    def __str__(self):
        """Fail."""
        raise ValueError("nobody knows")


def _odd(how):
    return (SystemExit(3), Mute(), RecursionError("too deep"), ExceptionGroup("several", [OSError(5)]))[how % 4]


def _rubbish(how):
    return (object(), {1: {"a": object()}}, float("nan"), "\ud800", (one for one in ()), "x" * BULK)[how % 6]


def finish(handler, task, step, wrong):
    """Have the effect, publish, and give what the step gives."""
    config = handler.config
    if config.get("wait"):
        return Wait(config["wait"], "somebody outside")
    note("effect", step, task)
    if config.get("publish"):
        handler.publish(PUBLISHED, {"attempt": step.attempt})
    if wrong == "rubbish":
        return _rubbish(task.context["mischief"]["how"])
    return {"attempt": step.attempt}


class Sync(StepHandler):
    """A handler on a thread."""

    name = "faults.sync"

    def process(self, task, sequence, step):
        """Start, take a while, end."""
        with noted(self.config, task, step):
            wrong, seconds = mischief(task, step)
            time.sleep(seconds or self.config.get("ms", 0) / 1000)
            return finish(self, task, step, wrong)


class Async(StepHandler):
    """The same handler on an event loop."""

    name = "faults.async"

    async def process(self, task, sequence, step):
        """Start, take a while, end."""
        with noted(self.config, task, step):
            wrong, seconds = mischief(task, step)
            if wrong == "stubborn":
                await _stubborn(seconds)
            else:
                await asyncio.sleep(seconds or self.config.get("ms", 0) / 1000)
            return finish(self, task, step, wrong)


async def _stubborn(seconds):
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        try:
            await asyncio.sleep(left)
        except asyncio.CancelledError:
            continue


class Hook(TaskHandler):
    """Notes how many steps were completed just before the task ends."""

    name = "faults.hook"

    def update_annotations(self, task, sequence, steps):
        """Note it."""
        task.annotate(SUMMARY, {"completed": len(list(steps))})
