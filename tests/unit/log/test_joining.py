"""What is joined to the rows of events: rows of streams are asked for once and page by page, never one by one."""

from __future__ import annotations

import pytest

from tasker.codec.rows import StreamHeader
from tasker.errors import ChainBroken
from tasker.log import joining
from tasker.log.joining import Joining


class Source:
    """Streams with rows, and what was asked for."""

    def __init__(self, *streams):
        """Take the ids of the streams that have a row."""
        self.rows = {one: StreamHeader("default", one.decode(), "1.0.0", bytes(32), None, None) for one in streams}
        self.asked = []

    def headers(self, streams):
        """Give what there is of some streams."""
        self.asked.append(set(streams))
        return [(one, self.rows[one]) for one in streams if one in self.rows]

    def names(self):
        """Give the one type."""
        return [(1, "task.created")]


def rows(*streams):
    """Rows of events, one for each of some streams."""
    return [(place, one, 1, bytes(16), 1, 1, 0, *([None] * 10), bytes(32)) for place, one in enumerate(streams, 1)]


def joined(memory, source, *streams):
    """The names of the tasks of some events."""
    return [one.header.task_name for one in memory.events(rows(*streams), source)]


def test_a_page_is_one_question():
    """Streams of a page that are not remembered are asked for together, and never again."""
    memory, source = Joining(), Source(b"a", b"b", b"c")
    assert joined(memory, source, b"a", b"b", b"a") == ["a", "b", "a"]
    assert joined(memory, source, b"b", b"c") == ["b", "c"]
    assert joined(memory, source, b"c", b"a") == ["c", "a"]
    assert source.asked == [{b"a", b"b"}, {b"c"}]
    assert memory.header(b"a", source) == source.rows[b"a"]
    assert len(source.asked) == 2


def test_memory_is_bounded(monkeypatch):
    """When it is full it begins anew, and the page at hand is complete all the same."""
    monkeypatch.setattr(joining, "_HEADERS_REMEMBERED", 2)
    memory, source = Joining(), Source(b"a", b"b", b"c")
    assert joined(memory, source, b"a", b"b") == ["a", "b"]
    assert joined(memory, source, b"b", b"c") == ["b", "c"]
    assert set(memory.headers) == {b"b", b"c"}


def test_a_stream_without_a_row_is_said():
    """An event whose stream has lost its row names its position; a stream that nobody has is None."""
    memory, source = Joining(), Source(b"a")
    with pytest.raises(ChainBroken, match="position 2"):
        memory.events(rows(b"a", b"x"), source)
    assert memory.header(b"x", source) is None
