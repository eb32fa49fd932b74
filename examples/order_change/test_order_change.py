"""What must be true of order_change; TASKER_EXAMPLE_URL names the log, else it is in memory."""

# ruff: noqa: S101 - a test asserts

import os

import pytest
from app import changed, house, register
from handlers import reconcile
from stub import FULFILMENT, LOST, OVERTAKEN, SHOP

from tasker import Tasker
from tasker.errors import InvalidRequest
from tasker.testing import run_step

URL = os.environ.get("TASKER_EXAMPLE_URL", "memory://")


def test_both_systems_hear_of_a_change():
    """Shop and fulfilment have the change, and the customer is told once."""
    with house(URL) as (app, services):
        (task,) = changed(app, (1, 1, {"tea": 2, "cup": 1}))
        assert task.status == "complete"
        assert services.orders[SHOP] == {1: {"revision": 1, "items": {"tea": 2, "cup": 1}}}
        assert services.orders[FULFILMENT] == services.orders[SHOP]
        assert list(services.mails.values()) == [{"text": "order 1 is now: 1 cup, 2 tea"}]


def test_an_update_whose_answer_is_lost_is_repeated_without_harm():
    """One of the two updates is tried again; both systems end with the same order, and there is one mail."""
    with house(URL) as (app, services):
        (task,) = changed(app, (LOST, 1, {"cup": 4}))
        assert (task.status, task.step("update_shop").attempts) == ("complete", 1)
        assert [entry.outcome for entry in task.step("update_fulfilment").history] == ["failed", "completed"]
        assert services.orders[SHOP] == services.orders[FULFILMENT] == {LOST: {"revision": 1, "items": {"cup": 4}}}
        assert len(services.mails) == 1


def test_an_older_change_that_comes_late_undoes_nothing():
    """A retried update arrives after a newer change: both systems keep the newer one, and only that one is told."""
    with house(URL) as (app, services):
        older, newer = changed(app, (OVERTAKEN, 1, {"tea": 1}), (OVERTAKEN, 2, {"tea": 3}))
        assert (older.status, newer.status) == ("complete", "complete")
        assert older.step("update_fulfilment").attempts > 1
        assert older.step("reconcile").results == {"revision": 2, "superseded": True}
        assert older.step("notify").results == {"told": False}
        assert services.orders[SHOP] == services.orders[FULFILMENT] == {OVERTAKEN: {"revision": 2, "items": {"tea": 3}}}
        assert list(services.mails) == [newer.step("notify").idempotency_key]


def test_the_updates_wait_for_nothing_and_reconcile_for_both():
    """The two updates are parallel."""
    with Tasker("memory://", settings={}) as app:
        register(app)
        graph = app.definition("order_change").graph
        assert set(graph.roots) == {"update_shop", "update_fulfilment"}
        assert set(graph.parents("reconcile")) == set(graph.roots)


def test_what_has_diverged_is_for_a_person():
    """The same revision with different items is final."""
    shop, fulfilment = {"revision": 2, "items": {"tea": 1}}, {"revision": 2, "items": {"tea": 2}}
    parents = {"update_shop": shop, "update_fulfilment": fulfilment}
    assert run_step(reconcile, context={"revision": 2}, results=parents).error.code == "DIVERGED"


@pytest.mark.parametrize("wrong", [{"revision": 0}, {"items": {"tea": -1}}, {"items": {"tea": 0.5}}])
def test_the_context_is_checked(wrong):
    """A request that breaks the schema is refused."""
    context = {"order_id": 1, "revision": 1, "items": {"tea": 1}} | wrong
    with Tasker("memory://", settings={}) as app:
        register(app)
        with pytest.raises(InvalidRequest, match=next(iter(wrong))):
            app.submit(name="order_change", context=context)
