"""What must be true of cart_checkout; TASKER_EXAMPLE_URL names the log, else it is in memory."""

# ruff: noqa: S101 - a test asserts

import os

import pytest
from app import check_out, register, shop
from handlers import ValidateProducts
from stub import BUSY, LOST, SOLD_OUT

from tasker import Tasker
from tasker.errors import InvalidRequest
from tasker.testing import run_step

URL = os.environ.get("TASKER_EXAMPLE_URL", "memory://")


def test_a_cart_becomes_an_order():
    """Every step completes, the shop has one order, and the event says which."""
    with shop(URL) as (app, services):
        task = check_out(app, 1)
        (event,) = app.events(task.id, types=["order.created"])
        assert task.status == "complete"
        (order,) = services.orders.values()
        assert (order["items"], order["total"]) == ({"tea": 2, "cup": 1}, 1500)
        assert event.body == {"cart_id": 1, "order_id": order["order_id"], "total": 1500}


def test_a_busy_shop_is_asked_again_when_it_says():
    """429 with Retry-After: the next attempt is due when the shop asks for it."""
    with shop(URL) as (app, services):
        task = check_out(app, BUSY)
        (retry,) = app.events(task.id, types=["step.retry_scheduled"])
        assert (task.status, services.asked[BUSY]) == ("complete", 2)
        assert task.step("fetch_cart").history[0].error.http_status == 429
        assert (retry.step, retry.body["backoff_type"]) == ("fetch_cart", "server_requested")
        assert retry.body["delay_seconds"] >= 1


def test_what_is_sold_out_is_not_tried_again():
    """A product out of stock ends the task after one attempt, and nothing is ordered."""
    with shop(URL) as (app, services):
        task = check_out(app, SOLD_OUT)
        failed = task.step("validate_products")
        assert (task.status, failed.status, failed.attempts) == ("error", "error", 1)
        assert (failed.error.code, failed.error.message) == ("OUT_OF_STOCK", "pot: 1 wanted, 0 there")
        assert task.step("create_order").status == "pending"
        assert not services.orders


def test_an_answer_that_was_lost_orders_nothing_twice():
    """504 after the shop has taken the order: the repeated request has the same key, and there is one order."""
    with shop(URL) as (app, services):
        task = check_out(app, LOST)
        assert (task.status, task.step("create_order").attempts) == ("complete", 2)
        assert list(services.orders) == [task.step("create_order").idempotency_key]


def test_a_cart_that_is_not_there_is_final():
    """404 is no reason to ask again."""
    with shop(URL) as (app, _):
        task = check_out(app, 99)
        assert (task.status, task.step("fetch_cart").attempts) == ("error", 1)
        assert task.step("fetch_cart").error.code == "HTTP_404"


def test_a_product_that_nobody_knows_is_out_of_stock():
    """One handler alone: what the catalogue does not have counts as none."""
    parents = {"fetch_cart": {"items": {"jug": 1}}, "fetch_products": {"products": {}}}
    assert run_step(ValidateProducts, results=parents).error.message == "jug: 1 wanted, 0 there"


def test_the_cart_is_a_number():
    """A request that breaks the schema is refused."""
    with Tasker("memory://", settings={}) as app:
        register(app)
        with pytest.raises(InvalidRequest, match="cart_id"):
            app.submit(name="cart_checkout", context={"cart_id": "one"})
