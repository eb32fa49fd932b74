"""Contract of limits: as many attempts of a scope run as may, over all workers, exactly."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from threading import Condition

import pytest

from tasker.log.port import Appended, Holding, IdentityTaken, LimitReached, Store, VersionConflict
from tests.contracts.kit import broken, event, header, more, new_id, start, started
from tests.contracts.working import claim, end, ready, running, stores

FULL = LimitReached("shop")
ROWS = "SELECT scope, stream_id, step, attempt FROM limit_holders ORDER BY scope, stream_id, step"


def won(results) -> list[bool]:
    """Tell of each result whether it won."""
    return [isinstance(result, Appended) for result in results]


@pytest.fixture
def stream(store) -> bytes:
    """Give a stream of version 1."""
    return started(store.log)


@pytest.fixture
def holder(store, stream) -> bytes:
    """Give a stream of version 2 whose step 0 has the one place of `shop`."""
    assert won(store.log.append([claim(stream, 1, 0, "shop")])) == [True]
    return stream


class TestPlaces:
    """Who gets a place, and what a loser leaves."""

    def test_so_many_and_no_more(self, store, stream):
        """As many attempts as may run get a place; the next one loses, is told the scope, and leaves nothing."""
        claims = [claim(stream, 1 + step, step, "shop", most=3) for step in range(4)]
        assert store.log.append(claims) == [Appended(2, 2), Appended(3, 3), Appended(4, 4), FULL]
        assert store.log.append([claims[3], more(stream, 4)]) == [FULL, Appended(5, 5)]
        assert store.work.holders(["shop"]) == [("shop", stream, step) for step in range(3)]
        assert [item.step for item in store.work.of(stream)] == [0, 1, 2]
        assert broken(store.log) == []

    def test_each_scope_has_its_own(self, store, holder):
        """A full scope stops nobody in another; an attempt needs a place in each of its scopes, or gets none."""
        other = started(store.log)
        assert won(store.log.append([claim(other, 1, 0, "bank")])) == [True]
        assert store.log.append([claim(other, 2, 1, "post", "shop", "bank")]) == [FULL]
        assert store.log.append([claim(other, 2, 1, "post", "bank", "shop")]) == [LimitReached("bank")]
        assert won(store.log.append([claim(other, 2, 1, "post")])) == [True]
        found = store.work.holders(["shop", "post", "bank", "none", "shop"])
        assert sorted(found) == [("bank", other, 0), ("post", other, 1), ("shop", holder, 0)]
        assert store.work.holders([]) == []

    def test_no_place_at_all(self, store, stream):
        """Where nothing may run, nothing runs."""
        assert store.log.append([claim(stream, 1, 0, "shop", most=0)]) == [FULL]

    def test_each_goes_by_its_own_number(self, store, holder):
        """How many may run is what the append says: a limit that was raised or lowered counts from the next one on."""
        more_places = [claim(holder, 2 + step, 1 + step, "shop", most=3) for step in range(2)]
        assert won(store.log.append(more_places)) == [True, True]
        assert store.log.append([end(holder, 4, 0), claim(holder, 5, 3, "shop", most=2)])[1] == FULL
        assert won(store.log.append([claim(holder, 5, 3, "shop", most=3)])) == [True]

    def test_several_at_once(self, store, stream):
        """What starts several attempts in one scope needs as many places, or starts none."""
        both = tuple(Holding("shop", 2, step, 1) for step in range(2))
        two = more(stream, 1)._replace(work=tuple((step, running(step)) for step in range(2)), holdings=both)
        other = started(store.log)
        assert won(store.log.append([claim(other, 1, 0, "shop", most=2)])) == [True]
        assert store.log.append([two]) == [FULL]
        assert won(store.log.append([end(other, 2, 0), two])) == [True, True]
        assert store.log.append([claim(other, 3, 1, "shop", most=2)]) == [FULL]

    def test_the_last_place(self, store, stream):
        """Of two in a group that want the last place the first one gets it."""
        other = started(store.log)
        assert store.log.append([claim(stream, 1, 0, "shop"), claim(other, 1, 0, "shop")]) == [Appended(3, 3), FULL]
        assert store.work.holders(["shop"]) == [("shop", stream, 0)]

    def test_losers_take_none(self, place, store, stream):
        """Who loses for another reason takes no place, and a new stream without a place is not there."""
        late = new_id()
        begun = claim(late, 0, 0, "shop")._replace(
            header=header(identity=b"i" * 32), definition=(b"d" * 32, b"plan"), events=(event((0, "order.new")),)
        )
        results = store.log.append([claim(stream, 7, 0, "shop"), claim(stream, 1, 1, "shop"), begun])
        assert results == [VersionConflict(1), Appended(2, 2), FULL]
        assert (store.log.header(late), store.log.definition(b"d" * 32)) == (None, None)
        assert store.log.with_identity(b"i" * 32) is None
        assert store.log.append([end(stream, 2, 1), begun, begun])[1:] == [Appended(4, 4), VersionConflict(1)]
        taken = begun._replace(stream_id=new_id())
        assert store.log.append([taken]) == [IdentityTaken(late)]
        assert store.work.holders(["shop"]) == [("shop", late, 0)]
        assert len(place.raw(ROWS)) == 1

    def test_without_holdings(self, place, store, holder):
        """Who asks for no place gets none, and is stopped by no limit."""
        assert won(store.log.append([more(holder, 2)._replace(work=((1, running(1)),))])) == [True]
        assert len(place.raw(ROWS)) == 1


class TestFree:
    """When a place is free again."""

    def test_by_the_end(self, store, holder):
        """The end of the attempt frees its place, in another append as in an earlier one of the same group."""
        other = started(store.log)
        assert store.log.append([claim(other, 1, 0, "shop")]) == [FULL]
        assert won(store.log.append([end(holder, 2, 0)])) == [True]
        assert store.work.holders(["shop"]) == []
        assert won(store.log.append([claim(other, 1, 0, "shop")])) == [True]
        results = store.log.append([
            claim(holder, 3, 1, "shop"), end(other, 2, 0), claim(holder, 3, 1, "shop"), claim(other, 3, 1, "shop"),
        ])  # fmt: skip
        assert [results[0], won(results)] == [FULL, [False, True, True, False]]

    def test_in_the_same_append(self, store, holder):
        """What ends one attempt and starts another needs one place for both."""
        chain = claim(holder, 2, 1, "shop")
        chain = chain._replace(work=((0, None), *chain.work))
        assert won(store.log.append([chain])) == [True]
        assert store.work.holders(["shop"]) == [("shop", holder, 1)]

    def test_only_the_running_attempt_holds(self, place, store, holder):
        """A retry is another attempt: the place of the one before is free, and the row is the new one's."""
        other = started(store.log)
        store.log.append([more(holder, 2)._replace(work=((0, ready(0, due=99)),))])
        assert store.work.holders(["shop"]) == []
        assert won(store.log.append([claim(holder, 3, 0, "shop", attempt=2)])) == [True]
        assert place.raw("SELECT step, attempt FROM limit_holders") == [(0, 2)]
        assert store.log.append([claim(other, 1, 0, "shop")]) == [FULL]
        again = claim(holder, 4, 0, "shop", attempt=3)
        assert won(store.log.append([again])) == [True]
        assert place.raw("SELECT step, attempt FROM limit_holders") == [(0, 3)]
        store.log.append([more(holder, 5)._replace(work=((0, running(0, attempt=4)),))])
        assert store.work.holders(["shop"]) == []
        assert won(store.log.append([claim(other, 1, 0, "shop")])) == [True]

    def test_still_running(self, store, holder):
        """An attempt whose item is only written again keeps its place."""
        other = started(store.log)
        same = more(holder, 2)._replace(work=((0, running(0, worker="v")),))
        assert store.log.append([same, claim(other, 1, 0, "shop")])[1] == FULL
        assert store.log.append([claim(other, 1, 0, "shop"), more(holder, 3)._replace(work=same.work)])[0] == FULL

    def test_taken_twice(self, store, holder):
        """An attempt that asks for the place that it has gets no second one."""
        assert won(store.log.append([claim(holder, 2, 0, "shop"), claim(holder, 3, 0, "shop")])) == [True, True]
        assert store.work.holders(["shop"]) == [("shop", holder, 0)]

    def test_stale_rows_go(self, place, store):
        """Rows that hold no place are removed by the next winner that looks at their scope, and only there."""
        stream_id = started(store.log)
        for step in range(4):
            scope = "bank" if step == 3 else "shop"
            assert won(store.log.append([claim(stream_id, 1 + step, step, scope, most=9)])) == [True]
        cancel = more(stream_id, 5)._replace(work=((0, None), (1, ready(1)), (3, None)))
        assert won(store.log.append([cancel])) == [True]
        assert len(place.raw(ROWS)) == 4
        assert won(store.log.append([claim(stream_id, 6, 4, "shop", most=2)])) == [True]
        assert [(row[0], row[2]) for row in place.raw(ROWS)] == [("bank", 3), ("shop", 2), ("shop", 4)]
        assert store.log.append([claim(stream_id, 7, 5, "shop", "bank", most=2)]) == [FULL]
        assert won(store.log.append([claim(stream_id, 7, 5, "bank", most=2)])) == [True]
        assert [(row[0], row[2]) for row in place.raw(ROWS)] == [("bank", 5), ("shop", 2), ("shop", 4)]

    def test_ended_in_its_group(self, place, store, stream):
        """What starts and ends in one group leaves no row, whoever comes after it in the group."""
        other = started(store.log)
        group = [
            claim(stream, 1, 0, "shop"),
            end(stream, 2, 0),
            claim(other, 1, 0, "shop"),
            claim(stream, 3, 1, "shop"),
        ]
        assert won(store.log.append(group)) == [True, True, True, False]
        assert [row[1:] for row in place.raw(ROWS)] == [(other, 0, 1)]

    def test_started_again_in_its_group(self, place, store, holder):
        """An attempt that ends, and whose step starts again in the same group, leaves the row of the new one."""
        assert won(store.log.append([end(holder, 2, 0), claim(holder, 3, 0, "shop", attempt=2)])) == [True, True]
        assert [row[1:] for row in place.raw(ROWS)] == [(holder, 0, 2)]

    def test_seen_by_another_store(self, place):
        """Places are the log's, not the store's."""
        one, other = stores(place)
        first, second = started(one.log), started(other.log)
        assert won(one.log.append([claim(first, 1, 0, "shop")])) == [True]
        assert other.log.append([claim(second, 1, 0, "shop")]) == [FULL]
        assert won(one.log.append([end(first, 2, 0)])) == [True]
        assert won(other.log.append([claim(second, 1, 0, "shop")])) == [True]

    def test_rebuilt(self, store, holder):
        """Replacing the live work keeps the places of what runs in it, and frees the others."""
        other = started(store.log)
        items = list(store.work.all())
        store.work.replace(items)
        assert store.log.append([claim(other, 1, 0, "shop")]) == [FULL]
        store.work.replace([])
        assert store.work.holders(["shop"]) == []
        store.work.replace(items)
        assert store.log.append([claim(other, 1, 0, "shop")]) == [FULL]
        store.work.replace([])
        assert won(store.log.append([claim(other, 1, 0, "shop")])) == [True]


