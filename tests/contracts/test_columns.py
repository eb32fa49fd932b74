"""Contract of reading columns in bulk: heads by whole streams, links, and chosen events."""

from __future__ import annotations

from random import Random

import pytest

from tasker.codec.chain import header_bytes
from tasker.fold.columns import Heads, Link, at_code, first, last, length, pack, points, position
from tasker.log.port import Shared
from tests.contracts.kit import CREATED, event, more, new_id, start, started
from tests.contracts.lives import control, populate
from tests.properties.fold_kit import head, link


def packed(heads: Heads) -> bytes:
    """Give heads as one buffer, whichever form the adapter chose."""
    return heads if isinstance(heads, bytes) else pack(heads)


def sound(one: Link) -> bool:
    """Say whether a link is of an event that a log can hold."""
    numbers = all(isinstance(one[place], int) for place in (2, 3, 12))
    return numbers and 0 <= one[12] < 2**16 and (one[11] is None or len(one[11]) in {32, 48})


def pages(log, limit, upto=2**62):
    """Read all pages."""
    after, found = b"", []
    while (page := log.heads(after, limit=limit, upto=upto)).events:
        assert page.events == length(page.heads)
        found.append(page)
        after = last(page.heads)
    return found


class TestHeads:
    """Heads of whole streams."""

    @pytest.mark.parametrize("limit", [2, 7, 50, 10_000])
    def test_pages_give_whole_streams(self, store, limit):
        """Pages of any size give every stream once, whole, by id and version, with its row."""
        seed, lives = Random(1), []
        populate(store.log, seed, lives, rounds=60)
        control(store.log)
        seen = []
        for page in pages(store.log, limit):
            streams = [stream_id for stream_id, _ in page.streams]
            wanted = [head(row) for stream_id in streams for row in store.log.stream(stream_id)]
            assert packed(page.heads) == pack(wanted)
            assert page.events <= limit or len(streams) == 1
            assert [header for _, header in page.streams] == [store.log.header(one) for one in streams]
            seen += streams
        assert seen == [stream_id for stream_id, _ in store.archive.streams()]

    def test_up_to_a_position(self, store):
        """Events behind a position are left out."""
        populate(store.log, Random(2), [], rounds=60)
        upto = store.log.head() // 2
        places = sorted(at for page in pages(store.log, 20, upto) for at, _ in points(page.heads))
        assert places == list(range(1, upto + 1))

    def test_one_stream(self, store):
        """The heads of one stream are read from its first event on, up to a limit."""
        stream_id = started(store.log, *(event() for _ in range(5)))
        started(store.log)
        rows = store.log.stream(stream_id)
        assert packed(store.log.heads_of(stream_id)) == pack([head(row) for row in rows])
        assert packed(store.log.heads_of(stream_id, limit=3)) == pack([head(row) for row in rows[:3]])
        assert length(store.log.heads_of(stream_id, limit=0)) == length(store.log.heads_of(new_id())) == 0

    def test_an_empty_log(self, store):
        """An empty log has neither heads nor links."""
        assert store.log.heads(b"", limit=10, upto=0) == ([], [], 0)
        assert store.log.links(0, limit=10).links == []

    def test_extremes(self, store):
        """NULL, zero and the largest values have a place of their own; codes that do not fit count as the largest."""
        columns = {"step": None, "attempt": None, "due": -(2**62)}
        stream_id = started(store.log, event(CREATED, **columns), event((3, "task.completed"), attempt=0, due=2**62))
        assert packed(store.log.heads_of(stream_id)) == pack([head(row) for row in store.log.stream(stream_id)])

    def test_both_forms_are_read_alike(self, store):
        """Positions, times, streams and codes are found in tuples and in a buffer alike."""
        populate(store.log, Random(3), [], rounds=60)
        rows = [row for stream_id, _ in store.archive.streams() for row in store.log.stream(stream_id)]
        heads = [head(row) for row in rows]
        for form in (heads, pack(heads)):
            assert points(form) == [(row.position, row.time) for row in rows]
            assert at_code(form, 20) == [row.position for row in rows if row.code == 20]
            assert position(form, 3) == rows[3].position
            assert first(form, rows[-1].stream_id) == rows.index(next(r for r in rows if r[1] == rows[-1].stream_id))


