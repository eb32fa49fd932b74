"""A process that appends to a log together with others: `python -m tests.contracts.writer URL STREAM_HEX ROUNDS`."""

from __future__ import annotations

import sys

from tasker.log.open import open_store
from tasker.log.port import Appended, VersionConflict
from tests.contracts.kit import event, more, started


def write(url: str, shared: bytes, rounds: int) -> int:
    """Append to a stream of its own and to one that all processes share; give how often the shared one was won."""
    store = open_store(url)
    own = started(store.log)
    won = 0
    version = 1
    for number in range(rounds):
        mine, ours = store.log.append([more(own, number + 1), more(shared, version, event(), event())])
        assert isinstance(mine, Appended)
        if isinstance(ours, VersionConflict):
            version = ours.actual
        else:
            won, version = won + 1, version + 2
    store.close()
    return won


if __name__ == "__main__":
    print(write(sys.argv[1], bytes.fromhex(sys.argv[2]), int(sys.argv[3])))
