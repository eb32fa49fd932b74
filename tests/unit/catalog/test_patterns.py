"""Globs over event names."""

from __future__ import annotations

import pytest

from tasker.catalog.patterns import Patterns
from tasker.errors import InvalidRequest


@pytest.mark.parametrize(
    ("globs", "name", "matches"),
    [
        ("task.*", "task.completed", True),
        ("task.*", "task", False),
        ("task.*", "subtask.completed", False),
        ("*", "order.item.added", True),
        ("order.*", "order.item.added", True),
        ("*.failed", "step.failed", True),
        (["task.failed", "order.?"], "order.a", True),
        (["task.failed", "order.?"], "order.ab", False),
        ("step.[cf]*", "step.failed", True),
        ("task.completed", "task-completed", False),
        ("task.completed", "TASK.COMPLETED", False),
        ({"a.b", "c.d"}, "c.d", True),
    ],
)
def test_globs(globs, name, matches):
    """A glob selects whole names, case counts, and a dot is a dot."""
    patterns = Patterns(globs)
    assert [patterns.matches(name), patterns.matches(name)] == [matches, matches]


@pytest.mark.parametrize("globs", [(), [], None, 7, [7], "", ["task.*", ""], "task failed", {"a": 1}])
def test_no_globs(globs):
    """What names no events is refused."""
    with pytest.raises(InvalidRequest, match="event patterns: expected"):
        Patterns(globs)


def test_shown():
    """The globs stay readable."""
    assert repr(Patterns(["task.*"])) == "Patterns(['task.*'])"
    assert Patterns({"c.d", "a.b"}).globs == ("a.b", "c.d")


def test_memory_is_bounded():
    """Names beyond those that are remembered are still answered."""
    patterns = Patterns("order.*")
    assert all(patterns.matches(f"order.n{number}") for number in range(10_050))
    assert len(patterns._known) == 10_000
