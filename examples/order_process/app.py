"""order_process on a stub gateway: `python app.py ORDER_ID`."""

import os
import sys
from contextlib import contextmanager

from tasker import Tasker
from tasker.cli.demo.gateway import Gateway
from tasker.cli.demo.handlers import DEFINITION


def register(app):
    app.load_definitions(DEFINITION)


@contextmanager
def ended(order_id, url="memory://"):
    """Run one order to its end; give the task and the gateway's books while the log is open."""
    with Gateway() as gateway, Tasker(url, settings={}) as app:
        os.environ["PAYMENT_URL"] = os.environ["SHOP_URL"] = gateway.url
        register(app)
        task = app.submit(name="order_process", context={"order_id": order_id})
        yield app.run_until_complete(task.id, timeout=30), gateway.ledger


if __name__ == "__main__":
    with ended(int(sys.argv[1]) if len(sys.argv) > 1 else 7) as (task, ledger):
        for step in task.steps.values():
            print(f"{step.name:<20} {step.status:<10} {step.error.message if step.error else step.results}")
        print(f"{task.full_name}: {task.status}, charges: {list(ledger.charges.values())}")
