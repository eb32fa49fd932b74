"""The steps of order_change: two systems are told the same at once, compared, and the customer hears of it."""

from tasker import ApiStepHandler, PermanentError


class PutOrder(ApiStepHandler):
    """Says how the order is now, not what changed: a repetition is harmless, and so is one that comes late.

    Both updates share this handler; which system it talks to is in their config. The answer is what that system has
    now, which is a newer revision if another change was quicker.
    """

    def process(self, task, sequence, step):
        change = {name: task.context[name] for name in ("revision", "items")}
        return self.connection.put(f"orders/{task.context['order_id']}", json=change)

    def process_results(self, step, process_output, initial_results):
        step.results = {name: self.get_from_results(process_output, name) for name in ("revision", "items")}


def reconcile(task, sequence, step):
    """Compare what both systems have.

    Where they have different revisions, a newer change is under way to the one that is behind, and its task compares
    again. The same revision with different items is something that only a person can mend.
    """
    shop, fulfilment = (sequence[name].results for name in ("update_shop", "update_fulfilment"))
    newest = max(shop["revision"], fulfilment["revision"])
    if shop["revision"] == fulfilment["revision"] and shop["items"] != fulfilment["items"]:
        raise PermanentError(f"revision {newest}: shop and fulfilment have different items", code="DIVERGED")
    return {"revision": newest, "superseded": newest > task.context["revision"]}


class Notify(ApiStepHandler):
    """Writes to the customer, once for each change, and not about one that has been overtaken."""

    def process(self, task, sequence, step):
        if sequence["reconcile"].results["superseded"]:
            return {"told": False}
        order_id, items = task.context["order_id"], sequence["update_shop"].results["items"]
        text = f"order {order_id} is now: " + ", ".join(f"{count} {name}" for name, count in sorted(items.items()))
        return self.connection.post("messages", json={"text": text})

    def process_results(self, step, process_output, initial_results):
        step.results = process_output if isinstance(process_output, dict) else {"told": True}
