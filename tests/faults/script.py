"""The script of a history: everything that is drawn from its seed before it begins."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from tests.faults import plans
from tests.faults.faults import Fault, kinds
from tests.faults.places import BACKENDS, POSTGRES, SQLITE

BOTH = "both"
_SHUTDOWN_SECONDS = 0.3
_SUBSCRIBED = 1 / 3
_OFFSETS = (0.0, -400.0, -30.0, 40.0, 200.0)


@dataclass(frozen=True)
class Planned:
    """A fault of the script: how long after the one before it, what, and how long it lasts (seconds)."""

    gap: float
    kind: type[Fault]
    seconds: float


@dataclass(frozen=True)
class Script:
    """What a history will be.

    Attributes:
        seed: Its seed.
        backend: Where its log is.
        workers: How many workers.
        slots: How many attempts each may run at once.
        shares: The numbers of the requests that each submitter hands in; some are handed in by two.
        lease: Seconds after which a silent worker counts as dead.
        offsets: By how much the clock of each process is wrong (seconds); none where all are right.
        faults: What will be injected.
        subscribers: True if the workers have subscribers.
    """

    seed: int
    backend: str
    workers: int
    slots: int
    shares: tuple[tuple[int, ...], ...]
    lease: float
    offsets: tuple[float, ...]
    faults: tuple[Planned, ...]
    subscribers: bool

    @property
    def settings(self) -> dict[str, object]:
        """Give the settings of every process."""
        return {
            "limits": plans.limits(self.seed),
            "leases": {"heartbeat": 0.3, "timeout": self.lease},
            "shutdown_timeout": _SHUTDOWN_SECONDS,
        }


def backend_of(seed: int, asked: str) -> str:
    """Give the back end of a history: the one that was asked for, or a drawn one."""
    return asked if asked in BACKENDS else Random(f"backend {seed}").choice((SQLITE, POSTGRES, POSTGRES))


def draw(seed: int, backend: str, *, subscribers: bool = False) -> Script:
    """Draw a history.

    Args:
        seed: Its seed.
        backend: Where its log is.
        subscribers: True for subscribers in any case; else one history in three has them.
    """
    rng = Random(f"{seed} on {backend}")
    subscribers = subscribers or Random(f"subscribers {seed} on {backend}").random() < _SUBSCRIBED
    workers = 1 if backend == SQLITE else rng.choice((1, 2, 2, 3, 4))
    submitters = rng.choice((1, 2))
    lease = rng.choice((1.5, 1.5, 2.0, 2.5))
    offsets: tuple[float, ...] = ()
    if rng.random() < 0.25:
        offsets = tuple(rng.choice(_OFFSETS) for _ in range(workers + submitters))
    return Script(
        seed=seed,
        backend=backend,
        workers=workers,
        slots=rng.choice((1, 2, 4, 16)),
        shares=_shares(seed, submitters, rng),
        lease=lease,
        offsets=offsets if any(offsets) else (),
        faults=_faults(_known(backend, wrong_clocks=any(offsets), subscribers=subscribers), backend, lease, rng),
        subscribers=subscribers,
    )


def _shares(seed: int, submitters: int, rng: Random) -> tuple[tuple[int, ...], ...]:
    """Share the requests out; or let every submitter hand in all of them, each under the same key."""
    numbers = tuple(range(len(plans.requests(seed, plans.definitions(seed)))))
    if submitters == 1 or rng.random() < 0.4:
        return (numbers,) * submitters
    return tuple(numbers[place::submitters] for place in range(submitters))


def _known(backend: str, *, wrong_clocks: bool, subscribers: bool) -> list[type[Fault]]:
    """List what can happen to a history."""
    able = [kind for kind in kinds(backend) if wrong_clocks or not kind.needs_wrong_clocks]
    return [kind for kind in able if subscribers or not kind.needs_subscribers]


def _faults(known: list[type[Fault]], backend: str, lease: float, rng: Random) -> tuple[Planned, ...]:
    """Draw what is injected: often several things at the same time, at times one first whose end is measured."""
    weights = [kind.weight for kind in known]
    drawn = rng.choices(known, weights, k=rng.randint(6, 14))
    gaps = [rng.choice((rng.random() / 20, rng.random() / 4, rng.random() / 1.5)) for _ in drawn]
    if rng.random() < 0.35:
        drawn[0] = rng.choice([kind for kind in known if kind.measured])
        gaps[:2] = [rng.uniform(0.4, 1.0), lease + 1.5 if backend == POSTGRES else 0.7]
    return tuple(Planned(gap, kind, _seconds(kind, lease, rng)) for gap, kind in zip(gaps, drawn, strict=True))


def _seconds(kind: type[Fault], lease: float, rng: Random) -> float:
    return rng.uniform(*kind.lasts) + (lease if kind.outlives_lease else 0.0)
