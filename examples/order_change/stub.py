"""A shop, a fulfilment service and a mail service on loopback; both keepers of orders keep the newest revision.

`python stub.py` runs them for a worker: it prints the variables that lead there, and answers until Ctrl-C.
"""

import json
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Lock, Thread

LOST = 2
"""The order of which fulfilment takes the first change, and answers 504 all the same."""

OVERTAKEN = 3
"""The order of which fulfilment takes the first revision at the second time, and not before it has a newer one."""

SHOP, FULFILMENT = "shop", "fulfilment"


class Services:
    """All three, while the context lasts."""

    def __init__(self):
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._server.services = self
        self._lock = Lock()
        self.begin()

    def begin(self):
        """Open new books."""
        self.orders = {SHOP: {}, FULFILMENT: {}}
        self.mails = {}
        self.asked = Counter()

    def __enter__(self):
        Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()

    @property
    def variables(self):
        """What a worker needs in its environment to find them."""
        host = f"http://127.0.0.1:{self._server.server_port}"
        return {"CHANNEL_URL": f"{host}/shop", "FULFILMENT_URL": f"{host}/fulfilment", "POST_URL": f"{host}/mail"}

    def answer(self, method, path, key, body):
        """Give status, body and further headers."""
        with self._lock:
            match method, *path.strip("/").split("/"):
                case "PUT", "shop", "orders", number:
                    return 200, self._changed(SHOP, int(number), body), {}
                case "PUT", "fulfilment", "orders", number:
                    return self._fulfilment(int(number), body)
                case "POST", "mail", "messages" if key:
                    return 201, self.mails.setdefault(key, body), {}
                case _:
                    return 404, {"error": f"{method} {path}: no such thing"}, {}

    def _changed(self, keeper, number, change):
        """Keep a change unless a newer one is there; give what is there."""
        there = self.orders[keeper].get(number)
        if there is None or there["revision"] < change["revision"]:
            self.orders[keeper][number] = there = change
        return there

    def _fulfilment(self, number, change):
        self.asked[number, change["revision"]] += 1
        first = self.asked[number, change["revision"]] == 1
        if number == OVERTAKEN and change["revision"] == 1 and (first or number not in self.orders[FULFILMENT]):
            return 429, {"error": "come back later"}, {"Retry-After": "1"}
        there = self._changed(FULFILMENT, number, change)
        if number == LOST and first:
            return 504, {"error": "fulfilment did not answer in time"}, {}
        return 200, there, {}


class _Handler(BaseHTTPRequestHandler):
    def do_PUT(self):
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
