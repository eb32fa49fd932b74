"""The rows of subscriptions as they were while a history went on, read past everything that is done to others."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.exc import ProgrammingError

from tasker.codec.decode import text_id
from tasker.errors import LogUnavailable
from tasker.log.port import Store
from tasker.subscriptions.ledger import OPEN
from tasker.subscriptions.tables import ACTIVE, DISCARDED, PARKED, held, subscriptions
from tests.faults.plans import POISONED

_LOOK_SECONDS = 0.02
_ROW = [subscriptions.c[name] for name in ("name", "checkpoint", "epoch", "state", "owner", "error")]
_HELD = [held.c[name] for name in ("subscription", "position", "stream_id", "state", "tries", "error")]


class Standing(NamedTuple):
    """One subscription at a moment.

    Attributes:
        checkpoint: The position it has reached.
        epoch: How many owners it has had.
        state: active, paused, failed or retired.
        owner: Who serves it.
        error: Why it does not go on, or the last failure.
        held: The streams that wait, each with the position at which it does.
        parked: Positions that wait for a person, each with its tries and its error.
    """

    checkpoint: int
    epoch: int
    state: str
    owner: str | None
    error: str | None
    held: Mapping[str, int] = MappingProxyType({})
    parked: Mapping[int, tuple[int, str]] = MappingProxyType({})

    @property
    def hopeful(self) -> list[int]:
        """Give the positions of what waits and may go through yet: all but poison."""
        return [position for position in self.held.values() if POISONED not in self.parked.get(position, (0, ""))[1]]

    @property
    def pid(self) -> int:
        """Give the process of the owner; 0 for none."""
        return int(self.owner.rsplit("-", 2)[1]) if self.owner else 0


class Sample(NamedTuple):
    """All subscriptions at one moment; none where nothing is known any more, for the server has crashed.

    Attributes:
        time: When they had been read, in microseconds of the system's clock.
        standings: Each by its name.
    """

    time: int
    standings: Mapping[str, Standing]


class Samples:
    """Reads the rows again and again.

    Attributes:
        all: What was read, without what was the same as before.
    """

    def __init__(self, store: Store, names: frozenset[str]) -> None:
        """Take the log, and which subscriptions there will be."""
        self.all: list[Sample] = []
        self.names = names
        self._store = store
        self._next = 0.0

    @property
    def latest(self) -> Mapping[str, Standing]:
        """Give what was read last."""
        return self.all[-1].standings if self.all else {}

    def look(self, *, at_once: bool = False) -> None:
        """Read; a log that is not available, and rows that nobody has made yet, are read later."""
        if self.names and (at_once or time.monotonic() >= self._next):
            self._next = time.monotonic() + _LOOK_SECONDS
            try:
                found = self._read()
            except (LogUnavailable, ProgrammingError):
                return
            if not self.all or found != self.all[-1].standings:
                self.all.append(Sample(_now(), found))

    def crashed(self) -> None:
        """Hear that the server has lost what it was not asked to keep: a checkpoint may be an older one again."""
        self.all.append(Sample(_now(), {}))

    def unsettled(self, head: int) -> Iterator[str]:
        """Say of each subscription that has not come to an end why; what is parked for good has."""
        for name in sorted(self.names):
            one = self.latest.get(name)
            if one is None:
                yield f"{name} is not there"
            elif one.state != ACTIVE or one.checkpoint < head or one.hopeful:
                yield f"{name} is {one} and the log ends at {head}"

    def discarded(self) -> Mapping[str, set[int]]:
        """Read what people have given up for good: positions by subscription; nothing where there are no rows yet.

        Raises:
            LogUnavailable: The store failed.
        """
        if not self.latest:
            return {}
        found: dict[str, set[int]] = {}
        given_up = select(held.c.subscription, held.c.position).where(held.c.state == DISCARDED)
        with self._store.reading() as connection:
            for name, position in connection.execute(given_up):
                found.setdefault(name, set()).add(position)
        return found

    def _read(self) -> dict[str, Standing]:
        with self._store.reading() as connection:
            rows = connection.execute(select(*_ROW)).all()
            waiting = connection.execute(select(*_HELD).where(OPEN).order_by(held.c.position)).all()
        found = {}
        for name, *row in rows:
            mine = [one for one in waiting if one.subscription == name]
            streams = {text_id(bytes(one.stream_id)): one.position for one in mine}
            parked = {one.position: (one.tries, one.error) for one in mine if one.state == PARKED}
            found[name] = Standing(*row, streams, parked)
        return found


def _now() -> int:
    return time.time_ns() // 1000
