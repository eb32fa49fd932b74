"""Contract of `EventLog.append`: who wins, which places events get, what is durable."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from tasker.errors import TaskerError
from tasker.log.port import Append, Appended, IdentityTaken, VersionConflict
from tests.contracts.kit import CREATED, broken, event, header, more, new_id, start, started


class TestAppend:
    """What an append gives back, and what it leaves."""

    def test_empty(self, store):
        """An empty log has head 0, no events and an id of 16 bytes; an empty group appends nothing."""
        assert store.log.append([]) == []
        assert (store.log.head(), store.log.tail(0, limit=10), len(store.log.log_id)) == (0, [], 16)
        assert store.log.stream(new_id()) == []
        assert store.log.header(new_id()) is None

    def test_places(self, store):
        """Events of a group get consecutive positions in the order of the group, and consecutive versions."""
        one, two = new_id(), new_id()
        results = store.log.append([start(one, event(), event()), start(two), more(one, 2)])
        assert results == [Appended(1, 2), Appended(3, 3), Appended(4, 4)]
        places = [(stored.stream_id, stored.version) for stored in store.log.tail(0, limit=10)]
        assert places == [(one, 1), (one, 2), (two, 1), (one, 3)]
        assert store.log.head() == 4

    def test_columns(self, store):
        """Every column comes back as it was given, with None kept apart from zero and emptiness."""
        full = event(CREATED, b"body", due=0, actor="", causation_id=new_id(), metadata=b"", step=0, attempt=0)
        bare = event(CREATED, step=None, attempt=None, actor=None)
        stream_id = started(store.log, full, bare)
        got = store.log.stream(stream_id)
        assert [stored[3:15] for stored in got] == [full[:12], bare[:12]]
        assert [stored.payload for stored in got] == [b"body", None]
        assert (got[1].salt, got[1].payload_hash, len(got[0].salt)) == (None, None, 16)
        assert {stored.header for stored in got} == {header()}

    def test_conflict(self, store):
        """An append under another version than the stream has is set aside, says the version, harms no neighbour."""
        stream_id = started(store.log)
        other = new_id()
        results = store.log.append([more(stream_id, 2), start(other), more(stream_id, 1), more(stream_id, 1)])
        assert results == [VersionConflict(1), Appended(2, 2), Appended(3, 3), VersionConflict(2)]
        assert store.log.append([more(new_id(), 3), start(other)]) == [VersionConflict(0), VersionConflict(1)]
        assert store.log.head() == 3

    def test_identity(self, store):
        """An identity belongs to the stream that brought it first, in the log as within one group."""
        first, second, key = new_id(), new_id(), bytes(range(32))
        results = store.log.append([start(first, identity=key), start(second, identity=key)])
        assert results == [Appended(1, 1), IdentityTaken(first)]
        third = new_id()
        assert store.log.append([start(third, identity=key), start(third)]) == [IdentityTaken(first), Appended(2, 2)]
        assert (store.log.with_identity(key), store.log.with_identity(bytes(32))) == (first, None)
        assert store.log.header(second) is None

    def test_definitions(self, store):
        """A definition is stored once by its digest, by the first winner that brings it, and never by a loser."""
        digest, lost = b"a" * 32, b"b" * 32
        for _ in range(3):
            appends = [start(new_id())._replace(definition=(digest, b"plan")) for _ in range(2)]
            store.log.append([*appends, more(new_id(), 7)._replace(definition=(lost, b"other"))])
        assert (store.log.definition(digest), store.log.definition(lost)) == (b"plan", None)
        assert list(store.archive.definitions()) == [(digest, b"plan")]

    def test_custom_types(self, place, store):
        """A type without a code gets one from 1000 on, the same for ever, whoever appends it."""
        stream_id = started(store.log, event((0, "order.paid")), event((0, "order.sent")), event((0, "order.paid")))
        assert [stored.code for stored in store.log.stream(stream_id)] == [1000, 1001, 1000]
        again = place.open() if place.adapter.shared else store
        again.log.append([more(stream_id, 3, event((0, "order.sent")), event((0, "order.lost")), event())])
        store.log.append([more(stream_id, 6, event((0, "order.lost")), event((0, "order.paid")))])
        got = [(stored.code, stored.type) for stored in store.log.stream(stream_id, after=3)]
        known = [(1001, "order.sent"), (1002, "order.lost"), (10, "step.started"), (1002, "order.lost")]
        assert got == [*known, (1000, "order.paid")]
        assert dict(store.archive.event_types())[1002] == "order.lost"

    def test_variants(self, store):
        """Variants of a system type have codes of their own and share a name."""
        stream_id = started(store.log, event((22, "step.failed")), event((23, "step.failed")))
        got = [(stored.code, stored.type) for stored in store.log.stream(stream_id)]
        assert got == [(22, "step.failed"), (23, "step.failed")]

    def test_foreign_code(self, store):
        """A code that the log knows under another name is refused, and nothing of the group is stored."""
        started(store.log, event((10, "step.started")))
        with pytest.raises(TaskerError, match=r"for code 10 in the log, found 'step.started'"):
            store.log.append([start(new_id()), start(new_id(), event((10, "step.ended")))])
        assert store.log.head() == 1
        assert store.log.append([start(new_id())]) == [Appended(2, 2)]

    @pytest.mark.parametrize(
        ("append", "text"),
        [
            (Append(bytes(16), 0, (), header()), "no events"),
            (Append(bytes(16), 0, (event(),)), "header exactly when"),
            (Append(bytes(16), 1, (event(),), header()), "header exactly when"),
        ],
    )
    def test_wrong_calls(self, store, append, text):
        """An append without events, or with a header in the wrong place, is refused before anything is written."""
        with pytest.raises(TaskerError, match=text):
            store.log.append([start(new_id()), append])
        assert store.log.head() == 0

    def test_unstorable(self, store):
        """A value that cannot be stored raises, rolls the group back, and the log works on."""
        with pytest.raises(Exception, match=r"too large|out of range|format"):
            store.log.append([start(new_id()), start(new_id(), event(time=2**70))])
        assert store.log.head() == 0
        assert store.log.append([start(new_id())]) == [Appended(1, 1)]

    def test_threads(self, store):
        """Threads that append at once get gapless positions, each its own."""
        with ThreadPoolExecutor(8) as pool:
            results = list(pool.map(lambda _: store.log.append([start(new_id())])[0].first, range(200)))
        assert sorted(results) == list(range(1, 201))
        assert broken(store.log) == []

    def test_reopened(self, shared):
        """What was appended is there after the store was closed and opened, and the log keeps its name."""
        store = shared.open()
        stream_id = started(store.log, event(payload=b"p"))
        before = (store.log.log_id, store.log.stream(stream_id))
        store.close()
        again = shared.open()
        assert (again.log.log_id, again.log.stream(stream_id)) == before
        assert again.log.append([more(stream_id, 1)]) == [Appended(2, 2)]
        assert broken(again.log) == []

    def test_processes(self, shared):
        """Four processes that write one log leave gapless positions, contiguous versions, an unbroken chain."""
        store = shared.open()
        contended = new_id()
        assert store.log.append([start(contended)]) == [Appended(1, 1)]
        command = [sys.executable, "-m", "tests.contracts.writer", shared.url, contended.hex(), "25"]
        running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
        won = [int(process.communicate(timeout=60)[0]) for process in running]
        assert [process.returncode for process in running] == [0] * 4
        assert store.log.head() == 1 + 4 * 26 + 2 * sum(won)
        assert store.log.append([more(contended, 1 + 2 * sum(won))]) == [Appended(store.log.head(), store.log.head())]
        assert broken(store.log) == []

    def test_other_writer(self, shared):
        """What another store appended is seen by the next append: the memory of a store never decides."""
        store = shared.open()
        other = shared.open()
        stream_id = started(store.log)
        assert other.log.append([more(stream_id, 1)]) == [Appended(2, 2)]
        assert store.log.append([more(stream_id, 1)]) == [VersionConflict(2)]
        assert store.log.append([more(stream_id, 2)]) == [Appended(3, 3)]
        assert broken(other.log) == []

    def test_closed(self, store):
        """A closed store says so, and closing twice is no mistake."""
        started(store.log)
        store.close()
        store.close()
        with pytest.raises(TaskerError, match="closed"):
            store.log.append([start(new_id())])
        with pytest.raises(TaskerError, match="closed"):
            store.log.head()

    def test_guard(self, store):
        """An append whose guard has moved loses; one whose guard has not, or does not exist yet, wins."""
        guard, stream_id = new_id(), new_id()
        assert store.log.append([start(stream_id)._replace(guard=(guard, 0))]) == [Appended(1, 1)]
        started_guard = start(guard)
        assert store.log.append([started_guard]) == [Appended(2, 2)]
        stale, fresh = more(stream_id, 1)._replace(guard=(guard, 0)), more(stream_id, 1)._replace(guard=(guard, 1))
        assert store.log.append([stale]) == [VersionConflict(1)]
        assert store.log.append([stale, fresh]) == [VersionConflict(1), Appended(3, 3)]
