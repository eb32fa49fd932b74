"""Slack, PagerDuty, Sentry and a mail service on loopback: they keep what they are sent, or say that they are busy.

`python stubs.py` runs them for a worker: it prints the variables that lead there, and then what is sent.
"""

import gzip
import json
from collections import defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

SLACK, PAGERDUTY, SENTRY, MAIL = "slack", "pagerduty", "sentry", "mail"
ANSWERS = {
    SLACK: (200, {"ok": True, "ts": "1.2"}),
    PAGERDUTY: (202, {"status": "success", "message": "Event processed", "dedup_key": "x"}),
    SENTRY: (200, {"id": "x"}),
    MAIL: (201, {"accepted": True}),
}
BUSY = (503, {"error": "busy"})


class Services:
    """All four, while the context lasts."""

    def __init__(self, port=0, watch=None):
        self.sent = defaultdict(list)
        self.keys = defaultdict(list)
        self.busy = defaultdict(int)
        self._watch = watch
        self._server = ThreadingHTTPServer(("127.0.0.1", port), self._handler())
        self._server.daemon_threads = True
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def wait(self):
        """Wait until Ctrl-C."""
        try:
            self._thread.join()
        except KeyboardInterrupt:
            print("Stopped")

    @property
    def variables(self):
        """What a worker needs in its environment to talk to these and not to the real ones."""
        host = f"127.0.0.1:{self._server.server_address[1]}"
        return {
            "SLACK_BOT_TOKEN": "xoxb-of-a-stub",
            "SLACK_CHANNEL": "#orders",
            "SLACK_URL": f"http://{host}/slack/",
            "PAGERDUTY_ROUTING_KEY": "0123456789abcdef0123456789abcdef",
            "PAGERDUTY_URL": f"http://{host}/pagerduty/v2/enqueue",
            "SENTRY_DSN": f"http://publickey0123456789@{host}/sentry/42",
            "MAIL_URL": f"http://{host}/mail/send",
            "NO_PROXY": "127.0.0.1",
        }

    def take(self, path, headers, body):
        """Keep what came, and give the answer."""
        service = path.split("/")[1]
        if self.busy[service] > 0:
            self.busy[service] -= 1
            return BUSY
        message = _opened(headers, body)
        self.sent[service].append(message)
        self.keys[service].append(headers.get("Idempotency-Key"))
        if self._watch:
            self._watch(service, message)
        return ANSWERS[service]

    def _handler(services):  # noqa: N805 - `self` is the request inside
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status, answer = services.take(self.path, self.headers, body)
                content = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_):
                """Write nothing."""

        return Handler


def _opened(headers, body):
    """Read a message: JSON, or the event in an envelope of Sentry (a header, a header of the item, the item)."""
    if headers.get("Content-Encoding") == "gzip":
        body = gzip.decompress(body)
    if headers["Content-Type"].startswith("application/x-sentry-envelope"):
        body = body.split(b"\n")[2]
    return json.loads(body)


def told(service, message):
    """Say in a line what a service was sent."""
    match service:
        case "pagerduty":
            text = f"{message['event_action']} {message.get('payload', {}).get('summary', message['dedup_key'])}"
        case "sentry":
            text = " | ".join(message["fingerprint"])
        case "mail":
            text = f"to {message['to']}: {message['text']}"
        case _:
            text = message["text"]
    return f"{service:<10} {text}"


if __name__ == "__main__":
    with Services(watch=lambda service, message: print(told(service, message), flush=True)) as services:
        for name, value in services.variables.items():
            print(f"export {name}='{value}'")
        print("# Ctrl-C ends them", flush=True)
        services.wait()
