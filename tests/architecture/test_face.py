"""The public face is frozen: what others build upon is kept as text, and every change of it is made on purpose."""

from __future__ import annotations

import difflib

import pytest

from tests.architecture.face import SIDES, kept, written
from tests.architecture.face.documents import shape

ADVICE = """
The public face is not what tests/architecture/face/{side}.txt says. If nobody meant to change it, undo the change.
Else run `make face`, say so in CHANGELOG.md, and where code, files or programs of others would break by it (a name is
gone, a default is another, something is required now), keep the old way as well or write a docs/decisions/NNNN-*.md.
"""


@pytest.mark.parametrize("side", SIDES)
def test_the_face_is_what_was_agreed(side):
    """Names, signatures, defaults, commands, operations, events, keys and metrics are those that are written down."""
    before, now = kept(side).read_text("utf-8").splitlines(), written(side).splitlines()
    changed = list(difflib.unified_diff(before, now, "kept", "code", lineterm="", n=0))
    assert not changed, ADVICE.format(side=side) + "\n".join(changed)


def test_nothing_else_is_kept():
    """Each file of the face belongs to one of its sides, and is not empty."""
    found = {path.stem: path.stat().st_size for path in kept("python").parent.glob("*.txt")}
    assert found.keys() == SIDES.keys()
    assert all(found.values())


@pytest.mark.parametrize("side", SIDES)
def test_the_text_knows_no_place_and_no_moment(side):
    """Nothing in the text depends on where and when it is written: no address in memory, twice the same."""
    assert " at 0x" not in written(side)
    assert written(side) == written(side)


def test_a_shape_says_what_a_value_may_be():
    """A schema becomes one line: its type, what it is limited to, and the words it may be."""
    assert shape({"type": ["string", "null"], "minLength": 1, "description": "x"}) == 'string|null {"minLength": 1}'
    assert shape({"anyOf": [{"$ref": "#/$defs/Key"}, {"enum": ["a", 1]}]}) == 'Key | "a" | 1'
    assert shape({"type": "array", "items": {"const": 1}}) == "array[1]"
    assert shape({}) == "any"
