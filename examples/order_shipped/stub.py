"""The tax office, a ledger and a warehouse on loopback; the first two know a repeated request.

`python stub.py` runs them for a worker: it prints the variables that lead there, and answers until Ctrl-C.
"""

import json
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Lock, Thread

BUSY = 2
"""The order whose first report is filed, and answered 503 all the same."""

CLOSED = 3
"""The order for which the warehouse answers 503 three times: as often as the step is tried."""

UNAVAILABLE = 503, {"error": "come back later"}


class Services:
    """All three, while the context lasts."""

    def __init__(self):
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._server.services = self
        self._lock = Lock()
        self.begin()

    def begin(self):
        """Open new books."""
        self.reports, self.ledger, self.shipped = {}, {}, {}
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
        return {"TAX_URL": f"{host}/tax", "LEDGER_URL": f"{host}/ledger", "WAREHOUSE_URL": f"{host}/warehouse"}

    def answer(self, method, path, key, body):
        """Give status and body."""
        with self._lock:
            match method, *path.strip("/").split("/"):
                case "POST", "tax", "reports" if key:
                    return self._report(key, body)
                case "PUT", "ledger", "orders", number:
                    self.ledger[int(number)] = body
                    return 200, body
                case "POST", "warehouse", "shipments":
                    return self._ship(body)
                case _:
                    return 404, {"error": f"{method} {path}: no such thing"}

    def _report(self, key, body):
        """File a report once for each key."""
        new = key not in self.reports
        report = self.reports.setdefault(key, {"receipt": f"tax-{body['order_id']:04}", **body})
        return UNAVAILABLE if new and body["order_id"] == BUSY else (201, report)

    def _ship(self, body):
        order_id = body["order_id"]
        self.asked[order_id] += 1
        if order_id == CLOSED and self.asked[order_id] <= 3:
            return UNAVAILABLE
        self.shipped[order_id] = body
        return 200, {"parcel": f"parcel-{order_id}"}


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        self._answer()

    def do_PUT(self):
        self._answer()

    def _answer(self):
        content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        key = self.headers.get("Idempotency-Key")
        status, body = self.server.services.answer(self.command, self.path, key, json.loads(content or b"{}"))
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
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
