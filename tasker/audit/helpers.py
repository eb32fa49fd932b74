"""Other processes that verify parts of a log beside this one: Python threads could not, for they read in turns.

A process is told what to do by its standard input and knows nothing of the program in which Tasker runs: it imports the
audit and nothing else. It ends with its part, when this verification ends for whatever reason, or when this process is
gone. What it says is never needed, only quicker: without it, this process verifies that part as well.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import ExitStack, suppress
from pathlib import Path
from threading import Thread
from typing import IO, TYPE_CHECKING, NamedTuple, Protocol, Self

from tasker.audit.worker import Order
from tasker.instrument import logger
from tasker.log.port import Shared

if TYPE_CHECKING:
    from collections.abc import Callable

    from tasker.fold import Verifier
    from tasker.log.port import Store

_MOST = 8
_LEAST = 200_000
"""Events for which another process is worth its start."""

_MEANWHILE = 80_000
"""Events that this process verifies while another one starts."""

_SECONDS = 0.2
_RUN = "import sys; sys.path[:] = sys.argv[1:]; from tasker.audit.worker import main; main()"
_logger = logger("audit")


class Helper(Protocol):
    """What verifies a part elsewhere."""

    @property
    def done(self) -> int:
        """Give how many events are done."""

    def wait(self, seconds: float) -> bool:
        """Wait for the result; False if it takes longer."""

    def result(self) -> bytes:
        """Give what `tasker.fold.Part` gave; nothing where the part is not good or was not verified."""

    def end(self) -> None:
        """End it now, finished or not; safe to repeat."""


class Process:
    """A process that verifies a part."""

    def __init__(self, order: Order) -> None:
        """Start it.

        Raises:
            OSError: The system refused.
        """
        self.done = 0
        self._order = order
        self._result = b""
        self._process = subprocess.Popen(  # noqa: S603 - this interpreter and constant text
            [sys.executable, "-c", _RUN, *sys.path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self._listener = Thread(target=self._listen, name="tasker-audit-part", daemon=True)
        with suppress(BrokenPipeError):  # then it has ended, as the listener will find
            self._input().write(json.dumps(order).encode() + b"\n")
            self._input().flush()
        self._listener.start()

    def wait(self, seconds: float) -> bool:
        """Wait until it has said everything; False if that takes longer."""
        self._listener.join(seconds)
        return not self._listener.is_alive()

    def result(self) -> bytes:
        """Give the result."""
        return self._result

    def end(self) -> None:
        """End the process and forget it."""
        self._process.kill()
        self._process.wait()
        self._listener.join()
        with suppress(BrokenPipeError):
            self._input().close()
        self._output().close()

    def _listen(self) -> None:
        """Take in what it says, until it has nothing more to say."""
        output, why = self._output(), "it ended without a word"
        while line := output.readline():
            sign, _, rest = line.partition(b" ")
            if sign == b"=":
                self._result = output.read(int(rest))
            elif sign == b"!":
                why = rest.decode(errors="replace").strip()
            elif sign.strip().isdigit():
                self.done = int(sign)
        if not self._result:
            _logger.info("another process did not verify %d to %d: %s", self._order.after + 1, self._order.upto, why)

    def _input(self) -> IO[bytes]:
        assert self._process.stdin is not None  # noqa: S101 - it was asked for
        return self._process.stdin

    def _output(self) -> IO[bytes]:
        assert self._process.stdout is not None  # noqa: S101 - it was asked for
        return self._process.stdout


def cores() -> int:
    """Count the processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Parts(NamedTuple):
    """How to cut a log.

    Attributes:
        most: Into how many parts at most; None for as many as there are cores, up to eight.
        least: Events of a log that is worth cutting.
        start: Starts what verifies a part.
    """

    most: int | None = None
    least: int = _LEAST
    start: Callable[[Order], Helper] = Process

    def ends(self, head: int) -> list[int]:
        """Give the last position of each part."""
        count = max(1, min(head, min(cores(), _MOST) if self.most is None else self.most))
        more = _MEANWHILE if head >= _LEAST else 0
        return [more + (head - more) * number // count for number in range(1, count + 1)]


class Helpers:
    """All that verifies parts elsewhere, from the beginning of one verification to its end.

    Attributes:
        ends: The last position of each part, the last of them the head.
    """

    def __init__(self, store: Store, verifier: Verifier, head: int, parts: Parts) -> None:
        """Take the log and how to cut it; nothing is started yet."""
        url = _url(store, parts) if verifier.takes_links and head >= parts.least else None
        self.ends = [head] if url is None else parts.ends(head)
        self._orders = [
            Order(url, store.log.log_id.hex(), after, upto)
            for after, upto in zip(self.ends, self.ends[1:], strict=False)
            if url is not None
        ]
        self._start = parts.start
        self._running: dict[int, Helper] = {}
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        """Start one for each part but the first, as far as the system permits."""
        with self._stack as stack:
            for order in self._orders:
                try:
                    helper = self._start(order)
                except OSError as error:
                    _logger.info("no other process for the positions %d to %d: %s", order.after + 1, order.upto, error)
                    break
                stack.callback(helper.end)
                self._running[order.upto] = helper
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        """End all that still run."""
        self._stack.close()

    @property
    def done(self) -> int:
        """Count the events that are done in parts whose results were not asked for yet."""
        return sum(helper.done for helper in self._running.values())

    def result(self, upto: int, tell: Callable[[int], None]) -> bytes:
        """Wait for the result of the part with this end; no bytes where there is none.

        Args:
            upto: Its last position.
            tell: Called meanwhile, now and then, with `done`.
        """
        helper = self._running.get(upto)
        if helper is None:
            return b""
        while not helper.wait(_SECONDS):
            tell(self.done)
        del self._running[upto]
        result = helper.result()
        helper.end()
        return result


def _url(store: Store, parts: Parts) -> str | None:
    """Give the URL for what verifies parts; None where none can be started that reads this log."""
    if parts.start is Process:
        return url_for_processes(store)
    return store.url if isinstance(store, Shared) else None


def url_for_processes(store: Store) -> str | None:
    """Give the URL by which other processes read a log; None where none can be started that does."""
    name = Path(sys.executable or "").name.lower()
    # In a program with an interpreter inside, `sys.executable` may be that program.
    usable = name.startswith(("python", "pypy")) and not getattr(sys, "frozen", False)
    return store.url if usable and isinstance(store, Shared) else None
