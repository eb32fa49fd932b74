"""The configuration of API steps, and API steps over real sockets."""

from __future__ import annotations

import socket
import ssl
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import httpx2
import pytest

from tasker.errors import InvalidDefinition
from tasker.handlers.api import ApiStepHandler
from tasker.handlers.api_config import ApiConfig
from tasker.handlers.connections import Connections
from tasker.handlers.publishing import Tools
from tests.unit.handlers.kit import run

URL = "https://user:pass@api.example/v1?region=eu"


class Get(ApiStepHandler):
    """Reads one thing."""

    def process(self, task, sequence, step):
        """Ask."""
        return self.connection.get("things/1")


class Post(ApiStepHandler):
    """Creates one thing."""

    def process(self, task, sequence, step):
        """Ask."""
        return self.connection.post("things", json={})


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({}, "url"),
        ({"url": "/relative"}, "url"),
        ({"url": "ftp://host/"}, "url"),
        ({"url": "https://"}, "url"),
        ({"url": 5}, "url"),
        ({"url": "https://host:port/"}, "url"),
        ({"url": URL, "params": []}, "params"),
        ({"url": URL, "params": {"a": {}}}, "params"),
        ({"url": "https://user:pass/word@[host/"}, "percent-encoded"),
        ({"url": URL, "headers": "x"}, "headers"),
        ({"url": URL, "headers": {"X Key": "x"}}, "'X Key'"),
        ({"url": URL, "headers": {"X-Key": "user:pass\nX-Other: 1"}}, "X-Key"),
        ({"url": URL, "headers": {"X-Key": "user:pass\u00e4"}}, "X-Key"),
        ({"url": URL, "headers": {"X-Key": ["user:pass"]}}, "X-Key"),
        ({"url": URL, "timeout_seconds": [1]}, "timeout_seconds"),
        ({"url": URL, "timeout_seconds": 0}, "timeout_seconds"),
        ({"url": URL, "timeout_seconds": "1"}, "timeout_seconds"),
        ({"url": URL, "accept": ["404"]}, "accept"),
        ({"url": URL, "ssl": "no"}, "ssl"),
        ({"url": URL, "ssl": {"verfy": False}}, "verify"),
    ],
)
def test_wrong_configs(config, words):
    """A wrong config is told by its key, never with what may be secret in the url."""
    with pytest.raises(InvalidDefinition, match=words) as caught:
        ApiConfig.of(config)
    assert "user:pass" not in str(caught.value)
    assert (
        run(
            Get,
            config=config,
            tools=Tools(connections=Connections(httpx2.MockTransport(lambda request: httpx2.Response(200)))),
        ).error.kind
        == "permanent"
    )


def test_configs():
    """The timeout is 30 seconds unless written; `ssl` may switch checks off; certificates that are missing are told."""
    config = ApiConfig.of({"url": URL})
    assert (config.timeout_seconds, config.tls(), str(config.url)) == (30, True, "https://user:pass@api.example/v1")
    assert ApiConfig.of({"url": URL, "timeout_seconds": "none", "accept": 404}).timeout_seconds is None
    assert ApiConfig.of({"url": URL, "ssl": False}).tls() is False
    assert ApiConfig.of({"url": URL, "ssl": {"verify": False}}).tls() is False
    for key in ("ca_file", "client_cert"):
        with pytest.raises(InvalidDefinition, match="/nowhere"):
            ApiConfig.of({"url": URL, "ssl": {key: "/nowhere.pem", "verify": False}}).tls()
    files = ssl.get_default_verify_paths()
    if files.cafile:
        assert isinstance(ApiConfig.of({"url": URL, "ssl": {"ca_file": files.cafile}}).tls(), ssl.SSLContext)


def test_headers():
    """A header without a value is none; white space around a value, such as the end of a secret's file, is not sent."""
    headers = ApiConfig.of({"url": URL, "headers": {"X-Key": " key\n", "X-None": None, "X-One": 1}}).all_headers()
    assert {name: value for name, value in headers.items() if name.startswith("x-")} == {"x-key": "key", "x-one": "1"}


class Stub(BaseHTTPRequestHandler):
    """A real server that answers with what it got."""

    def do_POST(self):
        """Answer."""
        self.rfile.read(int(self.headers.get("content-length", 0)))
        body = f'{{"key": "{self.headers["Idempotency-Key"]}", "path": "{self.path}"}}'.encode()
        self.send_response(201)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        """Say nothing."""


@pytest.fixture
def server():
    """Serve on loopback."""
    with HTTPServer(("127.0.0.1", 0), Stub) as http:
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{http.server_port}"
        http.shutdown()
        thread.join()


def test_a_real_server(server):
    """Over a real socket the answer comes back, and a TLS client there is a transport error."""
    real = Tools()
    outcome = run(Post, config={"url": server + "/v1"}, tools=real)
    assert outcome.results["body"] == {"key": "t:b", "path": "/v1/things"}
    broken = run(Post, config={"url": server.replace("http", "https"), "timeout_seconds": 5}, tools=real)
    assert (broken.error.kind, broken.error.type.endswith("HttpTransportError")) == ("retryable", True)
    real.connections.close()


def test_nobody_listens():
    """A refused connection is retryable."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    real = Tools()
    assert run(Get, config={"url": f"http://127.0.0.1:{port}"}, tools=real).error.kind == "retryable"
    real.connections.close()
