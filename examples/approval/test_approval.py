"""What must be true of approval; TASKER_EXAMPLE_URL names the log, else it is in memory."""

# ruff: noqa: S101 - a test asserts

import os

import pytest
from app import ended, expense, office, register

from tasker import Tasker
from tasker.errors import InvalidRequest

URL = os.environ.get("TASKER_EXAMPLE_URL", "memory://")


def waits(app, task):
    """Give for whom a task waited, in order."""
    return [event.body["reason"] for event in app.events(task.id, types=["step.waiting"])]


def test_a_small_expense_needs_nobody():
    """Below the limit nobody is asked."""
    with office(URL) as (app, _):
        task = ended(app, expense(app, 999))
        assert (task.status, task.step("pay_out").results) == ("complete", {"paid": 999, "decided_by": "rule"})
        assert waits(app, task) == []


@pytest.mark.parametrize(("approved", "paid"), [(True, 1200), (False, 0)])
def test_somebody_decides_over_http(approved, paid):
    """The task goes on when the step is completed over HTTP; a refusal completes it too, and nothing is paid."""
    with office(URL) as (app, desk):
        task = expense(app, 1200)
        assert desk.asked(task.id) == "the manager decides about 1200 EUR"
        assert desk.decide(task.id, approved=approved) == 200
        task = ended(app, task)
        assert (task.status, task.step("pay_out").results) == ("complete", {"paid": paid, "decided_by": "ann"})
        (decision,) = [event for event in app.events(task.id, types=["step.completed"]) if event.step == "approve"]
        assert decision.body["reason"] == "checked against the budget"


def test_a_decision_counts_once():
    """The same decision again is a repetition; another one is refused, and changes nothing."""
    with office(URL) as (app, desk):
        task = expense(app, 1200)
        desk.asked(task.id)
        assert [desk.decide(task.id, approved=approved) for approved in (True, True, False)] == [200, 200, 409]
        assert ended(app, task).step("pay_out").results["paid"] == 1200


def test_who_does_not_decide_in_time_is_passed_over():
    """After the manager the director is asked; after both the task ends in error, and it is too late to decide."""
    with office(URL) as (app, desk):
        task = ended(app, expense(app, 1200, decide_within_seconds=0.2))
        assert waits(app, task) == ["the manager decides about 1200 EUR", "the director decides about 1200 EUR"]
        assert (task.status, task.step("approve").attempts) == ("error", 2)
        assert task.step("approve").error.kind == "timeout"
        assert task.step("pay_out").status == "pending"
        assert desk.decide(task.id, approved=True) == 409


def test_an_operator_may_decide_when_it_is_too_late():
    """A step that has failed is resolved over HTTP with the results that it should have had."""
    with office(URL) as (app, desk):
        task = ended(app, expense(app, 1200, decide_within_seconds=0.2))
        assert desk.decide(task.id, approved=True, by="eve", command="resolve") == 200
        task = ended(app, task)
        assert (task.status, task.step("approve").status) == ("complete", "resolved_manually")
        assert task.step("pay_out").results == {"paid": 1200, "decided_by": "eve"}


@pytest.mark.parametrize("wrong", [{"amount": 0}, {"employee": None}, {"decide_within_seconds": 0}])
def test_the_context_is_checked(wrong):
    """A request that breaks the schema is refused."""
    with Tasker("memory://", settings={}) as app:
        register(app)
        with pytest.raises(InvalidRequest, match=next(iter(wrong))):
            app.submit(name="approval", context={"employee": "eve", "amount": 1200} | wrong)
