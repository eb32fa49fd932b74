"""Faults of a PostgreSQL server and of the networks before it."""

from __future__ import annotations

from collections.abc import Iterable
from threading import Thread
from typing import TYPE_CHECKING

from tests.faults.faults import Fault
from tests.faults.network import Counted, Network, answer_late
from tests.faults.places import POSTGRES, PostgresPlace
from tests.proxy import Hold, Rule, cut_after, cut_at_once, cut_before, slow

if TYPE_CHECKING:
    from tests.faults.stage import Stage


class Crash(Fault):
    """The server is stopped with -m immediate, and started again."""

    name = "crash server"
    backends = (POSTGRES,)
    weight = 2.0
    lasts = (0.0, 3.0)
    measured = True

    def inject(self, stage: Stage) -> None:
        """Stop it, unless it is down already."""
        if not stage.down:
            stage.down = True
            place(stage).crash()
            stage.samples.crashed()
            self.hits += 1

    def heal(self, stage: Stage) -> None:
        """Start it."""
        if self.hits:
            place(stage).restart()
            stage.down = False
            stage.watch.after_return(stage.cast)


class Terminate(Fault):
    """Every session of the database is ended."""

    name = "terminate sessions"
    backends = (POSTGRES,)

    def inject(self, stage: Stage) -> None:
        """End them."""
        if not stage.down:
            self.hits += bool(place(stage).terminate())


class NetworkFault(Fault):
    """Something happens in the network of one process."""

    weight = 0.0

    def network(self, stage: Stage) -> Network:
        """Pick one, of a process that lives if there is any."""
        actors = [actor for actor in stage.cast.actors if actor.moves] or stage.cast.actors
        return place(stage).networks[stage.rng.choice(actors).role.name]


class Cut(NetworkFault):
    """All connections of a process are cut, at any moment."""

    name = "cut connections"
    backends = (POSTGRES,)
    weight = 2.0

    def inject(self, stage: Stage) -> None:
        """Cut."""
        self.hits += bool(self.network(stage).cut())


class Partition(NetworkFault):
    """Nothing gets through for a while; then everything that was sent arrives late."""

    name = "partition"
    backends = (POSTGRES,)
    weight = 1.5
    lasts = (0.1, 1.5)
    _network: Network | None = None

    def inject(self, stage: Stage) -> None:
        """Stop the traffic."""
        self._network = self.network(stage)
        self._network.there.clear()
        self.hits += 1

    def heal(self, stage: Stage) -> None:
        """Let it go on."""
        if self._network is not None:
            self._network.there.set()


class PartitionBeyondLease(Partition):
    """A process is away for so long that it counts as dead."""

    name = "partition beyond lease"
    weight = 1.5
    outlives_lease = True

    def network(self, stage: Stage) -> Network:
        """Pick that of a worker, if possible in the middle of something."""
        actor = stage.watch.busiest(stage.cast.workers) or stage.rng.choice(stage.cast.workers)
        return place(stage).networks[actor.role.name]


class AtCommit(NetworkFault):
    """The next COMMIT of a process meets a rule."""

    lasts = (0.5, 0.5)

    def __init__(self, seconds: float) -> None:
        """Wait for a COMMIT."""
        super().__init__(seconds)
        self.rule = Counted(self.make(seconds))
        self._networks: list[Network] = []

    def make(self, seconds: float) -> Rule:
        """Give what shall happen."""
        raise NotImplementedError

    def inject(self, stage: Stage) -> None:
        """Wait for it in one network."""
        self._networks = [self.network(stage)]
        self._networks[0].rule = self.rule

    def heal(self, stage: Stage) -> None:
        """Wait no longer."""
        for network in self._networks:
            if network.rule is self.rule:
                network.rule = None
        self.hits += self.rule.count


class CutBeforeCommit(AtCommit):
    """The connection is cut just before a COMMIT."""

    name = "cut before commit"
    backends = (POSTGRES,)
    weight = 1.5

    def make(self, seconds: float) -> Rule:
        """Cut before it."""
        return cut_before


class CutInCommit(AtCommit):
    """The connection is cut while the server commits."""

    name = "cut in commit"
    backends = (POSTGRES,)
    weight = 2.5

    def make(self, seconds: float) -> Rule:
        """Cut at once."""
        return cut_at_once


class CutAfterCommit(AtCommit):
    """The server has committed; the connection is cut before its client hears of it."""

    name = "cut after commit"
    backends = (POSTGRES,)
    weight = 2.5

    def make(self, seconds: float) -> Rule:
        """Cut after it."""
        return cut_after


class DeliverLate(AtCommit):
    """A client loses its connection, and what it had sent reaches the server much later."""

    name = "deliver commit late"
    backends = (POSTGRES,)
    weight = 2.0
    lasts = (0.3, 1.2)

    def make(self, seconds: float) -> Rule:
        """Keep it."""
        self._hold = Hold()
        return self._hold

    def heal(self, stage: Stage) -> None:
        """Deliver it, if there is something."""
        super().heal(stage)
        if self.hits:
            Thread(target=self._hold.deliver, daemon=True).start()


class EveryCommit(AtCommit):
    """All COMMITs of all processes meet a rule for a while."""

    def inject(self, stage: Stage) -> None:
        """Begin."""
        self._networks = list(networks(stage))
        for network in self._networks:
            network.always = self.rule

    def heal(self, stage: Stage) -> None:
        """End it; however many it met, it counts once."""
        for network in self._networks:
            if network.always is self.rule:
                network.always = None
        self.hits += bool(self.rule.count)


class SlowCommits(EveryCommit):
    """Every COMMIT reaches the server late, while its transaction has its locks."""

    name = "slow commits"
    backends = (POSTGRES,)
    weight = 1.5
    lasts = (0.3, 1.0)

    def make(self, seconds: float) -> Rule:
        """Wait some 100 ms before each."""
        return slow(0.05 + seconds / 5)


class LateAnswers(EveryCommit):
    """Every COMMIT is done at once, and its client hears of it late."""

    name = "late answers"
    backends = (POSTGRES,)
    weight = 1.5
    lasts = (0.3, 1.0)

    def make(self, seconds: float) -> Rule:
        """Wait some 100 ms after each."""
        return answer_late(0.05 + seconds / 5)


def place(stage: Stage) -> PostgresPlace:
    """Give the place of a history on PostgreSQL."""
    return stage.place


def networks(stage: Stage) -> Iterable[Network]:
    """Give the networks of all processes."""
    return place(stage).networks.values()
