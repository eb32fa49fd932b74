"""Contract of `Workers`: who lives until when by the clock of the store, who dies, and what is left of them."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pytest

from tasker.errors import TaskerError
from tasker.log.workers import Heard, Vitals, WorkerState
from tests.contracts.working import DAY, PAST, VITALS, arrival, enrol, states, stores

NONE = Vitals()


class TestLives:
    """From the registration to the last heartbeat."""

    def test_registered(self, store):
        """A worker lives from its registration on; its row says all that it was registered with."""
        assert store.workers.all() == []
        enrol(store, "one")
        [found] = store.workers.all()
        assert found[:6] == ("one", WorkerState.ALIVE, "host-1", 4711, "0.2.0", 16)
        assert (found.settled, found.vitals) == (False, VITALS)
        assert found.started_at == found.beat_at
        assert found.lease_until == found.started_at + 60_000_000
        assert 50 < found.lease_left <= 60

    def test_without_end(self, store):
        """A lease without end has no time, and never runs out."""
        enrol(store, "one", lease=None)
        assert (store.workers.all()[0].lease_until, store.workers.all()[0].lease_left) == (None, None)
        assert store.workers.bury() == []
        assert states(store) == {"one": "alive"}

    def test_order(self, store):
        """Workers are given in the order of their registration, whatever their ids."""
        enrol(store, "c", "a", "b")
        assert [worker.worker_id for worker in store.workers.all()] == ["c", "a", "b"]

    def test_ids_are_new(self, store):
        """An id that was there before cannot come again."""
        enrol(store, "one")
        with pytest.raises(TaskerError):
            enrol(store, "one")
        assert len(store.workers.all()) == 1

    def test_beats(self, store):
        """A heartbeat moves the lease and the time of the last sign, notes the vitals, and tells the store's time."""
        enrol(store, "one", lease=PAST)
        before = store.workers.all()[0]
        said = Vitals(("x",), (), -3.5)
        heard = store.workers.beat("one", said, lease_seconds=30.0)
        after = store.workers.all()[0]
        assert (heard.state, heard.now) == (WorkerState.ALIVE, after.beat_at)
        assert after.beat_at > before.beat_at
        assert after.lease_until == after.beat_at + 30_000_000
        assert after.vitals == said
        assert after._replace(beat_at=0, lease_until=0, lease_left=0, vitals=NONE) == before._replace(
            beat_at=0, lease_until=0, lease_left=0, vitals=NONE
        )
        assert store.workers.bury() == []

    def test_the_clock_goes_on(self, store):
        """The store's time never stands still between heartbeats."""
        enrol(store, "one")
        told = [store.workers.beat("one", NONE, lease_seconds=30.0).now for _ in range(5)]
        assert all(one < other for one, other in pairwise(told))

    def test_nothing_to_say(self, place, store):
        """Without a lease to move, only other vitals are written."""
        enrol(store, "one", lease=None)
        before = store.workers.all()
        rows = place.raw("SELECT * FROM workers")
        assert store.workers.beat("one", VITALS, lease_seconds=None).state is WorkerState.ALIVE
        assert (store.workers.all(), place.raw("SELECT * FROM workers")) == (before, rows)
        for vitals in (VITALS._replace(handlers=()), VITALS._replace(lacking=()), VITALS._replace(skew=0.5)):
            assert store.workers.beat("one", vitals, lease_seconds=None).state is WorkerState.ALIVE
            [found] = store.workers.all()
            assert (found.vitals, found.lease_until) == (vitals, None)
            assert found.beat_at > before[0].beat_at

    @pytest.mark.parametrize("lease", [None, 30.0])
    @pytest.mark.parametrize("vitals", [VITALS, NONE])
    def test_who_does_not_live_is_told(self, store, lease, vitals):
        """A heartbeat says what the worker is; one that is dead, stopped or gone is not brought back by it."""
        enrol(store, "dead", lease=PAST)
        enrol(store, "stopped")
        store.workers.bury()
        store.workers.stop("stopped")
        rows = [worker[:9] for worker in store.workers.all()]
        told = [store.workers.beat(one, vitals, lease_seconds=lease).state for one in ("dead", "stopped", "gone")]
        assert told == [WorkerState.DEAD, WorkerState.STOPPED, WorkerState.DEAD]
        assert [worker[:9] for worker in store.workers.all()] == rows

    def test_from_another_store(self, shared):
        """Another store sees and keeps the same workers."""
        one, other = stores(shared)
        enrol(one, "one", lease=PAST)
        assert other.workers.beat("one", NONE, lease_seconds=30.0).state is WorkerState.ALIVE
        assert one.workers.bury() == []
        one.close()
        assert states(other) == {"one": "alive"}


