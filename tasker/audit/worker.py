"""A process that verifies a part of a log for another process, and ends with that: run by `tasker.audit.helpers`.

It reads its order, one line of JSON, from the standard input, and ends when that is closed. On the standard output it
tells how many events are done, a number a line, and last `= LENGTH` with so many bytes of result behind it, or `! WHY`.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from threading import Thread
from typing import TYPE_CHECKING, NamedTuple

from tasker.audit.reading import PAGE
from tasker.errors import TaskerError
from tasker.fold import Part
from tasker.log.open import open_store
from tasker.log.port import Shared

if TYPE_CHECKING:
    from collections.abc import Callable

_SECONDS = 0.1
"""How long nothing is told between two numbers."""


class Order(NamedTuple):
    """What to verify.

    Attributes:
        url: The store.
        log_id: The name of its log, as hexadecimal digits.
        after: The position behind which the part begins.
        upto: The last position of the part.
    """

    url: str
    log_id: str
    after: int
    upto: int


def main() -> None:
    """Carry out the order and end the process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who gave the order decides what an interruption ends
    order = Order(*json.loads(sys.stdin.buffer.readline()))
    Thread(target=_end_with_parent, name="tasker-audit-parent", daemon=True).start()
    try:
        said = verified(order, _Tell())
        _say(b"= %d\n%b" % (len(said), said))
    except TaskerError as error:
        _say(b"! %b\n" % " ".join(str(error).split()).encode())


def verified(order: Order, tell: Callable[[int], None]) -> bytes:
    """Verify a part and give the result for `tasker.fold.Verifier.join`.

    Args:
        order: Which part.
        tell: Called with how many events are done.

    Raises:
        TaskerError: The part is not good, or cannot be verified here.
    """
    store = open_store(order.url, check_only=True)
    try:
        if not isinstance(store, Shared):
            message = "expected a store that several processes can read, found another"
            raise TaskerError(message)
        part = Part(bytes.fromhex(order.log_id), order.after, store.hashes)
        while part.position < order.upto:
            page = store.log.links(part.position, limit=min(PAGE, order.upto - part.position))
            if not page.links or not part.feed(page):
                message = f"position {part.position + 1}: expected what was appended, found something else"
                raise TaskerError(message)
            tell(part.position - order.after)
        return part.result()
    finally:
        store.close()


class _Tell:
    """Tells the parent how far this is, now and then."""

    def __init__(self) -> None:
        self._parent = os.getppid()
        self._next = 0.0

    def __call__(self, done: int) -> None:
        """Take in how many events are done; ends the process where nobody wants to know any more."""
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + _SECONDS
        if os.getppid() != self._parent:  # a process forked from the parent may hold the standard input open
            sys.exit(1)
        _say(b"%d\n" % done)


def _say(text: bytes) -> None:
    sys.stdout.buffer.write(text)
    sys.stdout.buffer.flush()


def _end_with_parent() -> None:
    """End at once when the standard input is closed: the parent has ended, or has no use for this any more."""
    while os.read(0, 1):
        pass
    os._exit(1)
