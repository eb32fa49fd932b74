"""The handlers of order_process, written as users write theirs: on the face of Tasker alone."""

# ruff: noqa: ARG001, ARG002 - the engine calls every handler with task, sequence and step

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from tasker import ApiStepHandler, PermanentError, RetryableError, StepHandler, Tasker

if TYPE_CHECKING:
    import httpx2

    from tasker.handlers.attempt_step import AttemptStep
    from tasker.handlers.views import Sequence, Task

DEFINITION = Path(__file__).with_name("order_process.yaml")
_DECLINED = 402
_PAUSE = 0.03  # seconds: long enough for a person to see something happen, and for a kill to hit it
_PRICES = {"tea": 4, "cup": 7, "pot": 25}


def register(app: Tasker) -> None:
    """Register order_process; `tasker.yaml` and the demo name this function as `app`."""
    app.load_definitions(DEFINITION)


class FetchOrder(StepHandler):
    """Reads the order; a real one would ask a database."""

    def process(self, task: Task, sequence: Sequence, step: AttemptStep) -> dict[str, object]:
        """Make up an order from its number."""
        time.sleep(_PAUSE)
        number = task.context["order_id"]
        items = {"tea": 1 + number % 3, "cup": number % 2, "pot": 1}
        return {"order": {"id": number, "items": {name: count for name, count in items.items() if count}}}


class ValidateItems(StepHandler):
    """Refuses what cannot be sold, and adds up the rest."""

    def process(self, task: Task, sequence: Sequence, step: AttemptStep) -> dict[str, object]:
        """Add up the prices."""
        time.sleep(_PAUSE)
        items = sequence["fetch_order"].results["order"]["items"]
        unknown = sorted(items.keys() - _PRICES.keys())
        if unknown or not items:
            msg = f"order {task.context['order_id']}: expected items of the price list, found {unknown or 'none'}"
            raise PermanentError(msg, code="INVALID_ITEMS")
        return {"total": sum(_PRICES[name] * count for name, count in items.items())}


class ProcessPayment(ApiStepHandler):
    """Charges the card over HTTP.

    Every attempt sends the same Idempotency-Key, so a repeated request is answered from the gateway's books.
    """

    def process(self, task: Task, sequence: Sequence, step: AttemptStep) -> httpx2.Response:
        """Ask the gateway."""
        total = sequence["validate_items"].results["total"]
        body = {"order_id": task.context["order_id"], "amount": total}
        answer: httpx2.Response = self.connection.post("charges", json=body)
        return answer

    def process_results(self, step: AttemptStep, process_output: httpx2.Response, initial_results: object) -> None:
        """Keep the number of the charge; a declined card is final, and no retry is tried."""
        if process_output.status_code == _DECLINED:
            raise PermanentError("card declined", code="DECLINED", context={"answer": process_output.json()})
        step.results = {
            "charge_id": self.get_from_results(process_output, "charge_id"),
            "amount": self.get_from_results(process_output, "amount"),
        }


class FetchOrderStatus(ApiStepHandler):
    """Asks the shop; what is kept of the answer is the default: status, headers and body."""

    def process(self, task: Task, sequence: Sequence, step: AttemptStep) -> httpx2.Response:
        """Ask the shop."""
        answer: httpx2.Response = self.connection.get(f"orders/{task.context['order_id']}/status")
        return answer


class UpdateInventory(StepHandler):
    """Reserves what was paid, and says so with a custom event."""

    def process(self, task: Task, sequence: Sequence, step: AttemptStep) -> dict[str, object]:
        """Reserve the items."""
        time.sleep(_PAUSE)
        order = sequence["fetch_order"].results["order"]
        self.publish("order.reserved", {"order_id": order["id"], "items": order["items"]})
        return {"reserved": order["items"]}


class SendConfirmation(StepHandler):
    """Sends the mail. Its failure repeats the mail alone: the payment before it is done and recorded."""

    def process(self, task: Task, sequence: Sequence, step: AttemptStep) -> dict[str, object]:
        """Send the mail; every fifth order meets a mail server that is busy at first."""
        time.sleep(_PAUSE)
        if task.context["order_id"] % 5 == 0 and step.attempt == 1:
            raise RetryableError("mail server busy")
        charge = sequence["process_payment"].results["charge_id"]
        return {"mailed": f"order {task.context['order_id']}, charge {charge}"}


def send_notification(task: Task, sequence: Sequence, step: AttemptStep) -> dict[str, object]:
    """Tell the team; a plain function is a handler too."""
    time.sleep(_PAUSE)
    return {"notified": f"order {task.context['order_id']} is paid and reserved"}
