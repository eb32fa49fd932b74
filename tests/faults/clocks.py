"""Clocks that are wrong: an offset for each process of a history, in a file that all of them have mapped."""

from __future__ import annotations

import mmap
import os
import struct
from datetime import UTC, datetime, timedelta
from pathlib import Path

PLACES = 16
_SIZE = 8


class WrongClock:
    """The clock of one process: that of the system and what the file adds at this moment."""

    def __init__(self, path: Path, place: int) -> None:
        """Map the file.

        Args:
            path: The file.
            place: Which of the offsets is this clock's.
        """
        self._map = _mapped(path)
        self._from = place * _SIZE

    def now(self) -> datetime:
        """Return the time that this process believes it to be."""
        (seconds,) = struct.unpack_from("d", self._map, self._from)
        return datetime.now(UTC) + timedelta(seconds=seconds)


class Clocks:
    """All offsets of a history, for whoever sets the clocks.

    Attributes:
        wrong: True once one of them was set.
    """

    def __init__(self, path: Path) -> None:
        """Make the file, all clocks right."""
        path.write_bytes(bytes(PLACES * _SIZE))
        self._map = _mapped(path)
        self._furthest = 0.0
        self.wrong = False

    def set(self, place: int, seconds: float) -> None:
        """Put a clock ahead of the true time, or behind it."""
        self.wrong = True
        self._furthest = max(self._furthest, seconds)
        struct.pack_into("d", self._map, place * _SIZE, seconds)

    def agree(self) -> None:
        """Put every clock where the furthest one ever was, so that whatever was planned by any of them falls due."""
        if self.wrong:
            for place in range(PLACES):
                struct.pack_into("d", self._map, place * _SIZE, self._furthest)


def _mapped(path: Path) -> mmap.mmap:
    file = os.open(path, os.O_RDWR)
    try:
        return mmap.mmap(file, PLACES * _SIZE)
    finally:
        os.close(file)
