"""What must be true of data_transform; TASKER_EXAMPLE_URL names the log, else it is in memory."""

# ruff: noqa: S101 - a test asserts

import os
from datetime import datetime

import httpx2
import pytest
from app import house, transformed
from handlers import FetchRecords
from spelling import in_snake_case, snake_case

from tasker.testing import run_step

URL = os.environ.get("TASKER_EXAMPLE_URL", "memory://")


def test_records_are_kept_in_our_spelling():
    """The results are `{processed_at, data, record_count}`, and the next step reads them."""
    with house(URL) as app:
        task = transformed(app, "customers")
        results = task.step("process_results").results
        assert task.status == "complete"
        assert results.keys() == {"processed_at", "data", "record_count"}
        assert results["record_count"] == 3
        assert results["data"][0] == {
            "customer_id": 1,
            "full_name": "Ann",
            "home_address": {"post_code": "1010", "country": "AT"},
            "tags": ["vIP"],
        }
        assert task.step("count_by_country").results == {"AT": 1, "DE": 2}


def test_the_time_is_that_of_the_log():
    """`processed_at` is when the attempt started, to the microsecond: by the clock of the engine, and in its log."""
    with house(URL) as app:
        task = transformed(app, "nobody")
        (started,) = [event for event in app.events(task.id, types=["step.started"]) if event.step == "process_results"]
        results = task.step("process_results").results
        assert datetime.fromisoformat(results["processed_at"]) == started.time
        assert (results["data"], results["record_count"]) == ([], 0)


@pytest.mark.parametrize(
    ("export", "code", "said"),
    [
        ("twice", "AMBIGUOUS_KEYS", "'customerId' and 'customer_id'"),
        ("moved", "MISSING_VALUE", "'records'"),
        ("unknown", "HTTP_404", "no such export"),
    ],
)
def test_an_export_that_cannot_be_read_is_final(export, code, said):
    """What another attempt would not mend is said once, and nothing is counted."""
    with house(URL) as app:
        task = transformed(app, export)
        failed = task.step("process_results")
        assert (task.status, failed.attempts, failed.error.code) == ("error", 1, code)
        assert said in failed.error.message
        assert task.step("count_by_country").status == "pending"


def test_a_busy_system_is_asked_again_later():
    """One handler alone, against an answer that is made up."""
    transport = httpx2.MockTransport(lambda _: httpx2.Response(429, headers={"Retry-After": "7"}))
    config = {"url": "https://customers.example/exports"}
    outcome = run_step(FetchRecords, config=config, context={"export": "customers"}, transport=transport)
    assert (outcome.error.http_status, outcome.delay) == (429, 7)


@pytest.mark.parametrize(
    ("name", "spelled"),
    [
        ("id", "id"),
        ("homeAddress", "home_address"),
        ("HomeAddress", "home_address"),
        ("home_address", "home_address"),
        ("post-code", "post_code"),
        ("Post Code", "post_code"),
        ("HTTPStatus", "http_status"),
        ("line2Text", "line2_text"),
        ("", ""),
    ],
)
def test_the_spelling_of_a_name(name, spelled):
    """Every spelling of a name becomes the same one, and stays it."""
    assert snake_case(name) == spelled
    assert snake_case(spelled) == spelled


def test_values_are_left_alone():
    """Keys change at every depth, values nowhere."""
    assert in_snake_case([{"aB": [{"cD": "eF"}], "g": None}, "hI"]) == [{"a_b": [{"c_d": "eF"}], "g": None}, "hI"]
