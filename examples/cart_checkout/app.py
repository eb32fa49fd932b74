"""cart_checkout on a stub shop: `python app.py` takes four carts to the till."""

import os
from contextlib import contextmanager
from pathlib import Path

from stub import CARTS, Services

from tasker import Tasker


def register(app):
    app.load_definitions(Path(__file__).with_name("cart_checkout.yaml"))


@contextmanager
def shop(url="memory://"):
    """Give an application, and the shop that it talks to."""
    with Services() as services, Tasker(url, settings={}) as app:
        os.environ.update(services.variables)
        register(app)
        yield app, services


def check_out(app, cart_id):
    """Take one cart to the till; give the task at its end."""
    task = app.submit(name="cart_checkout", context={"cart_id": cart_id})
    return app.run_until_complete(task.id, timeout=60)


if __name__ == "__main__":
    with shop() as (app, services):
        for cart_id in CARTS:
            task = check_out(app, cart_id)
            tries = sum(step.attempts for step in task.steps.values())
            print(f"cart {cart_id}: {task.status}, {tries} attempts at {len(task.steps)} steps")
            for step in task.steps.values():
                for entry in step.history:
                    if entry.error:
                        print(f"  {step.name}: {entry.error.message}")
        print("orders:", *(f"{order['order_id']} ({order['total']} cents)" for order in services.orders.values()))
