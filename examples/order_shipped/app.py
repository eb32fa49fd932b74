"""order_shipped on stub services: `python app.py` ships three orders, and an operator helps the last of them."""

import os
from contextlib import contextmanager

from order_shipped import OrderShipped
from stub import BUSY, CLOSED, Services

from tasker import Tasker


def register(app):
    app.register(OrderShipped)


@contextmanager
def house(url="memory://"):
    """Give an application, and the services that it talks to."""
    with Services() as services, Tasker(url, settings={}) as app:
        os.environ.update(services.variables)
        register(app)
        yield app, services


def ship(app, order_id, country="DE", net=1000):
    """Say that an order has left the house; give the task at its end."""
    task = app.submit(name="order_shipped", context={"order_id": order_id, "country": country, "net": net})
    return app.run_until_complete(task.id, timeout=60)


def retried(app, task):
    """Let an operator try a failed task again; give it at its end."""
    app.retry(task.id, actor="ann", reason="the warehouse is open again")
    return app.run_until_complete(task.id, timeout=60)


def told(task):
    """Say in a line how a task stands, and how often each of its steps was tried."""
    attempts = ", ".join(f"{step.name} {step.attempts}" for step in task.steps.values())
    return f"order {task.context['order_id']}: {task.status} (attempts: {attempts})"


if __name__ == "__main__":
    with house() as (app, services):
        for order_id in (1, BUSY, CLOSED):
            task = ship(app, order_id)
            print(told(task))
        print(told(retried(app, task)))
        print("reports:", *(report["receipt"] for report in services.reports.values()))
