"""A stub payment gateway and shop: a real HTTP server on loopback, with books, bad moods and a memory for keys."""

from __future__ import annotations

import json
import re
import sys
import threading
from collections import Counter
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import socket
from types import TracebackType
from typing import Self

BUSY = frozenset({3, 9, 16})
"""Orders whose first request is answered 503 with Retry-After."""

SLOW = 6
"""The order whose first request is charged, and answered too late for the client to hear it."""

DECLINED = 13
"""The order whose card is declined."""

_DELAY = 1.2  # seconds, above the client's timeout
_PAUSE = 0.05  # seconds that a charge takes
_JSON = "application/json"


@dataclass
class Ledger:
    """The books of the gateway: what was charged, by Idempotency-Key."""

    charges: dict[str, dict[str, object]] = field(default_factory=dict)
    requests: Counter[int] = field(default_factory=Counter)
    repeated: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def charge(self, key: str, order: int, amount: object) -> dict[str, object]:
        """Charge once for each key; a repeated key is answered with the first charge, and nothing is charged."""
        with self.lock:
            if key in self.charges:
                self.repeated += 1
            else:
                number = f"ch_{len(self.charges) + 1:04}"
                self.charges[key] = {"charge_id": number, "order_id": order, "amount": amount}
            return self.charges[key]

    def asked(self, order: int) -> int:
        """Count a request for an order; gives which one it is, from 1."""
        with self.lock:
            self.requests[order] += 1
            return self.requests[order]

    def by_order(self) -> Counter[int]:
        """Count the charges of each order."""
        with self.lock:
            return Counter(int(str(charge["order_id"])) for charge in self.charges.values())


class Gateway:
    """The server; it answers from its own threads until it is left."""

    def __init__(self) -> None:
        """Take a free port of this machine; nothing is answered yet."""
        self.ledger = Ledger()
        self.closing = threading.Event()
        self._server = _Server(self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def url(self) -> str:
        """Give the address."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        """Start to answer."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop, and wait for the answers that are on their way."""
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def pay(self, key: str, order: int, amount: object) -> tuple[int, dict[str, object], dict[str, str]]:
        """Answer a request to charge: status, body, further headers."""
        nth = self.ledger.asked(order)
        self.closing.wait(_PAUSE)
        if order == DECLINED:
            return 402, {"error": "card declined"}, {}
        if order in BUSY and nth == 1:
            return 503, {"error": "busy"}, {"Retry-After": "1"}
        charge = self.ledger.charge(key, order, amount)
        if order == SLOW and nth == 1:
            self.closing.wait(_DELAY)
        return 201, charge, {}


class _Server(ThreadingHTTPServer):
    """Takes it calmly when a client is killed in the middle of a request; that is what the demo does."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        super().__init__(("127.0.0.1", 0), _Handler)

    def handle_error(self, request: socket | tuple[bytes, socket], client_address: tuple[str, int]) -> None:
        """Drop a broken connection; show anything else."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    """Reads requests and writes answers; what they mean is the gateway's business."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Take a charge."""
        length = int(self.headers.get("Content-Length", "0"))
        content = self.rfile.read(length)
        if len(content) < length:
            self.close_connection = True  # the client was killed while it asked: nothing was charged
            return
        body = json.loads(content or b"{}")
        key = self.headers.get("Idempotency-Key")
        if self.path != "/charges" or key is None:
            self._answer(400, {"error": "expected POST /charges with an Idempotency-Key"}, {})
        elif isinstance(self.server, _Server):
            self._answer(*self.server.gateway.pay(key, int(body["order_id"]), body["amount"]))

    def do_GET(self) -> None:
        """Tell where an order stands."""
        found = re.fullmatch(r"/orders/(\d+)/status", self.path)
        if found:
            self._answer(200, {"order_id": int(found[1]), "status": "open"}, {})
        else:
            self._answer(404, {"error": f"expected /orders/ID/status, found {self.path}"}, {})

    def _answer(self, status: int, body: dict[str, object], headers: dict[str, str]) -> None:
        content = json.dumps(body).encode()
        try:
            self.send_response(status)
            for name, value in {"Content-Type": _JSON, "Content-Length": str(len(content)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)
        except ConnectionError:
            self.close_connection = True  # the client has given up or was killed; the books stand

    def log_message(self, format: str, *args: object) -> None:
        """Keep quiet: the demo tells its own story."""
