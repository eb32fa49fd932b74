"""The steps of cart_checkout: three ask the shop over HTTP, one compares, one tells."""

from tasker import ApiStepHandler, PermanentError, StepHandler


class FetchCart(ApiStepHandler):
    """Asks the shop for the cart; an answer that is no success never reaches `process_results`."""

    def process(self, task, sequence, step):
        return self.connection.get(f"carts/{task.context['cart_id']}")

    def process_results(self, step, process_output, initial_results):
        step.results = {"items": self.get_from_results(process_output, "items")}


class FetchProducts(ApiStepHandler):
    """Asks for the catalogue, beside the cart: neither waits for the other."""

    def process(self, task, sequence, step):
        return self.connection.get("products")

    def process_results(self, step, process_output, initial_results):
        step.results = {"products": self.get_from_results(process_output, "products")}


class ValidateProducts(StepHandler):
    """Refuses what is not there: no repetition brings it into the shop, so nothing is tried again."""

    def process(self, task, sequence, step):
        wanted = sequence["fetch_cart"].results["items"]
        products = sequence["fetch_products"].results["products"]
        stock = {name: products[name]["stock"] for name in wanted if name in products}
        short = [
            f"{name}: {count} wanted, {stock.get(name, 0)} there"
            for name, count in wanted.items()
            if count > stock.get(name, 0)
        ]
        if short:
            raise PermanentError("; ".join(short), code="OUT_OF_STOCK")
        return {"items": wanted, "total": sum(products[name]["price"] * count for name, count in wanted.items())}


class CreateOrder(ApiStepHandler):
    """Orders. Each attempt sends the same `Idempotency-Key`, so an answer that was lost orders nothing twice."""

    def process(self, task, sequence, step):
        return self.connection.post(
            "orders", json={"cart_id": task.context["cart_id"], **sequence["validate_products"].results}
        )

    def process_results(self, step, process_output, initial_results):
        step.results = {name: self.get_from_results(process_output, name) for name in ("order_id", "total")}


class PublishEvent(StepHandler):
    """Says what has happened, for whoever subscribes to it."""

    def process(self, task, sequence, step):
        self.publish("order.created", {"cart_id": task.context["cart_id"], **sequence["create_order"].results})
