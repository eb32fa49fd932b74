"""The processes of a history, to which things are done: workers and submitters, forked from a server without a Tasker.

The server has imported the engine, so that a restart costs a fork and the opening of the log, and a kill within the
first milliseconds hits the take-over and not the start of Python.
"""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path
from random import Random

from tasker import Tasker
from tasker.errors import LogUnavailable, Overloaded, TaskerError
from tests.faults import plans, subscribers
from tests.faults.clocks import WrongClock
from tests.faults.handlers import LEDGER

CONTEXT = get_context("forkserver")
CONTEXT.set_forkserver_preload(
    [
        "tests.faults.processes",
        "tasker.log.sqlite",
        "tasker.log.postgres",
        "sqlalchemy.dialects.sqlite",
        "sqlalchemy.dialects.postgresql.psycopg",
        "tasker.subscriptions.subscriptions",
    ]
)
AGAIN = 75
"""The code of a process that could not begin because the log was not available."""
GAVE_UP = 76
"""The code of a worker that gave up because half of its slots were stuck."""
_LONGEST_SECONDS = 200
_PAUSE = 0.03
_DIE_WITH_PARENT = 1


@dataclass(frozen=True)
class Role:
    """What a process needs to know.

    Attributes:
        name: What it is called.
        url: Where the log is, for this process.
        folder: The folder of the history.
        seed: Its seed.
        settings: Settings of the application.
        slots: How many attempts it may run at once.
        clock: Its place among the wrong clocks; None for a right one.
        share: The numbers of the requests that it hands in.
        subscribers: True if it has subscribers.
    """

    name: str
    url: str
    folder: Path
    seed: int
    settings: Mapping[str, object]
    slots: int
    clock: int | None
    share: tuple[int, ...] = ()
    subscribers: bool = False

    def application(self) -> Tasker:
        """Give an application over the log that knows the definitions."""
        clock = None if self.clock is None else WrongClock(self.folder / "clocks", self.clock)
        app = Tasker(self.url, settings=self.settings, concurrency=self.slots, clock=clock)
        for plan in plans.definitions(self.seed):
            app.register(plan)
        return app


class Actor:
    """One process of the history over all its lives.

    Attributes:
        role: What it does.
        place: Its number among all.
        asked: True once this life was asked to stop.
    """

    def __init__(self, role: Role, place: int, target: Callable[[Role], None]) -> None:
        """Name it; it does not live yet."""
        self.role = role
        self.place = place
        self.asked = False
        self._target = target
        self._frozen = False
        self._process: BaseProcess | None = None

    def start(self) -> None:
        """Begin a new life."""
        self.asked = self._frozen = False
        self._process = CONTEXT.Process(target=self._target, args=(self.role,), daemon=True)
        self._process.start()

    @property
    def begun(self) -> bool:
        """Say whether it ever lived."""
        return self._process is not None

    @property
    def alive(self) -> bool:
        """Say whether it lives."""
        return self._process is not None and self._process.is_alive()

    @property
    def moves(self) -> bool:
        """Say whether it lives, and is neither frozen nor about to stop."""
        return self.alive and not self._frozen and not self.asked

    @property
    def pid(self) -> int:
        """Give the process of this life."""
        return self._process.pid if self._process is not None and self._process.pid else 0

    @property
    def exitcode(self) -> int | None:
        """Say how this life ended; None if it has not."""
        return None if self._process is None else self._process.exitcode

    def kill(self) -> bool:
        """End it without warning; False if it did not live."""
        if not self.alive:
            return False
        self._process.kill()
        self._process.join()
        return self.exitcode == -signal.SIGKILL

    def freeze(self) -> bool:
        """Let it stand still; False if it does so already, or does not live."""
        if not self.alive or self._frozen:
            return False
        self._frozen = True
        return self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self._frozen = False
        self._signal(signal.SIGCONT)

    def ask_to_stop(self) -> bool:
        """Ask it to stop; False if it does not live, or was asked before."""
        if not self.alive or self.asked:
            return False
        self.asked = True
        return self._signal(signal.SIGTERM)

    def show_stacks(self) -> None:
        """Have it write the stacks of its threads to what it says."""
        self._signal(signal.SIGUSR1)

    def join(self, seconds: float) -> None:
        """Wait for its end."""
        if self._process is not None:
            self._process.join(seconds)

    def _signal(self, number: int) -> bool:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)
            return True
        return False


def work(role: Role) -> None:
    """Run tasks until a signal; SIGUSR1 asks for the stacks of all threads."""
    _begin(role)
    os.environ[LEDGER] = str(role.folder / "ledger")
    with role.application() as app:
        try:
            if role.subscribers:
                subscribers.attach(app, role.folder, role.seed)
            sys.exit(GAVE_UP if app.serve() else 0)
        except LogUnavailable as error:
            print(f"{role.name} {os.getpid()}: {error}", flush=True)
            sys.exit(AGAIN)


def submit(role: Role) -> None:
    """Submit every request, alone or in groups; note each acknowledgement outside the log, durably."""
    _begin(role)
    rng = Random(os.getpid())
    requests = plans.requests(role.seed, plans.definitions(role.seed))
    left = [plans.delayed(requests[number], rng) for number in role.share]
    noted = os.open(role.folder / "acknowledged", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    with role.application() as app:
        while left:
            group = left[: rng.choice((1, 1, 4))]
            found = [(one["idempotency_key"], task.id) for one, task in _hand_in(app, group)]
            os.write(noted, "".join(f"{key} {task}\n" for key, task in found).encode())
            os.fsync(noted)
            done = {key for key, _ in found}
            left = [one for one in left if one["idempotency_key"] not in done]
            time.sleep(rng.random() / 5)


def acknowledgements(folder: Path) -> list[tuple[str, str]]:
    """Read key and task id of every acknowledged request; a line that a kill cut off was not acknowledged."""
    path = folder / "acknowledged"
    if not path.exists():
        return []
    return [(key, task) for key, task in (line.split() for line in path.read_text().split("\n")[:-1])]


def _hand_in(app, group):
    """Hand some requests in; give those that were acknowledged, each with its task."""
    try:
        answers = [app.submit(group[0])] if len(group) == 1 else app.submit_many(group)
    except (LogUnavailable, Overloaded):
        time.sleep(_PAUSE)
        return []
    wrong = [one for one in answers if isinstance(one, TaskerError) and not isinstance(one, LogUnavailable)]
    if wrong:
        raise wrong[0]
    return [(one, task) for one, task in zip(group, answers, strict=True) if not isinstance(task, TaskerError)]


def _begin(role: Role) -> None:
    """Bound the life of this process, and let it speak into a file."""
    ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
    signal.alarm(_LONGEST_SECONDS)
    said = os.open(role.folder / "said", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.dup2(said, sys.stdout.fileno())
    os.dup2(said, sys.stderr.fileno())
    faulthandler.register(signal.SIGUSR1)
