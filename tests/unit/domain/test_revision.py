"""What changed from one definition to another."""

from __future__ import annotations

import pytest

from tasker.domain.revision import changes
from tests.unit.domain.kit import plan, step

OLD = (step("a"), step("b", "a", default_retry_limit=3, handler_config={"url": "x", "headers": {"key": "secret"}}))
SECRET = {"url": "x", "headers": {"key": "hidden"}, "more": 1}
TABLE = [
    ("nothing", plan(*OLD), []),
    ("a version", plan(*OLD, version="2.0.0"), [("settings", None, "version is 2.0.0; it was 0.1.0")]),
    ("a time limit", plan(*OLD, timeout_seconds=9), [("settings", None, "timeout_seconds is 9; it was none")]),
    ("one at a time", plan(*OLD, concurrent=False), [("settings", None, "concurrent is false; it was true")]),
    ("a description", plan(*OLD, description="a long text"), [("settings", None, "description changed")]),
    ("a schema", plan(*OLD, schema={"type": "object"}), [("settings", None, "schema changed")]),
    ("hooks", plan(*OLD, task_handler_class="m:H"), [("settings", None, "task_handler_class is m:H; it was none")]),
    ("a step added", plan(*OLD, step("n", "a", "b")), [("added", "n", "added, behind a, b")]),
    ("a step removed", plan(OLD[0]), [("removed", "b", "removed, it was behind a")]),
    (
        "a step rewired",
        plan(OLD[0], step("b", default_retry_limit=5, handler_config=OLD[1].handler_config)),
        [
            ("rewired", "b", "stands at the beginning; it stood behind a"),
            ("settings", "b", "default_retry_limit is 5; it was 3"),
        ],
    ),
    (
        "a handler, and keys of its config",
        plan(OLD[0], step("b", "a", handler_class="other", handler_config=SECRET)),
        [
            ("settings", "b", "handler_class is other; it was h"),
            ("settings", "b", "handler_config.headers.key, handler_config.more changed"),
        ],
    ),
    (
        "an event",
        plan(step("a", custom_events=[{"name": "a.b"}]), OLD[1]),
        [("settings", "a", "custom_events changed")],
    ),
    ("the order", plan(*OLD[::-1]), [("order", None, "the steps are declared in another order")]),
]


@pytest.mark.parametrize(("new", "then"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_each_change_is_told(new, then):
    """Each change is told once, with the step and both values; of a config only the keys, for a value may be secret."""
    assert [(str(one.kind), one.step, one.text) for one in changes(plan(*OLD), new)] == then
