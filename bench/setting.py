"""Where a measure runs: a folder of its own, the size of the run, a new log for each application or a large one."""

from __future__ import annotations

import itertools
from copy import copy
from pathlib import Path
from typing import NamedTuple, Self

from bench import floor
from bench.floor import Commits
from tasker import TaskDefinition, Tasker
from tasker.log.open import open_store

ROOT = Path(__file__).resolve().parents[1]
CACHE = ROOT / ".bench"
"""Logs, peers and figures that outlive a run; git ignores it."""

PATIENCE = 120.0
"""Seconds that a measure waits for anything."""

BESIDE = 60
"""How many commits are measured beside something that is compared with them."""

Figures = dict[str, float]


class Size(NamedTuple):
    """How large a run is: its name, and which of three numbers `Bench.pick` takes."""

    name: str
    place: int


QUICK, FULL, LARGE = (Size(name, place) for place, name in enumerate(("quick", "full", "large")))
SIZES = {size.name: size for size in (QUICK, FULL, LARGE)}


class Bench:
    """A folder for logs, the size of the run, and the large log if this measure runs on that.

    Attributes:
        folder: Empties itself after the measure.
        large: The URL of a log that holds millions of events; None to measure on empty logs.
        paired: True to measure only what is compared between an empty log and a large one.
        live: The file of a log whose tasks all live; None where the measure needs none.
        size: The size of the run.
    """

    _logs = itertools.count(1)

    def __init__(
        self, folder: Path, size: Size, *, large: str | None = None, live: Path | None = None, paired: bool = False
    ) -> None:
        """Take all of it."""
        self.folder = folder
        self.large = large
        self.live = live
        self.paired = paired
        self.size = size

    def pair(self, large: str | None) -> Self:
        """Give the like for one turn of a comparison: sizes of a quick run, on the large log or on empty ones."""
        found = copy(self)
        found.large, found.paired, found.size = large, True, QUICK
        return found

    def pick(self, quick: int, full: int, large: int | None = None) -> int:
        """Give the size of something by the size of the run."""
        return (quick, full, large or full)[self.size.place]

    def url(self) -> str:
        """Name a new log, or the large one."""
        return self.large or self.new()

    def new(self) -> str:
        """Name a new log."""
        return url_of(self.folder / f"log{next(self._logs)}.db")

    def app(self, *plans: TaskDefinition, concurrency: int = 16, url: str | None = None) -> Tasker:
        """Give an application over the log of this measure, opened, with some definitions."""
        app = Tasker(url or self.url(), settings={}, concurrency=concurrency)
        for plan in plans:
            app.register(plan)
        list(app.events(limit=1))
        return app

    def tidy(self, app: Tasker) -> None:
        """Run what a measure left behind on a log that others will use after it."""
        if self.large is not None:
            app.run_until_idle()

    def floors(self, times: int = BESIDE) -> dict[str, Commits]:
        """Measure commits, by default shortly, before or after something that is compared with them.

        Returns:
            Each kind of commit under what is put behind the names of figures that are compared with it.
        """
        return {"": floor.commits(self.folder, times)}


def url_of(file: Path) -> str:
    """Write the path of a log as its URL."""
    return f"sqlite:///{file}"


def path_of(url: str) -> Path:
    """Read the path of a log from its URL."""
    return Path(url.removeprefix("sqlite:///"))


def head_of(url: str) -> int:
    """Give the position of the last event of a log."""
    store = open_store(url)
    try:
        return store.log.head()
    finally:
        store.close()
