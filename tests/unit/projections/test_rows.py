"""Rows as functions of a task, and the digests by which annotations are found."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasker.codec.decode import text_id
from tasker.codec.definition import decode
from tasker.codec.jsonbytes import dumps
from tasker.fold import fold_stream
from tasker.projections import rows
from tests.golden.portable import Golden
from tests.golden.test_golden import NEWEST

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


def test_columns_and_values_fit():
    """Every row has as many values as it has columns, for every task of the golden log."""
    golden = Golden(NEWEST)
    for stream_id, events in golden.streams().items():
        header = events[0].header
        task = fold_stream(decode(golden.definitions[header.definition_digest]), text_id(stream_id), events)
        assert len(rows.fixed(task, header, stream_id, 1)) == len(rows.FIXED)
        assert len(rows.changing(task, 9)) == len(rows.CHANGING)
        assert all(len(rows.step(task, 1, number)) == len(rows.STEP) for number in range(len(task.steps)))


@given(JSON, JSON)
def test_equal_json_has_equal_digests(one, two):
    """Two values have one digest exactly when they are the same JSON value."""
    same = dumps(one) == dumps(two)
    assert (rows.match("t", "k", one) == rows.match("t", "k", two)) is same


@pytest.mark.parametrize(("one", "two"), [(1, 1.0), ([1, {"a": 2.0}], [1.0, {"a": 2}]), (-0.0, 0)])
def test_numbers_have_one_spelling(one, two):
    """A whole number is the same with and without a point, at every depth."""
    assert rows.match("t", "k", one) == rows.match("t", "k", two)


@pytest.mark.parametrize(("one", "two"), [(1, True), (0, False), ("1", 1), (None, "null"), ([], {}), (1, 1.5)])
def test_kinds_differ(one, two):
    """Values of different kinds are different, whatever Python says."""
    assert rows.match("t", "k", one) != rows.match("t", "k", two)


def test_an_annotation_is_found_by_each_key():
    """There is one digest for each key of an object, none for other values or an erased one."""
    assert rows.matches("t", b'{"a":1,"b":[2]}') == [rows.match("t", "a", 1), rows.match("t", "b", [2])]
    assert rows.matches("t", b"[1]") == rows.matches("t", None) == []


@given(st.lists(st.text(st.characters(codec="utf-8"))))
def test_tags_survive(tags):
    """Tags are read as they were written."""
    assert rows.tags_of(rows.tags_text(tuple(tags))) == tuple(tags)
