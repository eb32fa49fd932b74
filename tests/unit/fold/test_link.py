"""Linking: new events get the rows, salts and hashes that the chain asks for, whoever computes them."""

from __future__ import annotations

import pytest

from tasker.codec.chain import header_bytes, stream_root
from tasker.codec.rows import NewEvent
from tasker.fold.link import link, linker
from tests.golden.portable import Golden
from tests.golden.test_golden import NEWEST

LINKS = [link, linker()]


@pytest.fixture(scope="module")
def golden():
    """Give the newest recorded log."""
    return Golden(NEWEST)


@pytest.mark.parametrize("links", LINKS, ids=["python", "in use"])
def test_links_are_those_of_the_recorded_log(golden, links):
    """Linking the events of a recorded log again, one at a time or in pairs, gives its rows and hashes."""
    ends = {}
    for row in golden.rows:
        if row.payload is None and row.payload_hash is not None:
            ends[row.stream_id] = row.hash
            continue  # erased: its payload is not known any more
        root = stream_root(golden.log_id, row.stream_id, header_bytes(*row.header))
        previous = ends.get(row.stream_id, root)
        event = NewEvent(*row[3:16])
        salts = row.salt or b""
        [made], last = links(previous, row.position - 1, row.stream_id, row.version - 1, [event], salts)
        expected = (*row[:3], row.event_id, row.code, *row[6:16], row.salt, row.payload_hash, row.hash)
        assert (made, last) == (expected, row.hash)
        ends[row.stream_id] = row.hash


@pytest.mark.parametrize("links", LINKS, ids=["python", "in use"])
def test_later_events_chain_from_earlier_ones(golden, links):
    """Events that are linked together chain one from the other, each with its own salt."""
    events = [NewEvent(*row[3:16]) for row in golden.rows[:3]]
    salts = bytes(range(48))
    rows, last = links(bytes(32), 7, bytes(16), 2, events, salts)
    one, hash_one = links(bytes(32), 7, bytes(16), 2, events[:1], salts)
    taken = 16 * (events[0].payload is not None)
    rest, hash_rest = links(hash_one, 8, bytes(16), 3, events[1:], salts[taken:])
    assert (rows, last) == ([*one, *rest], hash_rest)
    assert [row[0] for row in rows] == [8, 9, 10]
    assert [row[2] for row in rows] == [3, 4, 5]


def test_nothing_to_link_changes_nothing(golden):
    """Without events the hash stays."""
    assert linker()(bytes(32), 7, bytes(16), 2, [], b"") == ([], bytes(32))
