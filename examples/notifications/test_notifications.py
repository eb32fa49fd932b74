"""What must be true of notifications; TASKER_EXAMPLE_URL names the log, else it is in memory."""

# ruff: noqa: S101 - a test asserts

import json
import os

import pytest
from app import Charge, FulfilOrder, Ship, order, shop
from stubs import MAIL, PAGERDUTY, SENTRY, SLACK

from tasker import testing

URL = os.environ.get("TASKER_EXAMPLE_URL", "memory://")


def test_a_fulfilled_order_is_told():
    """The customer and the team hear of it, once; nobody is woken."""
    with shop(URL) as (app, services):
        task = order(app, 7)
        (event,) = app.events(task.id, types=["order.fulfilled"])
        assert task.status == "complete"
    assert services.sent[MAIL] == [{"to": "customer7@shop.example", "text": "your order is on its way in 2 parcels"}]
    assert services.keys[MAIL] == [event.event_id]
    (message,) = services.sent[SLACK]
    assert message["text"] == "order 7 is fulfilled"
    assert message["metadata"]["event_payload"]["event_id"] == event.event_id
    assert not services.sent[PAGERDUTY]
    assert not services.sent[SENTRY]


def test_a_declined_card_wakes_somebody_until_it_is_resolved():
    """All four hear of it; the incident has the key of the task, and ends when somebody resolves the task."""
    with shop(URL) as (app, services):
        task = order(app, 13, card="declined")
        assert task.status == "error"
        incident = services.sent[PAGERDUTY][-1]
        assert {one["event_action"] for one in services.sent[PAGERDUTY]} == {"trigger"}
        assert (incident["dedup_key"], incident["payload"]["severity"]) == (task.id, "error")
        app.resolve(task.id, reason="paid in cash", actor="ann")
        app.run_until_idle()
        assert services.sent[PAGERDUTY][-1]["event_action"] == "resolve"
        assert services.sent[PAGERDUTY][-1]["dedup_key"] == task.id
    (issue,) = services.sent[SENTRY]
    assert issue["fingerprint"] == ["default.fulfil_order", "charge", "tasker.errors.PermanentError"]
    assert issue["tags"]["task_id"] == task.id
    assert issue["breadcrumbs"]["values"][0]["category"] == "task.created"
    assert "card declined" in services.sent[SLACK][0]["text"]
    assert services.sent[MAIL][0]["to"] == "customer13@shop.example"


def test_a_card_need_not_be_named():
    """What the schema does not ask for, no step needs: an order without a word about its card is charged."""
    assert testing.run_step(Charge, context={"order_id": 7, "email": "c@shop.example"}).results == {"charge": "ch_7"}


def test_an_address_goes_to_the_mail_service_alone():
    """What the customer gave stands in no message to the team."""
    with shop(URL) as (app, services):
        order(app, 13, card="declined")
    for service in (SLACK, PAGERDUTY, SENTRY):
        assert "customer13@" not in json.dumps(services.sent[service])


@pytest.mark.parametrize("service", [MAIL, SLACK, PAGERDUTY, SENTRY])
def test_a_busy_service_hears_of_it_later(service):
    """Who is busy is told again after a while, once; the others do not wait for it, nor does the order."""
    clock = testing.FrozenClock()
    with shop(URL, clock) as (app, services):
        services.busy[service] = 1
        task = order(app, 13, card="declined")
        assert task.status == "error"
        first = {name: len(services.sent[name]) for name in (MAIL, SLACK, PAGERDUTY, SENTRY)}
        assert first[service] == 0
        assert all(count > 0 for name, count in first.items() if name != service)
        clock.advance(3600)
        app.run_until_idle()
        assert 1 <= len(services.sent[service]) <= 2
        assert [one.parked for one in app.subscriptions.list()] == [0, 0, 0, 0]


def test_the_event_is_in_the_catalogue():
    """The custom event is declared with its meaning and its schema, and what breaks the schema is not published."""
    with testing.app(FulfilOrder) as app:
        entry = app.catalog.info("order.fulfilled")
        assert (entry.description, entry.declared) == ("Everything of an order has left the house", True)
    outcome = testing.run_step(Ship, context={"order_id": 7})
    assert [event.type for event in outcome.events] == ["order.fulfilled"]
    assert outcome.events[0].body == {"order_id": 7, "parcels": 2}
