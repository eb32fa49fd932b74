"""What is done to a history from outside: one class for each kind of fault, and the list of all.

A fault is injected once, may last, and is healed. It counts as often as it hit something.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from tests.faults.places import BACKENDS

if TYPE_CHECKING:
    from tests.faults.stage import Stage


class Fault:
    """One fault; the subclasses are its kinds.

    Attributes:
        name: What the kind is called in reports.
        backends: Where it can happen.
        weight: How often it is drawn.
        lasts: Between which bounds its duration is drawn (seconds).
        outlives_lease: True if the duration of a lease is added.
        measured: True if it is worth measuring how quickly things go on after it.
        needs_wrong_clocks: True if it makes sense only where clocks are wrong anyway.
        needs_subscribers: True if it hits subscribers.
        hits: How often it hit something.
    """

    name: ClassVar[str]
    backends: ClassVar[tuple[str, ...]] = BACKENDS
    weight: ClassVar[float] = 1.0
    lasts: ClassVar[tuple[float, float]] = (0.0, 0.0)
    outlives_lease: ClassVar[bool] = False
    measured: ClassVar[bool] = False
    needs_wrong_clocks: ClassVar[bool] = False
    needs_subscribers: ClassVar[bool] = False

    def __init__(self, seconds: float) -> None:
        """Take how long it lasts."""
        self.seconds = seconds
        self.hits = 0

    def inject(self, stage: Stage) -> None:
        """Do it."""
        raise NotImplementedError

    def heal(self, stage: Stage) -> None:
        """End it."""


def kinds(backend: str) -> list[type[Fault]]:
    """List the kinds of faults that can happen on a back end, in the order of their names."""
    import tests.faults.faults_postgres
    import tests.faults.faults_processes
    import tests.faults.faults_sqlite
    import tests.faults.faults_subscribers  # noqa: F401 - importing them defines the kinds

    named = [kind for kind in _all(Fault) if backend in kind.backends and "name" in vars(kind)]
    return sorted(named, key=lambda kind: kind.name)


def _all(kind: type[Fault]) -> Iterator[type[Fault]]:
    for one in kind.__subclasses__():
        yield one
        yield from _all(one)
