"""What must be true of order_process; TASKER_EXAMPLE_URL names the log, else it is in memory."""

# ruff: noqa: S101 - a test asserts

import os

import pytest
from app import ended, register

from tasker import Tasker
from tasker.cli.demo.gateway import BUSY, DECLINED, SLOW
from tasker.errors import InvalidRequest


@pytest.fixture
def url():
    return os.environ.get("TASKER_EXAMPLE_URL", "memory://")


def test_an_order_completes(url):
    """Every step completes, the card is charged once, and the custom event is recorded."""
    with ended(7, url) as (task, ledger):
        assert task.status == "complete"
        assert {step.status for step in task.steps.values()} == {"complete"}
        assert task.step("process_payment").results["charge_id"] == "ch_0001"
        assert task.step("fetch_order_status").results["body"] == {"order_id": 7, "status": "open"}
        assert list(ledger.by_order().values()) == [1]


def test_a_declined_card_is_final(url):
    """A declined card ends the task in error after one attempt, and what stands behind it never runs."""
    with ended(DECLINED, url) as (task, ledger):
        payment = task.step("process_payment")
        assert (task.status, payment.status, payment.attempts) == ("error", "error", 1)
        assert (payment.error.message, payment.error.code) == ("card declined", "DECLINED")
        assert task.step("send_confirmation").status == "pending"
        assert not ledger.charges


def test_a_busy_gateway_is_asked_again_when_it_says(url):
    """503 with Retry-After delays the next attempt as long as the gateway asks."""
    with ended(min(BUSY), url) as (task, ledger):
        first, second = task.step("process_payment").history
        assert task.status == "complete"
        assert (first.error.http_status, second.outcome) == (503, "completed")
        assert (second.started_at - first.ended_at).total_seconds() >= 1
        assert list(ledger.by_order().values()) == [1]


def test_an_answer_that_was_lost_charges_nothing_twice(url):
    """A timeout after the charge is tried again with the same key, and the gateway answers with the first charge."""
    with ended(SLOW, url) as (task, ledger):
        assert task.status == "complete"
        assert task.step("process_payment").attempts == 2
        assert (list(ledger.by_order().values()), ledger.repeated) == ([1], 1)


def test_a_failing_mail_charges_nothing_twice(url):
    """The mail alone is repeated."""
    with ended(10, url) as (task, ledger):
        assert [entry.outcome for entry in task.step("send_confirmation").history] == ["failed", "completed"]
        assert task.step("process_payment").attempts == 1
        assert list(ledger.by_order().values()) == [1]


def test_the_order_id_must_be_a_whole_number():
    """A request that breaks the schema is refused, and nothing is recorded."""
    with Tasker("memory://", settings={}) as app:
        register(app)
        with pytest.raises(InvalidRequest, match="order_id"):
            app.submit(name="order_process", context={"order_id": "seven"})
        assert list(app.events()) == []
