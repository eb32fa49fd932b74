"""What a fault may touch."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random

from tests.faults.cast import Cast
from tests.faults.clocks import Clocks
from tests.faults.measures import Watch
from tests.faults.places import Place
from tests.faults.samples import Samples


@dataclass
class Stage:
    """One history, as its faults see it.

    Attributes:
        rng: Draws whom a fault hits.
        folder: The folder of the history.
        place: Its log.
        cast: Its processes.
        clocks: Their clocks.
        watch: Measures how quickly things go on.
        samples: Reads how the subscriptions stand.
        inspect: Checks the log while nobody lives.
        down: True while the server is away.
    """

    rng: Random
    folder: Path
    place: Place
    cast: Cast
    clocks: Clocks
    watch: Watch
    samples: Samples
    inspect: Callable[[], None]
    down: bool = False

    def say(self, text: str) -> None:
        """Leave a line in the story of the history, which is kept where something was found."""
        with (self.folder / "story").open("a") as story:
            story.write(f"{time.time():.3f} {text}\n")
