"""Contract of the queries by which runners find live work: what is ready, due, held, or left behind."""

from __future__ import annotations

from hashlib import sha256
from random import Random

import pytest

from tasker.domain.work import TASK, WorkItem, WorkKind
from tasker.log.port import LiveWork
from tests.contracts.kit import more, new_id, started
from tests.contracts.working import PAST, enrol, ready, running

RANKS = (-(2**62), -5, 0, 3, 3, 3, 2**40)


def waiting(step: int, due: int | None) -> WorkItem:
    """Give the item of a step that waits for somebody outside."""
    return WorkItem(step, WorkKind.WAITING, due, 0, 1, None)


def random_ids(count: int) -> list[bytes]:
    """Give ids whose bytes are spread."""
    return [sha256(new_id()).digest()[:16] for _ in range(count)]


def pages(work: LiveWork, limit: int, **options: object) -> list[tuple[bytes, WorkItem]]:
    """Read what is ready page by page, each behind the last item of the one before."""
    found, after = [], None
    while page := work.ready(after=after, limit=limit, **options):
        assert len(page) <= limit
        found += page
        after = page[-1][1].rank, page[-1][0], page[-1][1].step
    return found


@pytest.fixture
def many(store) -> list[tuple[bytes, WorkItem]]:
    """Store ready items of all ranks among others; give the ready ones in their order."""
    seed = Random(7)
    items = [(stream_id, ready(step, seed.choice(RANKS))) for stream_id in random_ids(60) for step in range(3)]
    others = [(stream_id, running(0)) for stream_id in random_ids(20)]
    others += [(stream_id, ready(0, due=seed.randrange(9))) for stream_id in random_ids(20)]
    others += [(stream_id, waiting(0, None)) for stream_id in random_ids(20)]
    mixed = items + others
    seed.shuffle(mixed)
    store.work.replace(mixed)
    return sorted(items, key=lambda found: (found[1].rank, found[0], found[1].step))


class TestReady:
    """What may start now."""

    def test_in_order(self, store, many):
        """Ready items come best rank first, then by stream and step; what has a due time or runs is none."""
        assert store.work.ready(after=None, limit=1000) == many
        assert store.work.ready(after=None, limit=7) == many[:7]
        assert store.work.ready(after=None, limit=0) == []

    @pytest.mark.parametrize("limit", [1, 7, 180])
    def test_in_pages(self, store, many, limit):
        """Pages follow each other without a gap and without repeating, also within one rank."""
        assert pages(store.work, limit) == many

    def test_behind_what_is_gone(self, store, many):
        """A page begins behind a place, whether there is an item or not."""
        stream_id, item = many[9]
        assert store.work.ready(after=(item.rank, stream_id, item.step + 50), limit=2) == [
            found for found in many if (found[1].rank, found[0]) > (item.rank, stream_id)
        ][:2]  # fmt: skip
        assert store.work.ready(after=(2**62, b"\xff" * 16, 9), limit=5) == []

    @pytest.mark.parametrize("shares", [1, 2, 3, 7, 300])
    def test_in_shares(self, store, many, shares):
        """Shares are told by the last byte of the stream's id; together they are everything, each item in one."""
        found = [pages(store.work, 11, share=(share, shares)) for share in range(shares)]
        for share, mine in enumerate(found):
            assert mine == [(stream_id, item) for stream_id, item in many if stream_id[15] % shares == share]

    def test_kept_by_appends(self, store):
        """What an append makes ready is there with it, and what it starts is not any more."""
        stream_id = started(store.log)
        store.log.append([more(stream_id, 1)._replace(work=((0, ready(0)), (1, ready(1, due=7)), (2, ready(2, -1))))])
        assert [item.step for _, item in store.work.ready(after=None, limit=9)] == [2, 0]
        store.log.append([more(stream_id, 2)._replace(work=((0, ready(0, due=9)), (1, ready(1)), (2, running(2))))])
        assert [item.step for _, item in store.work.ready(after=None, limit=9)] == [1]


class TestTimers:
    """What is due."""

    def test_every_kind(self, store):
        """Whatever has a due time before the given one is given, of every kind, earliest first; others are not."""
        one, other = random_ids(2)
        due = [
            (one, ready(0, due=5)), (other, waiting(1, 4)), (one, WorkItem(TASK, WorkKind.TASK_TIMEOUT, 7, 0, 0, None)),
            (other, ready(2, due=-3)),
        ]  # fmt: skip
        later = [(one, ready(3, due=8)), (other, waiting(4, None)), (one, ready(5)), (one, running(6))]
        store.work.replace([*due, *later])
        found = store.work.timers(before=8, limit=9)
        assert found == sorted(due, key=lambda timer: timer[1].due)
        assert store.work.timers(before=8, limit=2) == found[:2]
        assert store.work.timers(before=-3, limit=9) == []
        assert store.work.timers(before=2**62, limit=0) == []


class TestPlaces:
    """Items by their places."""

    def test_at(self, store, many):
        """Items are found by stream and step; what has none is left out, and what is asked twice is given once."""
        wanted = many[3::7]
        places = [(stream_id, item.step) for stream_id, item in wanted]
        found = store.work.at([*places, (new_id(), 0), (wanted[0][0], 77), places[0]])
        assert sorted(found) == sorted(wanted)
        assert store.work.at([]) == []

    def test_at_many(self, store, many):
        """Many places can be asked for at once."""
        places = [(stream_id, step) for stream_id, _ in many for step in range(20)]
        assert sorted(store.work.at(places)) == sorted(many)


class TestRunning:
    """What runs, and for whom."""

    def test_orphans(self, store):
        """Running items whose worker is dead, stopped, gone or not named are orphans; those of the living are not."""
        enrol(store, "alive", "draining", "stopped")
        enrol(store, "dead", lease=PAST)
        store.workers.drain("draining")
        store.workers.stop("stopped")
        stream_id = new_id()
        workers = ("alive", "draining", "stopped", "dead", "unknown", None)
        items = [(stream_id, running(step, worker=worker)) for step, worker in enumerate(workers)]
        store.work.replace([*items, (stream_id, ready(8)), (stream_id, waiting(9, 5))])
        assert store.work.orphans() == [items[2], items[4], items[5]]
        store.workers.bury()
        assert store.work.orphans() == items[2:]

    def test_held_by(self, store):
        """The running items of one worker are given, and nothing else."""
        one, other = sorted(random_ids(2))
        mine = [(one, running(0, worker="w")), (one, running(4, worker="w")), (other, running(0, worker="w"))]
        others = [(other, running(1, worker="v")), (other, running(2, worker=None)), (other, ready(3))]
        store.work.replace([*mine, *others])
        assert store.work.held_by("w") == mine
        assert store.work.held_by("nobody") == []
