"""order_process on a stub gateway: `python app.py ORDER_ID`."""

import os
import sys
from contextlib import contextmanager

from stub import Services

from tasker import Tasker
from tasker.cli.demo.handlers import DEFINITION


def register(app):
    app.load_definitions(DEFINITION)


@contextmanager
def ended(order_id, url="memory://"):
    """Run one order to its end; give the task and the gateway's books while the log is open."""
    with Services() as services, Tasker(url, settings={}) as app:
        os.environ.update(services.variables)
        register(app)
        task = app.submit(name="order_process", context={"order_id": order_id})
        yield app.run_until_complete(task.id, timeout=60), services.ledger


if __name__ == "__main__":
    with ended(int(sys.argv[1]) if len(sys.argv) > 1 else 7) as (task, ledger):
        for step in task.steps.values():
            kept = (step.results or {}).get("body", step.results)  # what came over HTTP has headers, too
            print(f"{step.name:<20} {step.status:<10} {step.error.message if step.error else kept}")
        print(f"{task.full_name}: {task.status}, charges: {list(ledger.charges.values())}")
