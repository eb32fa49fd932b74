"""Every error of the tree has a problem document, and no text breaks one."""

from __future__ import annotations

import inspect

import pytest

from tasker import errors
from tasker.http.problems import KINDS, Refused, answer, document

TREE = [one for _, one in inspect.getmembers(errors, inspect.isclass) if issubclass(one, errors.TaskerError)]
EXAMPLES = {
    errors.InvalidRequest: (errors.InvalidRequest("no", problems={"$.a": "no"}), {"problems": {"$.a": "no"}}),
    errors.Conflict: (errors.Conflict("no", field="context"), {"field": "context"}),
    errors.LogUnavailable: (errors.LogUnavailable("no", outcome_unknown=True), {"outcome_unknown": True}),
    errors.UnsupportedEvent: (
        errors.UnsupportedEvent("no", position=3, type="task.new"),
        {"position": 3, "event_type": "task.new"},
    ),
}


def test_the_table_knows_every_error():
    """A new exception gets a status of its own, by decision and not by accident."""
    assert set(TREE) == set(KINDS)


@pytest.mark.parametrize("kind", EXAMPLES, ids=lambda one: one.__name__)
def test_the_fields_of_an_error_are_members_of_its_document(kind):
    """What a program needs stands beside the text, without hiding a member of the standard."""
    error, fields = EXAMPLES[kind]
    body, _ = document(error)
    assert fields.items() <= body.items()
    assert body["type"].startswith("urn:tasker:problem:")


def test_what_may_be_tried_again_says_when():
    """Full, unreachable and behind are 503 with Retry-After; nothing else carries it."""
    asked = {kind for kind, how in KINDS.items() if how.retry}
    assert asked == {errors.Overloaded, errors.LogUnavailable, errors.ProjectionBehind}
    assert document(errors.Overloaded("full"))[1] == {"Retry-After": "1"}


def test_a_subclass_is_answered_as_its_nearest_parent():
    """An exception that somebody derives keeps the status of its kind."""

    class Mine(errors.Conflict):
        pass

    assert document(Mine("no", field="x"))[0]["status"] == 409


def test_no_text_breaks_a_document():
    """Long texts are cut, and what is no Unicode is written as an escape."""
    body, headers = document(
        Refused("x" * 9_000, status=400, title="Malformed body", fields={"problems": {"$.\ud800": ["\udfff", 1]}})
    )
    assert len(body["detail"]) == 2_000
    assert b"\\\\ud800" in answer(body, headers).body
    assert body["type"] == "urn:tasker:problem:malformed-body"
