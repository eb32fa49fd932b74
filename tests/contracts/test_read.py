"""Contract of reading: streams, the tail, headers."""

from __future__ import annotations

import pytest

from tasker.errors import ChainBroken
from tests.contracts.kit import event, more, new_id, start, started


class TestRead:
    """What readers of the log see."""

    def test_stream(self, store):
        """A stream is read after a version, in order, up to a limit."""
        stream_id = started(store.log, *(event() for _ in range(5)))
        started(store.log)
        versions = [stored.version for stored in store.log.stream(stream_id)]
        assert versions == [1, 2, 3, 4, 5]
        assert [stored.version for stored in store.log.stream(stream_id, after=2, limit=2)] == [3, 4]
        assert (store.log.stream(stream_id, after=5), store.log.stream(stream_id, limit=0)) == ([], [])

    def test_tail(self, store):
        """The tail is read after a position, in order, up to a limit; a limit below one gives nothing."""
        for _ in range(3):
            started(store.log, event(), event())
        assert [stored.position for stored in store.log.tail(2, limit=3)] == [3, 4, 5]
        assert [stored.position for stored in store.log.tail(5, limit=30)] == [6]
        assert (store.log.tail(6, limit=9), store.log.tail(0, limit=0), store.log.tail(0, limit=-1)) == ([], [], [])

    def test_tail_of_streams(self, store):
        """The tail of some streams has their events alone, in the order of the log, also for very many streams."""
        one, two, three = (started(store.log, event(), event()) for _ in range(3))
        store.log.append([more(one, 2)])
        some = [one, three, one, *(new_id() for _ in range(1200))]
        assert [stored.position for stored in store.log.tail(1, limit=3, streams=some)] == [2, 5, 6]
        assert [stored.position for stored in store.log.tail(0, limit=9, streams=[*some, two])] == [1, 2, 3, 4, 5, 6, 7]
        assert store.log.tail(0, limit=9, streams=[]) == []

    def test_headers(self, store):
        """Every event of a stream has the same header, and it is one object."""
        stream_id = started(store.log, event(), event())
        first, second = store.log.stream(stream_id)
        assert first.header is second.header
        assert store.log.header(stream_id) == first.header

    def test_fresh_reader(self, shared):
        """A store that wrote nothing reads types and headers from the database."""
        store = shared.open()
        stream_id = started(store.log, event((0, "order.paid")))
        other = shared.open()
        assert other.log.header(stream_id) == store.log.header(stream_id)
        assert shared.open().log.tail(0, limit=5) == store.log.tail(0, limit=5)

    def test_archive(self, store):
        """An auditor reads every stream in the order of ids, over any number of pages."""
        ids = [new_id() for _ in range(1001)]
        store.log.append([start(stream_id) for stream_id in reversed(ids)])
        rows = list(store.archive.streams())
        assert [stream_id for stream_id, _ in rows] == sorted(ids)
        assert {row for _, row in rows} == {store.log.header(ids[0])}

    @pytest.mark.parametrize("table", ["streams", "event_types"])
    def test_removed_rows(self, shared, table):
        """An event whose stream row or type was removed is reported as a broken chain, with its position."""
        store = shared.open()
        started(store.log)
        shared.raw(f"DROP TRIGGER {table}_delete")
        shared.raw(f"DELETE FROM {table}")
        with pytest.raises(ChainBroken, match=table) as caught:
            shared.open().log.tail(0, limit=5)
        assert caught.value.position == 1
