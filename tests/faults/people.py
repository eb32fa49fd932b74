"""People who act on a history from outside: they answer what waits for them, and operate now and then."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from random import Random
from threading import Event, Lock, Thread

from tasker.errors import InvalidRequest, LogUnavailable, NotAllowed
from tests.faults.follower import Follower
from tests.faults.processes import Role
from tests.faults.samples import Samples
from tests.faults.tending import Tending

_OPERATORS = ("cancel", "pause", "pause", "pause_scope", "pause_scope", "retry", "retry", "resolve", "reset_step")
_SCOPES = ("all", "namespace:default", "task:default.plan0", "system:shop")
_LOOK_SECONDS = 0.015
_STOP_SECONDS = 15.0


class People(Thread):
    """A thread of its own, so that a log which cannot be written holds up nobody else.

    Attributes:
        paused: What they have paused, each until when (monotonic seconds).
        calm: True while they only answer, and resume what they have paused.
        at_home: True once they do no more than that until the end.
        error: What went wrong, or None.
    """

    def __init__(self, role: Role, follower: Follower, samples: Samples) -> None:
        """Take how they reach the log, and who tells them what happens to it and to its subscriptions."""
        super().__init__(daemon=True)
        self.app = role.application()
        self.paused: list[tuple[float, dict[str, str]]] = []
        self.calm = self.at_home = False
        self.error: str | None = None
        self._follower = follower
        self._rng = Random(f"people {role.seed}")
        self._tending = Tending(self.app, samples, Random(f"tending {role.seed}"))
        self._acting = Lock()
        self._over = Event()

    def run(self) -> None:
        """Act until the end."""
        try:
            while not self._over.wait(_LOOK_SECONDS):
                with self._acting:
                    self._answer()
                    self._operate()
                    self._resume()
                    self._tending.look(calm=self.calm or self.at_home)
        except Exception as error:  # noqa: BLE001 - told as a violation
            self.error = f"{type(error).__name__}: {error}"

    @contextmanager
    def still(self) -> Iterator[None]:
        """Keep them from acting."""
        with self._acting:
            yield

    def close(self) -> None:
        """Send them home."""
        self._over.set()
        self.join(_STOP_SECONDS)
        self.app.close()

    def _answer(self) -> None:
        """Complete what waits for somebody outside."""
        for (task, step), when in list(self._follower.waiting.items()):
            if time.monotonic() >= when:
                answered = self._try(partial(self.app.complete_step, task, step, results={"by": "people"}))
                if answered is not None:
                    self._follower.waiting.pop((task, step), None)

    def _operate(self) -> None:
        """Now and then do what an operator may do."""
        if self.calm or self.at_home or not self._follower.statuses or self._rng.random() > 0.03:
            return
        what, task = self._rng.choice(_OPERATORS), self._rng.choice(list(self._follower.statuses))
        until = time.monotonic() + self._rng.random() / 3
        if what in {"pause", "pause_scope"}:
            target = {"task_id": task} if what == "pause" else {"scope": self._rng.choice(_SCOPES)}
            if self._try(partial(self.app.pause, **target)) is not False:
                self.paused.append((until, target))
        elif what == "reset_step":
            self._try(partial(self.app.reset_step, task, "s0"))
        else:
            self._try(partial(getattr(self.app, what), task))

    def _resume(self) -> None:
        """Lift pauses whose time is over; one that cannot be lifted now is lifted later."""
        for until, what in list(self.paused):
            if (self.calm or self.at_home or time.monotonic() >= until) and self._try(
                partial(self.app.resume, **what)
            ) is not None:
                self.paused.remove((until, what))

    def _try(self, command) -> bool | None:
        """Give a command that may have become illegal meanwhile; None if nobody knows what became of it."""
        try:
            command(actor="people", reason="a history")
        except (NotAllowed, InvalidRequest):  # nothing to resume: the pause never came to be, or somebody was quicker
            return False
        except LogUnavailable:
            return None
        return True