class TestEnds:
    """How a worker ends."""

    def test_drains(self, store):
        """A living worker can be asked to drain, is told so by its heartbeats, and lives on; another one cannot."""
        enrol(store, "one", "gone", lease=None)
        enrol(store, "dead", lease=PAST)
        store.workers.bury()
        store.workers.stop("gone")
        assert [store.workers.drain(one) for one in ("one", "one", "gone", "dead", "nobody")] == [
            *(True, True),
            *(False, False, False),
        ]
        assert store.workers.beat("one", VITALS, lease_seconds=None).state is WorkerState.DRAINING
        assert store.workers.beat("one", NONE, lease_seconds=30.0).state is WorkerState.DRAINING
        assert states(store) == {"one": "draining", "gone": "stopped", "dead": "dead"}

    def test_stops(self, store):
        """A living worker that stops has left nothing behind; a dead one stays dead and unsettled."""
        enrol(store, "one", "two")
        enrol(store, "dead", lease=PAST)
        store.workers.bury()
        store.workers.drain("two")
        for one in ("one", "two", "dead", "nobody"):
            store.workers.stop(one)
        found = {worker.worker_id: (worker.state.value, worker.settled) for worker in store.workers.all()}
        assert found == {"one": ("stopped", True), "two": ("stopped", True), "dead": ("dead", False)}

    def test_dies(self, store):
        """Whoever lives with a lease that ran out dies, once; nobody else does."""
        enrol(store, "late", "draining", lease=PAST)
        enrol(store, "stopped", lease=PAST)
        enrol(store, "early", lease=60.0)
        enrol(store, "endless", lease=None)
        store.workers.drain("draining")
        store.workers.stop("stopped")
        assert store.workers.bury() == ["draining", "late"]
        assert store.workers.bury() == []
        living = {"stopped": "stopped", "early": "alive", "endless": "alive"}
        assert states(store) == {"late": "dead", "draining": "dead", **living}
        assert not any(worker.settled for worker in store.workers.all() if worker.state is WorkerState.DEAD)

    def test_all_but_one(self, store):
        """Of the holder of the lock every other worker is known to be dead, whatever its lease."""
        enrol(store, "endless", "mine", lease=None)
        enrol(store, "late", lease=PAST)
        enrol(store, "early", lease=60.0)
        assert store.workers.bury(but="mine") == ["early", "endless", "late"]
        assert store.workers.bury(but="mine") == []
        assert store.workers.bury(but="nobody") == ["mine"]

    def test_each_death_is_told_once(self, place):
        """Of many that look at once, over two stores, one alone is told of each death."""
        both = stores(place)
        enrol(both[0], *(f"late-{number}" for number in range(12)), lease=PAST)
        enrol(both[0], "early")
        with ThreadPoolExecutor(8) as pool:
            told = Counter(one for dead in pool.map(lambda n: both[n % 2].workers.bury(), range(32)) for one in dead)
        assert told == {f"late-{number}": 1 for number in range(12)}
        assert Counter(states(both[1]).values()) == {"dead": 12, "alive": 1}

    def test_a_heartbeat_and_death_exclude_each_other(self, place):
        """Whoever is told that it lives is not declared dead, and the other way round."""
        both = stores(place)
        ids = [f"w{number}" for number in range(24)]
        enrol(both[0], *ids, lease=PAST)

        def beat(worker_id: str) -> Heard:
            return both[1].workers.beat(worker_id, NONE, lease_seconds=60.0)

        with ThreadPoolExecutor(8) as pool:
            burying = [pool.submit(both[0].workers.bury) for _ in range(4)]
            told = dict(zip(ids, pool.map(beat, ids), strict=True))
            dead = sorted(one for buried in burying for one in buried.result())
        assert dead == sorted(one for one, heard in told.items() if heard.state is WorkerState.DEAD)
        assert states(both[1]) == {one: heard.state.value for one, heard in told.items()}


class TestRows:
    """How long rows stay."""

    def test_settles(self, store):
        """Only dead workers are settled; settling twice, or nobody, is no mistake."""
        enrol(store, "one", "two", lease=PAST)
        store.workers.bury()
        enrol(store, "alive")
        store.workers.settle([])
        for _ in range(2):
            store.workers.settle(["one", "alive", "nobody"])
        found = {worker.worker_id: worker.settled for worker in store.workers.all()}
        assert found == {"one": True, "two": False, "alive": False}

    def test_old_rows_go(self, place, store):
        """A registration removes settled workers that were not heard of for seven days, and nobody else."""
        enrol(store, "settled", "unsettled", "recent", lease=PAST)
        store.workers.bury()
        enrol(store, "stopped", "silent", lease=None)
        store.workers.stop("stopped")
        store.workers.settle(["settled", "recent"])
        place.raw(f"UPDATE workers SET beat_at = beat_at - {7 * DAY + 1} WHERE worker_id <> 'recent'")
        place.raw(f"UPDATE workers SET beat_at = beat_at - {7 * DAY - 60_000_000} WHERE worker_id = 'recent'")
        assert len(store.workers.all()) == 5
        enrol(store, "new")
        assert set(states(store)) == {"unsettled", "recent", "silent", "new"}

    def test_registrations_at_once(self, place):
        """Workers that arrive together are all there."""
        both = stores(place)
        enrol(both[0], *(f"old{number}" for number in range(6)), lease=None)
        for number in range(6):
            both[0].workers.stop(f"old{number}")
        place.raw(f"UPDATE workers SET beat_at = beat_at - {8 * DAY}")
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda n: both[n % 2].workers.register(arrival(f"w{n}"), lease_seconds=9.0), range(16)))
        assert states(both[1]) == {f"w{number}": "alive" for number in range(16)}

    def test_closed(self, store):
        """A closed store says so."""
        enrol(store, "one")
        store.close()
        for use in (store.workers.all, store.workers.bury, lambda: store.workers.stop("one")):
            with pytest.raises(TaskerError, match="closed"):
                use()
