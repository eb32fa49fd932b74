"""The outside world of subscribers: a file in which every delivery leaves a line, and the traps that wait in its way.

A fault sets a trap for a subscription. The subscriber that falls into it, in whatever process that is, is killed right
after it has sent and before anybody knows, or stands still with an event in its hand.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

SENT, DONE, RAISED, HUNG = "sent", "done", "raised", "hung"
KILL, FREEZE_BEFORE, FREEZE_AFTER = "kill", "freeze-before", "freeze-after"
BUS = "bus"
"""The name under which a receiver on the bus leaves its lines."""
_END = "."
_FILE = "told"


class Told(NamedTuple):
    """A line: what became of which event, which subscription it was for, in which process, when (microseconds)."""

    word: str
    subscription: str
    position: int
    event_id: str
    stream_id: str
    version: int
    pid: int
    time: int


class World:
    """The file as a process writes it: a line in one write, so that a kill leaves all of it or nothing."""

    def __init__(self, folder: Path) -> None:
        """Open the file of a history."""
        self._folder = folder
        self._file = os.open(folder / _FILE, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def tell(self, word: str, subscription: str, event) -> None:
        """Leave a line.

        Raises:
            OSError: The disk is full; what is left of the line counts for nothing.
        """
        what = f"{event.position} {event.event_id} {event.stream_id} {event.version}"
        line = f"\n{word} {subscription} {what} {os.getpid()} {time.time_ns() // 1000} {_END}".encode()
        if os.write(self._file, line) < len(line):
            raise OSError("the line was cut off")

    def trap(self, subscription: str) -> str | None:
        """Give the kind of the trap into which this delivery falls, if any; a trap catches once."""
        path = trap_of(self._folder, subscription)
        if not path.exists():
            return None
        with contextlib.suppress(FileNotFoundError):  # another process was quicker, or it was taken away
            kind, _, left = path.read_text().partition(" ")
            if int(left) > 0:
                set_trap(path, kind, int(left) - 1)
                return None
            path.rename(path.with_suffix(f".{os.getpid()}"))
            return kind
        return None

    def close(self) -> None:
        """Write no more."""
        os.close(self._file)


def spring(kind: str | None, *, sent: bool) -> None:
    """Let a trap do its work, if it is time for it: before the event was sent, or after."""
    if kind == KILL and sent:
        os.kill(os.getpid(), signal.SIGKILL)
    if kind == (FREEZE_AFTER if sent else FREEZE_BEFORE):
        os.kill(os.getpid(), signal.SIGSTOP)


def trap_of(folder: Path, subscription: str) -> Path:
    """Give the file that is the trap of a subscription."""
    return folder / f"trap-{subscription}"


def set_trap(path: Path, kind: str, deliveries: int) -> None:
    """Set a trap that lets a number of deliveries pass."""
    new = path.with_suffix(".new")
    new.write_text(f"{kind} {deliveries}")
    new.rename(path)


def caught(path: Path) -> int | None:
    """Take a trap away; give the process that it has caught, if any."""
    path.unlink(missing_ok=True)
    for found in path.parent.glob(f"{path.name}.[0-9]*"):
        found.unlink()
        return int(found.suffix[1:])
    return None


def failures(folder: Path) -> int:
    """Count the deliveries that a subscriber has refused so far."""
    path = folder / _FILE
    return path.read_bytes().count(f"\n{RAISED} ".encode()) if path.exists() else 0


def read(folder: Path) -> list[Told]:
    """Read what was told in a history, in the order in which it was; lines that were cut off are none."""
    path = folder / _FILE
    return list(_lines(path.read_text())) if path.exists() else []


def counts(lines: Sequence[Told]) -> Counter[str]:
    """Count the lines of subscribers by their word, and how many repeat what went through before."""
    found: Counter[str] = Counter()
    through: set[tuple[str, int]] = set()
    for line in lines:
        which = (line.subscription, line.position)
        if line.subscription != BUS:
            found[line.word] += 1
            found["again"] += line.word == SENT and which in through
        if line.word == DONE:
            through.add(which)
    return +found


def _lines(text: str) -> Iterator[Told]:
    for line in text.split("\n"):
        parts = line.split(" ")
        if len(parts) == len(Told._fields) + 1 and parts[-1] == _END:
            word, name, position, event_id, stream_id, version, pid, at = parts[:-1]
            yield Told(word, name, int(position), event_id, stream_id, int(version), int(pid), int(at))