class Crowd:
    """Threads that want the few places of one scope, over two stores, each for a stream of its own."""

    def __init__(self, place, most: int) -> None:
        """Begin a stream for each of eight threads."""
        self.stores = stores(place)
        self.most = most
        self.streams = [started(self.stores[0].log) for _ in range(8)]
        self.refused = 0
        self._changed = Condition()
        self._ends = 0

    def run(self, rounds: int) -> None:
        """Start and end an attempt, so many times in each thread."""
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda number: self._work(number, rounds), range(8)))

    def _work(self, number: int, rounds: int) -> None:
        store, stream_id = self.stores[number % 2], self.streams[number]
        for turn in range(rounds):
            self._start(store, claim(stream_id, 1 + 2 * turn, turn, "shop", most=self.most))
            self._wait_for_a_refusal()
            assert won(store.log.append([end(stream_id, 2 + 2 * turn, turn)])) == [True]
            with self._changed:
                self._ends += 1
                self._changed.notify_all()

    def _wait_for_a_refusal(self) -> None:
        # Nobody gives a place back before somebody was refused: so all places were taken at once, however threads run.
        with self._changed:
            assert self._changed.wait_for(lambda: self.refused > 0, 30)

    def _start(self, store: Store, append) -> None:
        while True:
            with self._changed:
                ends = self._ends
            [result] = store.log.append([append])
            if isinstance(result, Appended):
                return
            assert result == FULL
            with self._changed:
                self.refused += 1
                self._changed.notify_all()
                # Whoever had the place may have given it back before the refusal came.
                self._changed.wait_for(lambda ends=ends: self._ends > ends, 0.05)


def test_held_exactly(place):
    """Eight threads on two stores: never do more attempts run than may, as the log tells it, and every claim wins."""
    crowd, rounds = Crowd(place, most=3), 40
    crowd.run(rounds)
    counts, now = Counter(), 0
    for stored in crowd.stores[0].log.tail(0, limit=10_000)[8:]:
        now += 1 if stored.type == "step.started" else -1
        counts[now] += 1
    assert max(counts) == 3
    assert sum(counts.values()) == 8 * rounds * 2
    assert crowd.refused > 0
    assert (now, crowd.stores[1].work.holders(["shop"])) == (0, [])
    assert len(place.raw(ROWS)) <= 3
    assert broken(crowd.stores[0].log) == []


def test_new_streams_at_the_limit(store):
    """A stream that begins with a running attempt takes a place, too."""
    first = start(new_id())._replace(work=((0, running(0)),), holdings=(Holding("shop", 1, 0, 1),))
    second = first._replace(stream_id=new_id())
    assert store.log.append([first, second]) == [Appended(1, 1), FULL]
