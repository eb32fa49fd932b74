"""Contract of the fence: what carries a worker is appended only while that worker lives."""

from __future__ import annotations

import pytest

from tasker.log.port import Append, Appended, Fenced, VersionConflict
from tests.contracts.kit import broken, header, more, new_id, start, started
from tests.contracts.working import PAST, enrol, running, stores


def by(worker: str, append: Append) -> Append:
    """Have a worker append it."""
    return append._replace(worker=worker)


@pytest.fixture(params=["at first", "after many appends"])
def writing(request, place):
    """Give two stores, the first with a living worker `w`, and a stream of version 1; PostgreSQL may remember `w`."""
    first, second = stores(place)
    enrol(first, "w", lease=60.0)
    stream_id = started(first.log)
    for _ in range(8 if request.param == "after many appends" else 0):
        assert isinstance(first.log.append([by("w", start(new_id()))])[0], Appended)
    return first, second, stream_id


def test_the_living_append(store):
    """Alive or draining, a worker appends; so does whoever is no worker."""
    enrol(store, "alive", "draining")
    store.workers.drain("draining")
    stream_id = started(store.log)
    results = store.log.append([by("alive", more(stream_id, 1)), by("draining", more(stream_id, 2)), start(new_id())])
    assert results == [Appended(2, 2), Appended(3, 3), Appended(4, 4)]


def test_others_do_not(store):
    """A dead, a stopped and an unknown worker append nothing, take no position, and harm no neighbour."""
    enrol(store, "dead", lease=PAST)
    enrol(store, "stopped", "alive")
    store.workers.bury()
    store.workers.stop("stopped")
    stream_id, lost = started(store.log), new_id()
    before = by("stopped", more(stream_id, 1))._replace(work=((0, running(0)),), definition=(b"d" * 32, b"plan"))
    results = store.log.append([
        before, by("alive", more(stream_id, 1)), by("dead", start(lost)), by("nobody", more(stream_id, 2)),
        more(stream_id, 2), by("dead", more(stream_id, 3)),
    ])  # fmt: skip
    assert results == [
        Fenced("stopped"), Appended(2, 2), Fenced("dead"), Fenced("nobody"), Appended(3, 3), Fenced("dead"),
    ]  # fmt: skip
    assert (store.work.of(stream_id), store.log.header(lost), store.log.definition(b"d" * 32)) == ([], None, None)
    assert store.log.append([by("dead", more(stream_id, 3))]) == [Fenced("dead")]
    assert store.log.head() == 3
    assert broken(store.log) == []


def test_the_fence_comes_first(store):
    """A worker that does not live learns that, and nothing of the stream: all that it believed may be old."""
    stream_id = started(store.log)
    store.log.append([start(new_id(), identity=b"i" * 32)])
    fenced = by("gone", start(new_id())._replace(header=header(identity=b"i" * 32)))
    results = store.log.append([by("gone", more(stream_id, 9)), fenced, more(stream_id, 9)])
    assert results == [Fenced("gone"), Fenced("gone"), VersionConflict(1)]


@pytest.mark.parametrize("ending", ["bury", "all but another", "stop"])
def test_ended_by_another_store(writing, ending):
    """When another store has ended a worker, its next append is fenced, whatever this store remembers."""
    first, second, stream_id = writing
    if ending == "bury":
        second.workers.beat("w", second.workers.all()[0].vitals, lease_seconds=PAST)
        assert second.workers.bury() == ["w"]
    elif ending == "all but another":
        assert second.workers.bury(but="v") == ["w"]
    else:
        second.workers.stop("w")
    head = first.log.head()
    assert first.log.append([by("w", more(stream_id, 1))]) == [Fenced("w")]
    assert first.log.append([by("w", more(stream_id, 1)), more(stream_id, 1)]) == [
        Fenced("w"),
        Appended(head + 1, head + 1),
    ]
    assert second.log.head() == head + 1
    assert broken(second.log) == []


def test_others_go_on(writing):
    """The end of one worker ends nothing of another."""
    first, second, stream_id = writing
    enrol(second, "v", lease=PAST)
    head = first.log.head()
    assert first.log.append([by("v", start(new_id())), by("w", more(stream_id, 1))]) == [
        Appended(head + 1, head + 1),
        Appended(head + 2, head + 2),
    ]
    assert second.workers.bury() == ["v"]
    assert first.log.append([by("v", more(stream_id, 2)), by("w", more(stream_id, 2))]) == [
        Fenced("v"),
        Appended(head + 3, head + 3),
    ]


def test_a_new_worker_is_seen(writing):
    """A worker that was registered elsewhere, also after it was fenced here, appends at once."""
    first, second, stream_id = writing
    assert first.log.append([by("v", more(stream_id, 1))]) == [Fenced("v")]
    enrol(second, "v")
    head = first.log.head()
    for number in range(5):
        assert first.log.append([by("v", more(stream_id, 1 + number))]) == [
            Appended(head + 1 + number, head + 1 + number)
        ]
