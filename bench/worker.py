"""A worker in a process of its own: `python -m bench.worker URL SLOTS`.

It prints `ready` once it has warmed up and opened the log, starts at the first line of its input, prints `started`, and
stops when its input ends, as it does when whoever started it is gone.
"""

from __future__ import annotations

import sys

from bench import handlers
from tasker import Tasker

_WARM_UP = 50


def main() -> None:
    """Work."""
    url, slots = sys.argv[1], int(sys.argv[2])
    _warm_up(slots)
    with Tasker(url, settings={}, concurrency=slots) as app:
        app.register(handlers.chain(4))
        list(app.events(limit=1))
        print("ready", flush=True)
        sys.stdin.readline()
        app.start()
        print("started", flush=True)
        sys.stdin.read()


def _warm_up(slots: int) -> None:
    """Run some tasks on a log in memory, so that what is slow once is not measured."""
    with Tasker("memory://", settings={}, concurrency=slots) as app:
        app.register(handlers.chain(4))
        app.submit_many([{"name": "chain", "context": {"n": number}} for number in range(_WARM_UP)])
        app.run_until_idle()


if __name__ == "__main__":
    main()
