"""order_change on stub services: `python app.py` changes three orders, the last one twice."""

import os
from contextlib import contextmanager
from pathlib import Path

from stub import FULFILMENT, LOST, OVERTAKEN, SHOP, Services

from tasker import Tasker


def register(app):
    app.load_definitions(Path(__file__).with_name("order_change.yaml"))


@contextmanager
def house(url="memory://"):
    """Give an application, and the services that it talks to."""
    with Services() as services, Tasker(url, settings={}) as app:
        os.environ.update(services.variables)
        register(app)
        yield app, services


def changed(app, *changes):
    """Ask for changes, each an order, a revision and items; give their tasks at their ends."""
    contexts = [{"order_id": order, "revision": number, "items": items} for order, number, items in changes]
    tasks = [app.submit(name="order_change", context=context) for context in contexts]
    return [app.run_until_complete(task.id, timeout=60) for task in tasks]


if __name__ == "__main__":
    with house() as (app, services):
        tasks = changed(app, (1, 1, {"tea": 2}), (LOST, 1, {"cup": 4}))
        tasks += changed(app, (OVERTAKEN, 1, {"tea": 1}), (OVERTAKEN, 2, {"tea": 1, "pot": 1}))
        for task in tasks:
            order_id, revision = task.context["order_id"], task.context["revision"]
            tried, told = task.step("update_fulfilment").attempts > 1, task.step("notify").results["told"]
            print(f"order {order_id}, revision {revision}: {task.status}, retried: {tried}, customer told: {told}")
        for order_id in (1, LOST, OVERTAKEN):
            shop, fulfilment = (services.orders[keeper][order_id] for keeper in (SHOP, FULFILMENT))
            print(f"order {order_id}: {'the same' if shop == fulfilment else 'not the same'} in both systems: {shop}")
