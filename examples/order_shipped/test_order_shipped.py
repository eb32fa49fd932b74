"""What must be true of order_shipped; TASKER_EXAMPLE_URL names the log, else it is in memory."""

# ruff: noqa: S101 - a test asserts

import os

import pytest
from app import house, register, retried, ship
from order_shipped import CalculateTax
from stub import BUSY, CLOSED

from tasker import Tasker
from tasker.errors import InvalidRequest
from tasker.testing import run_step

URL = os.environ.get("TASKER_EXAMPLE_URL", "memory://")


def test_an_order_is_reported_noted_and_sent_on():
    """Every step completes, and each of the three services has what it is due."""
    with house(URL) as (app, services):
        task = ship(app, 1)
        assert task.status == "complete"
        assert [report["tax"] for report in services.reports.values()] == [190]
        assert services.ledger == {1: {"receipt": "tax-0001"}}
        assert services.shipped == {1: {"order_id": 1, "receipt": "tax-0001"}}
        assert task.step("sync_warehouse").results == {"parcel": "parcel-1"}


def test_a_busy_tax_office_gets_one_report():
    """503 after the report was filed: it is sent again with the same key, and is there once."""
    with house(URL) as (app, services):
        task = ship(app, BUSY)
        assert task.status == "complete"
        assert [entry.outcome for entry in task.step("report_tax").history] == ["failed", "completed"]
        assert list(services.reports) == [task.step("report_tax").idempotency_key]


def test_an_operator_retries_what_failed_and_nothing_else():
    """A closed warehouse uses up all attempts; after a retry that step alone runs again, and there is one report."""
    with house(URL) as (app, services):
        task = ship(app, CLOSED)
        failed = task.step("sync_warehouse")
        assert (task.status, failed.status, failed.attempts) == ("error", "error", 3)
        assert failed.error.http_status == 503
        task = retried(app, task)
        assert task.status == "complete"
        assert {step.name: step.attempts for step in task.steps.values()} == {
            "calculate_tax": 1,
            "report_tax": 1,
            "store_tax_response": 1,
            "sync_warehouse": 4,
        }
        assert len(services.reports) == 1
        (event,) = app.events(task.id, types=["task.retried"])
        assert (event.actor, event.body["reason"]) == ("ann", "the warehouse is open again")


def test_a_country_without_a_rate_is_final():
    """What no repetition mends is not repeated, and nothing is reported."""
    with house(URL) as (app, services):
        task = ship(app, 1, country="XX")
        assert (task.status, task.step("calculate_tax").attempts) == ("error", 1)
        assert task.step("calculate_tax").error.code == "UNKNOWN_COUNTRY"
        assert not services.reports


@pytest.mark.parametrize(("net", "tax"), [(0, 0), (1, 0), (2, 0), (3, 1), (1000, 190), (10**12, 19 * 10**10)])
def test_tax_is_rounded_to_the_nearest_cent(net, tax):
    """One handler alone, without a log."""
    assert run_step(CalculateTax, context={"country": "DE", "net": net}).results == {"rate": 19, "tax": tax}


@pytest.mark.parametrize("wrong", [{"country": "de"}, {"net": 9.5}, {"order_id": None}])
def test_the_context_is_checked(wrong):
    """A request that breaks the schema is refused."""
    context = {"order_id": 1, "country": "DE", "net": 1000} | wrong
    with Tasker("memory://", settings={}) as app:
        register(app)
        with pytest.raises(InvalidRequest, match=next(iter(wrong))):
            app.submit(name="order_shipped", context=context)
