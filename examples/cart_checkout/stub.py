"""A shop on loopback: carts, a catalogue with stock, and an order book that knows a repeated request by its key.

`python stub.py` runs it for a worker: it prints the variable that leads there, and answers until Ctrl-C.
"""

import json
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Lock, Thread

CATALOGUE = {"tea": {"price": 400, "stock": 50}, "cup": {"price": 700, "stock": 9}, "pot": {"price": 2500, "stock": 0}}
BUSY, SOLD_OUT, LOST = 2, 3, 4
CARTS = {1: {"tea": 2, "cup": 1}, BUSY: {"tea": 1}, SOLD_OUT: {"tea": 1, "pot": 1}, LOST: {"cup": 2}}


class Services:
    """The shop, while the context lasts."""

    def __init__(self):
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._server.services = self
        self._lock = Lock()
        self.begin()

    def begin(self):
        """Open new books."""
        self.orders = {}
        self.asked = Counter()

    def __enter__(self):
        Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()

    @property
    def variables(self):
        """What a worker needs in its environment to find the shop."""
        return {"STORE_URL": f"http://127.0.0.1:{self._server.server_port}"}

    def answer(self, method, path, key, body):
        """Give status, body and further headers."""
        with self._lock:
            match method, *path.strip("/").split("/"):
                case "GET", "carts", number if number in map(str, CARTS):
                    return self._cart(int(number))
                case "GET", "products":
                    return 200, {"products": CATALOGUE}, {}
                case "POST", "orders" if key:
                    return self._order(key, body)
                case _:
                    return 404, {"error": f"{method} {path}: no such thing"}, {}

    def _cart(self, number):
        self.asked[number] += 1
        if number == BUSY and self.asked[number] == 1:
            return 429, {"error": "too many requests"}, {"Retry-After": "1"}
        return 200, {"items": CARTS[number]}, {}

    def _order(self, key, body):
        """Write an order into the book once for each key; the first answer about cart LOST never arrives."""
        new = key not in self.orders
        order = self.orders.setdefault(key, {"order_id": len(self.orders) + 1, **body})
        if new and body["cart_id"] == LOST:
            return 504, {"error": "the shop did not answer in time"}, {}
        return 201 if new else 200, order, {}


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self._answer()

    def do_POST(self):
        self._answer()

    def _answer(self):
        content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        key = self.headers.get("Idempotency-Key")
        status, body, headers = self.server.services.answer(self.command, self.path, key, json.loads(content or b"{}"))
        content = json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": len(content), **headers}.items():
            self.send_header(name, str(value))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        """Write nothing."""


if __name__ == "__main__":
    with Services() as services:
        for name, value in services.variables.items():
            print(f"export {name}={value}")
        print("# Ctrl-C ends it", flush=True)
        try:
            Event().wait()
        except KeyboardInterrupt:
            print("Stopped")
