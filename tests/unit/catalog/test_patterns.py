"""Globs over event names."""

from __future__ import annotations

import pytest

from tasker.catalog.catalog import check_selecting
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


@pytest.mark.parametrize(
    "globs", ["*", "task.*", "*.failed", "task.failed", "order.*", "order.paid", "a_1.b.c", "[ot]*", "Order.*", "x?y"]
)
def test_what_may_select_an_event_passes(globs):
    """Names of the system, possible names of one's own and globs over any of them are taken."""
    assert refusal(globs) == ""


@pytest.mark.parametrize(
    ("glob", "found"),
    [
        ("task.faild", "found 'task.faild': names in 'task' are the system's own. Did you mean 'task.failed'"),
        ("step.fialed*", "names in 'step' are the system's own"),
        ("workflow.*", "names in 'workflow' are the system's own"),
        ("failed", "expected a name such as 'order.fulfilled'"),
        ("Order.Paid", "in lower case"),
        ("order.paid-now", "found 'order.paid-now'"),
        (f"order.{'x' * 128}", "at most 128 characters"),
    ],
)
def test_what_selects_nothing_is_refused(glob, found):
    """A name that no event can have is refused, for nobody would miss the events; the first wrong one is told."""
    assert found in refusal(["order.paid", glob])


def refusal(globs):
    """Say why globs are refused; nothing if they are taken."""
    try:
        check_selecting(Patterns(globs))
    except InvalidRequest as error:
        return str(error)
    return ""
