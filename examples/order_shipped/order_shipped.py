"""The task order_shipped: the tax is worked out, reported, and noted; then the warehouse hears of it."""

from tasker import ApiStepHandler, PermanentError, StepHandler, StepTemplate, TaskHandler, task_handler

RATES = {"AT": 20, "DE": 19, "FR": 20, "NL": 21}  # percent


class CalculateTax(StepHandler):
    def process(self, task, sequence, step):
        country, net = task.context["country"], task.context["net"]
        if country not in RATES:
            raise PermanentError(f"there is no tax rate for {country!r}", code="UNKNOWN_COUNTRY")
        return {"rate": RATES[country], "tax": (net * RATES[country] + 50) // 100}  # to the nearest cent


class ReportTax(ApiStepHandler):
    """Reports once: the office knows the second attempt by its `Idempotency-Key`."""

    def process(self, task, sequence, step):
        report = {"order_id": task.context["order_id"], "tax": sequence["calculate_tax"].results["tax"]}
        return self.connection.post("reports", json=report)

    def process_results(self, step, process_output, initial_results):
        step.results = {"receipt": self.get_from_results(process_output, "receipt")}


class StoreTaxResponse(ApiStepHandler):
    """Writes the receipt into our ledger: a PUT, which may be repeated without a key."""

    def process(self, task, sequence, step):
        return self.connection.put(f"orders/{task.context['order_id']}", json=sequence["report_tax"].results)

    def process_results(self, step, process_output, initial_results):
        step.results = {"stored": process_output.json()}


class SyncWarehouse(ApiStepHandler):
    def process(self, task, sequence, step):
        receipt = sequence["report_tax"].results["receipt"]
        return self.connection.post("shipments", json={"order_id": task.context["order_id"], "receipt": receipt})

    def process_results(self, step, process_output, initial_results):
        step.results = {"parcel": self.get_from_results(process_output, "parcel")}


def service(variable):
    """Give the config of a step whose service is found in the environment of the worker."""
    return {"type": "api", "url": f"${{{variable}}}", "timeout_seconds": 10, "retry_delay": 0.1}


@task_handler("order_shipped", version="1.0.0", description="What is due when an order has left the house")
class OrderShipped(TaskHandler):
    schema = {
        "type": "object",
        "required": ["order_id", "country", "net"],
        "properties": {
            "order_id": {"type": "integer"},
            "country": {"type": "string", "pattern": "^[A-Z]{2}$"},
            "net": {"type": "integer", "minimum": 0, "description": "In cents"},
        },
    }
    step_templates = [
        StepTemplate(name="calculate_tax", handler_class=CalculateTax),
        StepTemplate(
            name="report_tax",
            handler_class=ReportTax,
            depends_on_step="calculate_tax",
            dependent_system="tax_office",
            handler_config=service("TAX_URL"),
        ),
        StepTemplate(
            name="store_tax_response",
            handler_class=StoreTaxResponse,
            depends_on_step="report_tax",
            dependent_system="ledger",
            handler_config=service("LEDGER_URL"),
        ),
        StepTemplate(
            name="sync_warehouse",
            handler_class=SyncWarehouse,
            depends_on_step="store_tax_response",
            dependent_system="warehouse",
            default_retry_limit=3,
            handler_config=service("WAREHOUSE_URL"),
        ),
    ]