class TestChosen:
    """Events by their positions."""

    def test_events_and_data(self, store):
        """Whole events and their data are read in the order of the log, whatever order was asked for."""
        populate(store.log, Random(4), [], rounds=100)
        rows = store.log.tail(0, limit=100_000)
        wanted = Random(1).sample(rows, 50)
        ordered = sorted(wanted)
        assert store.log.events_at([row.position for row in wanted]) == ordered
        data = [(row.position, row.data) for row in ordered]
        assert store.log.data_at([row.position for row in wanted]) == data
        many = [row.position for row in rows] * 1 + list(range(10**6, 10**6 + 1200))
        assert store.log.events_at(many) == rows
        assert (store.log.events_at([]), store.log.data_at([])) == ([], [])


class TestLinks:
    """What the chain needs."""

    def test_links_hold_what_the_tail_holds(self, store):
        """Links have the columns of the tail, the rows of streams that begin, and the names of types."""
        populate(store.log, Random(5), [], rounds=60)
        control(store.log)
        after, seen = 0, {}
        while (page := store.log.links(after, limit=37)).links:
            rows = store.log.tail(after, limit=37)
            assert page.links == [link(row) for row in rows]
            for row in rows:
                assert page.types[row.code] == row.type.encode()
            seen |= {stream_id: header_bytes(*columns) for stream_id, *columns in page.headers}
            after = rows[-1].position
        assert seen == {stream_id: header_bytes(*header) for stream_id, header in store.archive.streams()}

    @pytest.mark.parametrize(
        "change",
        ["event_id = x'00'", "event_id = 'abcdefghijklmnop'", "hash = CAST(hash AS TEXT)", "version = 1.5",
         "type = 'x'", "type = -1", "schema_version = 70000", "schema_version = x'01'", "step = -1", "step = 0.5",
         "attempt = -1", "attempt = 1e300", "salt = x'00'", "salt = NULL, payload_hash = 'x'", "payload_hash = NULL",
         "stream_id = stream_id || x'00'", "version = NULL"],
    )  # fmt: skip
    def test_a_column_of_another_kind_is_marked(self, loose, change):
        """A row with a value that the log never writes there is marked, or its link shows it."""
        store = loose.open()
        stream_id = started(store.log, event(payload=b"{}"))
        store.log.append([more(stream_id, 1, event(payload=b"{}"))])
        loose.raw("DROP TRIGGER events_update")
        loose.raw("DROP TABLE IF EXISTS other")
        wide = loose.raw("SELECT sql FROM sqlite_master WHERE name = 'events'")[0][0].replace(" NOT NULL", "")
        loose.raw(wide.replace("TABLE events", "TABLE other"))
        loose.raw("INSERT INTO other SELECT * FROM events")
        loose.raw(f"UPDATE other SET {change} WHERE position = 2")
        for statement in ("DROP TRIGGER events_delete", "DROP TABLE events", "ALTER TABLE other RENAME TO events"):
            loose.raw(statement)
        assert [sound(one) for one in store.log.links(0, limit=5).links] == [True, False]

    def test_hashes_at_versions(self, store):
        """Hashes are read by stream and version, in any number; what is not there is left out."""
        if not isinstance(store, Shared):
            pytest.skip("several processes cannot read this log")
        populate(store.log, Random(6), [], rounds=60)
        store.log.append([start(new_id()) for _ in range(600)])
        rows = store.log.tail(0, limit=10_000)
        ends = [(row.stream_id, row.version) for row in rows]
        missing = [(rows[0].stream_id, 10_000), (new_id(), 1), (rows[0].stream_id, 0)]
        assert sorted(store.hashes(ends + missing)) == sorted(
            (*end, row.hash) for end, row in zip(ends, rows, strict=True)
        )
        assert store.hashes([]) == []

    def test_users_of_definitions(self, store):
        """Rows of streams are counted for each digest and namespace."""
        if not isinstance(store, Shared):
            pytest.skip("several processes cannot read this log")
        assert store.users() == []
        populate(store.log, Random(7), [], rounds=60)
        control(store.log)
        rows = [(header.definition_digest, header.namespace) for _, header in store.archive.streams()]
        assert sorted(store.users()) == sorted((*key, rows.count(key)) for key in set(rows))

    def test_streams_are_joined_in_any_number(self, store):
        """A page may begin any number of streams."""
        store.log.append([start(new_id()) for _ in range(1100)])
        assert len(store.log.links(0, limit=2000).headers) == 1100
