"""A series of histories, some at the same time, each in a process that has a server of its own."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from itertools import count
from multiprocessing import get_context
from multiprocessing.util import Finalize

from tests.faults.history import Outcome, play
from tests.faults.places import Backends
from tests.faults.script import backend_of, draw

_BACKENDS = Backends()


def play_all(
    first: int, backend: str, *, jobs: int, most: float, seconds: float, keep: bool, subscribers: bool
) -> Iterator[Outcome]:
    """Play histories, and give each when it is over.

    Args:
        first: Seed of the first; each further one adds 1.
        backend: Where their logs are.
        jobs: How many are played at a time.
        most: How many in all.
        seconds: Begin no further one after so many seconds.
        keep: True to keep the files of every history.
        subscribers: True for subscribers in every history, and not in one of three.
    """
    until = time.monotonic() + seconds
    seeds = count(first)
    playing: set[Future[Outcome]] = set()
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), initializer=_begin) as pool:
        while True:
            while len(playing) < jobs and most > 0 and time.monotonic() < until:
                playing.add(pool.submit(_play, next(seeds), backend, keep=keep, subscribers=subscribers))
                most -= 1
            if not playing:
                return
            done, playing = wait(playing, return_when=FIRST_COMPLETED)
            yield from (one.result() for one in done)


def _begin() -> None:
    """Prepare a process that plays histories."""
    logging.getLogger("tasker").addHandler(logging.NullHandler())  # the people's; the others speak into files
    Finalize(None, _BACKENDS.close, exitpriority=1)


def _play(seed: int, backend: str, *, keep: bool, subscribers: bool) -> Outcome:
    return play(draw(seed, backend_of(seed, backend), subscribers=subscribers), _BACKENDS, keep=keep)
