"""The faults: each is over when it returns, and whoever died has a successor."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable

from tests.faults.kafka.script import KINDS, LOST
from tests.faults.kafka.stage import MOST_WORKERS, Stage, send

_WATCHED_SECONDS = 5.0


def kill(stage: Stage) -> None:
    """Kill a worker, whatever it does, and start another."""
    stage.workers.kill(stage.anybody())
    stage.workers.start()


def kill_at_intake(stage: Stage) -> None:
    """Kill all workers just when a request has become a task: it is durable, and most likely not acknowledged."""
    known = sum(1 for _ in stage.log.events(types="task.created"))
    until = time.monotonic() + _WATCHED_SECONDS
    while time.monotonic() < until and sum(1 for _ in stage.log.events(types="task.created")) == known:
        time.sleep(0.005)
    number = len(stage.workers.living)
    for worker in stage.workers.living[:]:
        stage.workers.kill(worker)
    for _ in range(number):
        stage.workers.start()


def join(stage: Stage) -> None:
    """Let one more worker join the group."""
    if len(stage.workers.living) < MOST_WORKERS:
        stage.workers.start()


def leave(stage: Stage) -> None:
    """Stop a worker in order; another comes if it was the last."""
    if len(stage.workers.living) == 1:
        stage.workers.start()
    stage.workers.stop(stage.workers.living[0])


def freeze(stage: Stage) -> None:
    """Freeze a worker past its lease and its session, and let it go on as if nothing had been."""
    worker = stage.anybody()
    send(worker, signal.SIGSTOP)
    time.sleep(stage.seconds + 4)
    send(worker, signal.SIGCONT)


def broker_restarts(stage: Stage) -> None:
    """Stop the broker in order and start it at once."""
    stage.broker.stop()
    stage.broker.start()


def broker_crashes(stage: Stage) -> None:
    """Kill the broker and start it at once."""
    stage.broker.stop("KILL")
    stage.broker.start()


def broker_away(stage: Stage) -> None:
    """Do without the broker for a while."""
    stage.broker.stop()
    time.sleep(2 * stage.seconds)
    stage.broker.start()


def broker_lost(stage: Stage) -> None:
    """Do without the broker for long, while requests go on being published."""
    stage.broker.stop()
    time.sleep(stage.seconds)
    stage.broker.start()


def database_away(stage: Stage) -> None:
    """Do without the server of the log for a while; the broker lives."""
    stage.server.stop()
    time.sleep(stage.seconds)
    stage.server.start()


def database_crashes(stage: Stage) -> None:
    """Let the server of the log crash and come back at once; the broker lives."""
    stage.server.stop("QUIT")
    stage.server.start()


FAULTS: dict[str, Callable[[Stage], None]] = {
    one.__name__: one
    for one in (
        kill, kill_at_intake, join, leave, freeze, broker_restarts, broker_crashes, broker_away, broker_lost,
        database_away, database_crashes,
    )
}  # fmt: skip
assert FAULTS.keys() == {*KINDS, LOST}
