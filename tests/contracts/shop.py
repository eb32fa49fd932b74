"""A shop whose tasks leave a secret wherever Tasker has a place for one, for the suites of erasure and archive."""

from __future__ import annotations

from datetime import timedelta

from tasker import BaseSubscriber, PermanentError, StepHandler, StepTemplate, TaskDefinition
from tasker.testing import FrozenClock
from tasker.testing import app as new_app

SECRET = "Zoe-Example-4711"
DAY = timedelta(days=1)


class Pay(StepHandler):
    """Succeeds or fails for good, and tells its secret either way."""

    def process(self, task, sequence, step):
        """Give the context back."""
        self.publish("order.paid", {"by": SECRET}, always=True)
        if task.context.get("fails"):
            raise PermanentError(f"no money: {SECRET}", context={"card": SECRET})
        return {"paid_by": task.context["name"]}


class Heard(BaseSubscriber):
    """Notes what it is given, and fails with it while it shall."""

    name = "heard"
    subscribe_to = ("task.*", "step.*", "order.*")

    def __init__(self):
        """Begin with nothing."""
        self.events = []
        self.fails = False

    def handle(self, event):
        """Note an event, or fail."""
        if self.fails:
            raise PermanentError(f"cannot send {SECRET}")
        self.events.append(event)


ORDER = TaskDefinition(name="order", step_templates=[StepTemplate(name="pay", handler_class=Pay)])


def shop(url="memory://", clock=None):
    """Open the shop."""
    return new_app(ORDER, url=url, clock=clock or FrozenClock())


def sold(app, **context):
    """Run an order to its end, with an annotation; give its id."""
    task = app.submit(
        name="order", context={"name": SECRET, **context}, idempotency_key=f"key {len(list(app.events()))}"
    )
    app.run_until_idle()
    app.annotate(task.id, "person", {"name": SECRET})
    app.run_until_idle()
    return task.id
