"""Submitting: identities, refusals, correlation and many requests at once, through the face."""

from __future__ import annotations

import threading
from datetime import datetime

import pytest

from tasker.errors import Conflict, InvalidDefinition, InvalidRequest, PayloadTooLarge, UnknownDefinition
from tasker.handlers.views import Task
from tasker.testing import app as memory_app
from tests.integration.runner_kit import plan, step, types


@pytest.fixture
def app():
    """Give an application with a definition in two versions, and one of each identity strategy."""
    plans = [plan(step("a", skippable=True), version=version) for version in ("1.0.0", "1.1.0")]
    strict = plan(step("a"), name="strict", identity_strategy="strict")
    own = plan(step("a"), name="own", identity_strategy=lambda request: request.context["order"])
    with memory_app(*plans, strict, own) as app:
        yield app


def test_fifty_concurrent_submits_with_one_key_create_one_task(app):
    """The same key asks for the same task, whoever asks first."""
    found = []
    start = threading.Barrier(50)

    def ask():
        start.wait(10)
        found.append(app.submit(name="plan", idempotency_key="k"))

    threads = [threading.Thread(target=ask) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(found) == 50
    assert len({task.id for task in found}) == 1
    assert sum(task.created for task in found) == 1
    assert types(app) == ["task.created"]


@pytest.mark.parametrize(
    ("field", "keys"),
    [("version", {"version": "1.0.0"}), ("context", {"context": {"x": 2}}), ("bypass_steps", {"bypass_steps": ["a"]})],
)
def test_the_same_key_with_another_request_is_a_conflict(app, field, keys):
    """Another version, context or bypass_steps under a known identity is a Conflict that names the field."""
    app.submit(name="plan", context={"x": 1}, idempotency_key="k")
    with pytest.raises(Conflict) as caught:
        app.submit(name="plan", idempotency_key="k", **{"context": {"x": 1}, **keys})
    assert caught.value.field == field
    assert len(types(app)) == 1


def test_what_does_not_count_for_a_conflict(app):
    """Reason, tags and priority may differ; the first request stands."""
    first = app.submit(name="plan", idempotency_key="k", reason="one")
    again = app.submit(name="plan", idempotency_key="k", reason="two", tags=["x"], priority=9)
    assert (again.id, again.created, again.reason) == (first.id, False, "one")


def test_a_key_belongs_to_one_definition(app):
    """The same key of another definition asks for another task."""
    assert app.submit(name="plan", idempotency_key="k").id != app.submit(name="strict", idempotency_key="k").id


def test_strict_identity(app):
    """`strict` finds the task of an equal request; any difference in what counts makes another."""
    first = app.submit(name="strict", context={"a": 1, "b": 2})
    assert app.submit(name="strict", context={"b": 2, "a": 1}).id == first.id
    assert app.submit(name="strict", context={"a": 1, "b": 2}, tags=["t"]).id == first.id
    assert app.submit(name="strict", context={"a": 1, "b": 2}, reason="other").id != first.id


def test_an_own_identity(app):
    """A callable gives the identity; the key of a request wins over it."""
    first = app.submit(name="own", context={"order": "7"})
    assert app.submit(name="own", context={"order": "7"}).id == first.id
    assert app.submit(name="own", context={"order": "7"}, idempotency_key="k").id != first.id


@pytest.mark.parametrize("context", [{}, {"order": 7}])
def test_an_own_identity_that_fails_is_a_wrong_definition(app, context):
    """A callable that raises or gives no text is told as InvalidDefinition; nothing is appended."""
    with pytest.raises(InvalidDefinition, match="identity_strategy"):
        app.submit(name="own", context=context)
    errors = app.submit_many([{"name": "own", "context": context}, {"name": "plan"}])
    assert [type(one) for one in errors] == [InvalidDefinition, Task]


def test_many_requests_give_a_result_or_an_error_each(app):
    """submit_many keeps the order, and one wrong request harms no other."""
    requests = [
        {"name": "plan"},
        {"name": "nobody"},
        {"name": "plan", "context": []},
        {"name": "plan", "surprise": 1},
        {"name": "plan", "context": {"x": "y" * 300_000}},
        {"name": "plan", "bypass_steps": ["b"]},
        {1: 2},
        None,
        7,
        {"name": "plan", "idempotency_key": "k", "context": {"x": 1}},
        {"name": "plan", "idempotency_key": "k", "context": {"x": 2}},
        {"name": "plan", "idempotency_key": "k", "context": {"x": 1}},
    ]
    found = app.submit_many(requests)
    assert [type(one) for one in found[:9]] == [
        Task, UnknownDefinition, InvalidRequest, InvalidRequest, PayloadTooLarge, InvalidRequest, InvalidRequest,
        InvalidRequest, InvalidRequest,
    ]  # fmt: skip
    assert [type(one) for one in found[9:]] == [Task, Conflict, Task]
    assert (found[9].id, found[9].created, found[11].created) == (found[11].id, True, False)
    assert len(types(app)) == 2


def test_many_more_requests_than_one_turn_takes(app):
    """A thousand requests, from a generator, are accepted in order."""
    found = app.submit_many({"name": "plan", "context": {"n": n}} for n in range(1100))
    assert [task.context["n"] for task in found] == list(range(1100))


def test_no_requests(app):
    """No requests give no results."""
    assert app.submit_many([]) == []


@pytest.mark.parametrize(
    ("given", "kept"), [("abc-1", True), ("", False), ("x" * 101, False), ("a b", False), (7, False)]
)
def test_an_invalid_correlation_id_is_replaced(app, given, kept):
    """A correlation id of letters, digits, - and _ is kept; any other is replaced by the task id."""
    task = app.submit(name="plan", correlation_id=given)
    assert task.correlation_id == (given if kept else task.id)
    assert next(app.events(task.id)).correlation_id == task.correlation_id


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({}, "$.name"),
        ({"name": ""}, "$.name"),
        ({"name": 7}, "$.name"),
        ({"name": "plan", "namespace": "a b"}, "$.namespace"),
        ({"name": "plan", "version": "one"}, "$.version"),
        ({"name": "plan", "version": 1}, "$.version"),
        ({"name": "plan", "context": None}, "$.context"),
        ({"name": "plan", "context": {"a": [float("nan")]}}, "a"),
        ({"name": "plan", "context": {"a": {1, object()}}}, "a"),
        ({"name": "plan", "initiator": "x" * 129}, "$.initiator"),
        ({"name": "plan", "reason": None}, "$.reason"),
        ({"name": "plan", "reason": "\ud800"}, "$.reason"),
        ({"name": "plan", "source_system": "a\0"}, "$.source_system"),
        ({"name": "plan", "tags": "vip"}, "$.tags"),
        ({"name": "plan", "tags": [7]}, "$.tags[0]"),
        ({"name": "plan", "bypass_steps": ["nobody"]}, "nobody"),
        ({"name": "plan", "priority": 101}, "$.priority"),
        ({"name": "plan", "priority": True}, "$.priority"),
        ({"name": "plan", "priority": 1.5}, "$.priority"),
        ({"name": "plan", "not_before": "soon"}, "$.not_before"),
        ({"name": "plan", "not_before": datetime.fromisoformat("2026-01-01")}, "$.not_before"),
        ({"name": "plan", "requested_at": 5}, "$.requested_at"),
        ({"name": "plan", "idempotency_key": ""}, "$.idempotency_key"),
        ({"name": "plan", "idempotency_key": "a\ud800"}, "$.idempotency_key"),
        ({"name": "plan", "parent": "p"}, "$.parent"),
        ({"name": "plan", "parent": {"task_id": "t"}}, "$.parent"),
        ({"name": "plan", "parent": {"task_id": "t", "step": 5}}, "$.parent.step"),
        ({"name": "plan", "nmae": 1}, "nmae"),
    ],
)
def test_a_wrong_request_names_its_path_and_appends_nothing(app, fields, path):
    """Every wrong field is an InvalidRequest that names the JSON path."""
    with pytest.raises(InvalidRequest) as caught:
        app.submit(**fields)
    assert path in str(caught.value)
    assert types(app) == []


def test_a_request_is_given_in_one_way(app):
    """Fields beside a request, or a positional field, are refused."""
    for call in (lambda: app.submit({"name": "plan"}, name="plan"), lambda: app.submit("plan"), lambda: app.submit(5)):
        with pytest.raises(InvalidRequest):
            call()


def test_parent_and_requested_at_are_recorded(app):
    """The task that asks and the time of asking stand in task.created."""
    moment = datetime.fromisoformat("2026-01-01T10:00:00+01:00")
    task = app.submit(name="plan", parent={"task_id": "t", "step": "s"}, requested_at=moment)
    body = next(app.events(task.id)).body
    assert body["parent"] == {"task_id": "t", "step": "s"}
    assert body["requested_at"] == "2026-01-01T09:00:00.000000Z"
    assert tuple(app.task(task.id).parent) == ("t", "s")
