"""A series of histories with a broker, some at the same time, each in a process that has a broker and a server."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from itertools import count
from multiprocessing import get_context
from multiprocessing.util import Finalize

from tests.faults.kafka.history import Outcome, Services, play
from tests.faults.kafka.script import draw


class _Own:
    """What this process has started."""

    services: Services | None = None


def play_all(first: int, *, jobs: int, most: float, seconds: float, keep: bool) -> Iterator[Outcome]:
    """Play histories, and give each when it is over.

    Args:
        first: Seed of the first; each further one adds 1.
        jobs: How many are played at a time: most of their time is waiting for leases, sessions and starts.
        most: How many in all.
        seconds: Begin no further one after so many seconds.
        keep: True to keep the files of every history.
    """
    until = time.monotonic() + seconds
    seeds = count(first)
    playing: set[Future[Outcome]] = set()
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), initializer=_begin) as pool:
        while True:
            while len(playing) < jobs and most > 0 and time.monotonic() < until:
                playing.add(pool.submit(_play, next(seeds), keep=keep))
                most -= 1
            if not playing:
                return
            done, playing = wait(playing, return_when=FIRST_COMPLETED)
            yield from (one.result() for one in done)


def _begin() -> None:
    """Prepare a process that plays histories."""
    logging.getLogger("tasker").addHandler(logging.NullHandler())  # the workers speak into files
    Finalize(None, _end, exitpriority=1)


def _end() -> None:
    services, _Own.services = _Own.services, None
    if services is not None:
        services.close()


def _play(seed: int, *, keep: bool) -> Outcome:
    if _Own.services is None:
        _Own.services = Services()
    return play(draw(seed), _Own.services, keep=keep)
