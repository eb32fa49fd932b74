"""What happens to a history and when: its planned faults, injected one after the other, each healed in its time."""

from __future__ import annotations

import time
from collections import Counter, deque

from tests.faults.faults import Fault
from tests.faults.script import Planned
from tests.faults.stage import Stage


class Weather:
    """The faults of one history.

    Attributes:
        hits: How often each kind hit something.
    """

    def __init__(self, planned: tuple[Planned, ...]) -> None:
        """Take what is planned."""
        self.hits: Counter[str] = Counter()
        self._left = deque(planned)
        self._active: list[tuple[float, Fault]] = []
        self._next = time.monotonic() + (self._left[0].gap if self._left else 0.0)

    @property
    def over(self) -> bool:
        """Say whether nothing more will happen."""
        return not self._left and not self._active

    def pass_by(self, stage: Stage) -> None:
        """Heal what has lasted long enough, inject what is due."""
        now = time.monotonic()
        for until, fault in list(self._active):
            if now >= until:
                self._active.remove((until, fault))
                self._heal(fault, stage)
        if self._left and now >= self._next:
            planned = self._left.popleft()
            self._inject(planned.kind(planned.seconds), stage)
            self._next = time.monotonic() + (self._left[0].gap if self._left else 0.0)

    def clear(self, stage: Stage) -> None:
        """Heal everything, and let nothing more happen."""
        self._left.clear()
        while self._active:
            self._heal(self._active.pop()[1], stage)

    def _inject(self, fault: Fault, stage: Stage) -> None:
        stage.watch.disturb()
        stage.say(f"{fault.name}, for {fault.seconds:.2f} s")
        fault.inject(stage)
        if fault.seconds:
            self._active.append((time.monotonic() + fault.seconds, fault))
        else:
            self._heal(fault, stage)

    def _heal(self, fault: Fault, stage: Stage) -> None:
        if fault.seconds:
            stage.watch.disturb()
        fault.heal(stage)
        self.hits[fault.name] += fault.hits
        stage.say(f"end of {fault.name}: {fault.hits} hits")
