"""A customer system on loopback that exports records in the spelling of its own language.

`python stub.py` runs it for a worker: it prints the variable that leads there, and answers until Ctrl-C.
"""

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread

EXPORTS = {
    "customers": {
        "records": [
            {"customerId": 1, "fullName": "Ann", "homeAddress": {"postCode": "1010", "Country": "AT"}, "tags": ["vIP"]},
            {"customerId": 2, "fullName": "Eve", "homeAddress": {"postCode": "10115", "Country": "DE"}, "tags": []},
            {"customerId": 3, "fullName": "Bob", "homeAddress": {"postCode": "20095", "Country": "DE"}, "tags": []},
        ]
    },
    "nobody": {"records": []},
    "twice": {"records": [{"customerId": 1, "customer_id": 2}]},
    "moved": {"rows": []},
}


class Services:
    """The customer system, while the context lasts."""

    def __init__(self):
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)

    def begin(self):
        """Have nothing to forget."""

    def __enter__(self):
        Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()

    @property
    def variables(self):
        """What a worker needs in its environment to find it."""
        return {"EXPORT_URL": f"http://127.0.0.1:{self._server.server_port}/exports"}


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        export = EXPORTS.get(self.path.removeprefix("/exports/"))
        content = json.dumps({"error": "no such export"} if export is None else export).encode()
        self.send_response(404 if export is None else 200)
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
