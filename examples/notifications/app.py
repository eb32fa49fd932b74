"""notifications: `python app.py` sells two orders on stub services, and shows who is told of what."""

import os
import sys
from contextlib import contextmanager

import httpx2
from stubs import MAIL, PAGERDUTY, SENTRY, SLACK, Services, told

from tasker import BaseSubscriber, PermanentError, StepHandler, StepTemplate, Tasker, TaskHandler, task_handler
from tasker_subscribers import PagerDutySubscriber, SentrySubscriber, SlackSubscriber

FULFILLED = {
    "name": "order.fulfilled",
    "description": "Everything of an order has left the house",
    "schema": {
        "type": "object",
        "required": ["order_id", "parcels"],
        "properties": {"order_id": {"type": "integer"}, "parcels": {"type": "integer", "minimum": 1}},
    },
}


class Charge(StepHandler):
    name = "notifications.charge"  # the log knows handlers by name, from whichever module they are started

    def process(self, task, sequence, step):
        if task.context.get("card") == "declined":
            raise PermanentError("card declined", code="DECLINED")
        return {"charge": f"ch_{task.context['order_id']}"}


class Ship(StepHandler):
    name = "notifications.ship"

    def process(self, task, sequence, step):
        order_id = task.context["order_id"]
        self.publish("order.fulfilled", {"order_id": order_id, "parcels": 1 + order_id % 2})
        return {"shipped": True}


@task_handler("fulfil_order")
class FulfilOrder(TaskHandler):
    schema = {
        "type": "object",
        "required": ["order_id", "email"],
        "properties": {
            "order_id": {"type": "integer"},
            "email": {"type": "string"},
            "card": {"enum": ["good", "declined"]},
        },
    }
    step_templates = [
        StepTemplate(name="charge", handler_class=Charge),
        StepTemplate(name="ship", handler_class=Ship, depends_on_step="charge", custom_events=[FULFILLED]),
    ]


class NotificationSubscriber(BaseSubscriber):
    """Writes to the customer; the mail service takes each key once, so a repeated delivery sends no second mail."""

    name = "customer_mail"
    subscribe_to = ("order.fulfilled", "task.failed")

    def handle_order_fulfilled(self, event):
        parcels = self.safe_get(event, "parcels")
        self.mail(event, f"your order is on its way in {parcels} parcel{'s' if parcels > 1 else ''}")

    def handle_task_failed(self, event):
        self.mail(event, "we could not take your order; please look at your card")

    def mail(self, event, text):
        customer = self.app.task(event.stream_id).context["email"]
        httpx2.post(
            os.environ["MAIL_URL"],
            json={"to": customer, "text": text},
            headers={"Idempotency-Key": event.event_id},
            timeout=5,
        ).raise_for_status()  # whatever it raises, the subscription tries again


class TeamChannel(SlackSubscriber):
    """Tells the team in Slack: of failures in the words of SlackSubscriber, of sold orders in its own."""

    name = "team_channel"
    subscribe_to = ("order.*", "task.failed")

    def __init__(self, **config):
        super().__init__(api_url=os.environ.get("SLACK_URL"), **config)

    def handle_order_fulfilled(self, event):
        self.post(event, {"text": f"order {self.safe_get(event, 'order_id')} is fulfilled"})


class OnCall(PagerDutySubscriber):
    """Wakes somebody when a task fails, and lets them sleep again when it is resolved."""

    def __init__(self, **config):
        super().__init__(api_url=os.environ.get("PAGERDUTY_URL"), **config)


def register(app):
    app.register(FulfilOrder)


@contextmanager
def shop(url="memory://", clock=None):
    """Give an application with all subscribers, and the services that they talk to."""
    with Services() as services:
        os.environ.update(services.variables)
        subscribers = [NotificationSubscriber(), TeamChannel(), OnCall(), SentrySubscriber()]
        with Tasker(url, settings={}, clock=clock) as app:
            register(app)
            for subscriber in subscribers:
                app.subscribe(subscriber)
            yield app, services


def order(app, order_id, card="good"):
    """Sell an order; give its task when all who want to know have been told."""
    context = {"order_id": order_id, "email": f"customer{order_id}@shop.example", "card": card}
    task = app.submit(name="fulfil_order", context=context)
    app.run_until_idle()
    return app.task(task.id)


if __name__ == "__main__":
    with shop(*sys.argv[1:]) as (app, services):
        sold, lost = order(app, 7), order(app, 13, card="declined")
        app.resolve(lost.id, reason="paid in cash", actor="ann")
        app.run_until_idle()
        print(f"order 7: {sold.status}, order 13: {lost.status}, then {app.task(lost.id).status}")
        for service in (MAIL, SLACK, PAGERDUTY, SENTRY):
            print(*(told(service, message) for message in services.sent[service]), sep="\n")
