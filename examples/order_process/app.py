"""order_process on a stub gateway: `python app.py ORDER_ID`."""

import os
import sys

from tasker import Tasker
from tasker.cli.demo.gateway import Gateway
from tasker.cli.demo.handlers import DEFINITION


def register(app):
    app.load_definitions(DEFINITION)


def run(order_id, url="memory://"):
    """Run one order to its end, and give the task and the gateway's books."""
    with Gateway() as gateway, Tasker(url, settings={}) as app:
        os.environ["PAYMENT_URL"] = os.environ["SHOP_URL"] = gateway.url
        register(app)
        task = app.submit(name="order_process", context={"order_id": order_id})
        return app.run_until_complete(task.id, timeout=30), gateway.ledger


if __name__ == "__main__":
    ended, ledger = run(int(sys.argv[1]) if len(sys.argv) > 1 else 7)
    for step in ended.steps.values():
        print(f"{step.name:<20} {step.status:<10} {step.error.message if step.error else step.results}")
    print(f"{ended.full_name}: {ended.status}, charges: {list(ledger.charges.values())}")
