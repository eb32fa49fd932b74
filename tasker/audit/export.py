"""Export of the log: CloudEvents, one a line, in the order of positions; a large log is written by every core.

Another process gets its orders as lines of JSON, `[after, upto]` each, and answers each with `= LENGTH EVENTS LAST` and
so many bytes of lines. Where one ends early, this process writes what it had been ordered to.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, Self

import orjson

from tasker.audit.helpers import cores, url_for_processes
from tasker.audit.lines import Lines
from tasker.audit.pieces import Piece, Wanted, piece
from tasker.errors import InvalidRequest, TaskerError
from tasker.instrument import logger

if TYPE_CHECKING:
    from typing import IO

    from tasker.log.port import Store

_LEAST = 100_000
"""Events for which other processes are worth their start."""

_MOST = 8
_EVENTS = 5_000
_AHEAD = 2
_TAIL_BYTES = 1 << 21  # two of the largest events
_RUN = "import sys; sys.path[:] = sys.argv[1:]; from tasker.audit.pieces import main; main()"
_logger = logger("audit")

Progress = Callable[[int, int], None] | None


class Exported(NamedTuple):
    """What was exported: how many events, and the position behind which the next export begins."""

    events: int
    last: int


def export(
    store: Store, write: Callable[[bytes], object], wanted: Wanted, bounds: tuple[int, int], progress: Progress = None
) -> Exported:
    """Write the lines of the wanted events.

    Args:
        store: The log.
        write: Takes the lines.
        wanted: Which events.
        bounds: The position behind which to begin, and the last one.
        progress: Called now and then with how many positions are done and how many there are.

    Raises:
        ChainBroken: An event cannot be read.
        LogUnavailable: The store failed.
    """
    after, upto = bounds
    count, last = 0, after
    for one in _pieces(store, wanted, after, upto):
        write(one.lines)
        count, last = count + one.events, one.last
        if progress is not None:
            progress(last - after, upto - after)
    return Exported(count, last)


def last_position(path: Path) -> int:
    """Cut off a last line that is not whole, and give the position of the last that is; 0 where there is none.

    Raises:
        InvalidRequest: The file is no export, or cannot be read.
    """
    try:
        with path.open("r+b") as file:
            size = file.seek(0, 2)
            start = file.seek(max(0, size - _TAIL_BYTES))
            tail = file.read()
            end = tail.rfind(b"\n") + 1
            if end == 0 and start > 0:
                raise InvalidRequest(f"{path}: expected lines of an export, found none at its end. Name another file")
            file.truncate(start + end)
    except FileNotFoundError:
        return 0
    except OSError as error:
        raise InvalidRequest(f"{path}: expected an export to go on with, found {error.strerror}") from error
    if end == 0:
        return 0
    try:
        found = orjson.loads(tail[:end].splitlines()[-1])["position"]
    except (orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise InvalidRequest(f"{path}: expected lines of an export, found another last line ({error})") from error
    return int(found)


def _pieces(store: Store, wanted: Wanted, after: int, upto: int) -> Iterator[Piece]:
    """Write a range in pieces, in their order."""
    url = url_for_processes(store) if upto - after >= _LEAST and wanted.stream_id is None else None
    ranges = deque((start, min(start + _EVENTS, upto)) for start in range(after, upto, _EVENTS))
    if wanted.stream_id is not None:
        ranges = deque([(after, upto)] if after < upto else [])
    log, lines = store.log, Lines(store.log.log_id)
    with _Others(url, wanted) as others:
        ordered = others.order(ranges)
        while ordered or ranges:
            if not ordered:
                yield piece(log, lines, wanted, *ranges.popleft())
                continue
            other, (first, last) = ordered.popleft()
            made = other.take()
            if made is not None and ranges:
                other.order(*ranges[0])
                ordered.append((other, ranges.popleft()))
            yield piece(log, lines, wanted, first, last) if made is None else made


class _Others:
    """Other processes that write pieces; none where there is no URL."""

    def __init__(self, url: str | None, wanted: Wanted) -> None:
        self._count = 0 if url is None else min(cores(), _MOST)
        self._begin = json.dumps([url, *wanted]).encode() + b"\n"
        self._stack = ExitStack()
        self._running: list[_Other] = []

    def __enter__(self) -> Self:
        with self._stack as stack:
            for _ in range(self._count):
                try:
                    other = _Other(self._begin)
                except OSError as error:
                    _logger.info("no other process for an export: %s", error)
                    break
                stack.callback(other.end)
                self._running.append(other)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def order(self, ranges: deque[tuple[int, int]]) -> deque[tuple[_Other, tuple[int, int]]]:
        """Order the first pieces, some of each."""
        ordered: deque[tuple[_Other, tuple[int, int]]] = deque()
        for other in self._running * _AHEAD:
            if ranges:
                other.order(*ranges[0])
                ordered.append((other, ranges.popleft()))
        return ordered


class _Other:
    """A process that writes pieces."""

    def __init__(self, begin: bytes) -> None:
        self._process = subprocess.Popen(  # noqa: S603 - this interpreter and constant text
            [sys.executable, "-c", _RUN, *sys.path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert self._process.stdin is not None  # noqa: S101 - it was asked for
        assert self._process.stdout is not None  # noqa: S101 - the same
        self._input: IO[bytes] = self._process.stdin
        self._output: IO[bytes] = self._process.stdout
        self._say(begin)

    def order(self, after: int, upto: int) -> None:
        """Ask for the lines of a range."""
        self._say(b"[%d,%d]\n" % (after, upto))

    def take(self) -> Piece | None:
        """Wait for what was asked for first; None where it does not come."""
        sign, *numbers = self._output.readline().split()[:4] or [b"!"]
        if sign != b"=":
            return None
        length, events, last = map(int, numbers)
        lines = self._output.read(length)
        return Piece(lines, events, last) if len(lines) == length else None

    def end(self) -> None:
        """End the process and forget it."""
        self._process.kill()
        self._process.wait()
        with suppress(BrokenPipeError):
            self._input.close()
        self._output.close()

    def _say(self, line: bytes) -> None:
        with suppress(BrokenPipeError):  # then it has ended, as `take` will find
            self._input.write(line)
            self._input.flush()


@contextmanager
def open_new(path: Path, *, resume: bool) -> Iterator[BinaryIO]:
    """Hold the file of an export open; what was written is durable afterwards.

    Raises:
        InvalidRequest: It is there already, and nobody said that it goes on; or it cannot be written.
    """
    try:
        file = path.open("ab" if resume else "xb")
    except FileExistsError as error:
        raise InvalidRequest(f"{path}: expected no file, found one. Name another one, or resume this export") from error
    except OSError as error:
        raise InvalidRequest(f"{path}: expected a file that can be written, found {error.strerror}") from error
    with file:
        yield file
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def writing(path: Path, again: str) -> Iterator[None]:
    """Say of a disk that is full, or gone, what it means here.

    Args:
        path: The file.
        again: What to do then.

    Raises:
        TaskerError: The file could not be written to its end.
    """
    try:
        yield
    except OSError as error:
        raise TaskerError(f"{path}: expected to write all of the export, found {error.strerror}. {again}") from error
