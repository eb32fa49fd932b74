"""Bounds of the server over real sockets: slow clients, long heads, large bodies, too many at once."""

from __future__ import annotations

import asyncio
import json
import re
import socket
from contextlib import closing

import httpx2
import pytest

from tasker.http import admission, body, connection
from tasker.http.admission import Admission
from tests.integration.http_kit import application, client, create, problem, served
from tests.integration.runner_kit import eventually

PATIENCE = 60.0


@pytest.fixture
def app():
    """Give an application."""
    with application() as made:
        yield made


def connected(url: str, sent: bytes = b"", *, buffer: int | None = None) -> socket.socket:
    """Connect, and send something."""
    host, port = url.removeprefix("http://").split(":")
    made = socket.socket()
    if buffer is not None:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    made.settimeout(PATIENCE)
    made.connect((host, int(port)))
    made.sendall(sent.replace(b"HOST", f"{host}:{port}".encode()))
    return made


def answered(one: socket.socket) -> tuple[int, dict[str, object]]:
    """Read an answer to the end of the connection; gives its status and its problem document."""
    raw = b""
    while piece := one.recv(65_536):
        raw += piece
    head, _, told = raw.partition(b"\r\n\r\n")
    assert b"application/problem+json" in head, raw
    return int(head.split()[1]), json.loads(told)


def ended(one: socket.socket) -> bool:
    """Wait until the server has let a connection go."""
    try:
        while one.recv(65_536):
            pass
    except ConnectionResetError:
        return True
    return True


def trickle(one: socket.socket) -> bool:
    """Send a byte; True once nobody takes any."""
    try:
        one.sendall(b"a")
    except (BrokenPipeError, ConnectionResetError):
        return True
    return False


def test_a_head_that_never_ends_is_not_waited_for(app, monkeypatch):
    """Who says nothing, or one byte of a head after another, is let go; an idle connection between requests is not."""
    monkeypatch.setattr(connection, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(connection, "HEAD_SECONDS", 0.3)
    with served(app) as url, httpx2.Client(base_url=url, timeout=PATIENCE) as idle:
        assert idle.get("/health/live").status_code == 200
        with closing(connected(url)) as silent:
            assert ended(silent)
        with closing(connected(url, b"GET /health/live HTTP/1.1\r\nHost: HOST\r\nX-Slow: ")) as slow:
            eventually(lambda: trickle(slow))
        assert idle.get("/health/live").status_code == 200


def test_a_body_that_nobody_asked_for_holds_no_connection(app, monkeypatch):
    """A read is answered before its body has come; who then goes on sending it slowly is let go."""
    monkeypatch.setattr(connection, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(connection, "HEAD_SECONDS", 0.3)
    head = b"GET /health/live HTTP/1.1\r\nHost: HOST\r\nContent-Length: 100000\r\n\r\n"
    with served(app) as url, closing(connected(url, head)) as slow:
        assert b" 200 " in slow.recv(65_536)
        eventually(lambda: trickle(slow))


def test_a_body_that_comes_byte_by_byte_is_a_408(app, monkeypatch):
    """A body has to come within a time; what came of it appends nothing."""
    monkeypatch.setattr(body, "_SECONDS", 0.2)
    head = b"POST /v1/tasks HTTP/1.1\r\nHost: HOST\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n"
    with served(app) as url, closing(connected(url, head + b'{"name"')) as slow:
        slow.settimeout(PATIENCE)
        status = slow.recv(65_536).split()[1]
        assert status == b"408"
    assert list(app.events()) == []


def test_an_answer_that_is_not_read_is_dropped(app, monkeypatch):
    """Who asks for much and reads nothing of it is let go, whatever is left to send."""
    monkeypatch.setattr(connection, "LOOK_SECONDS", 0.2)
    http = client(app)
    for number in range(60):
        create(http, context={"order_id": 1, "text": "x" * 200_000, "number": number})
    asked = b"GET /v1/events?limit=1000 HTTP/1.1\r\nHost: HOST\r\n\r\n"
    gone = []
    before = connection.Connection.connection_lost
    monkeypatch.setattr(
        connection.Connection, "connection_lost", lambda self, error: (gone.append(self), before(self, error))[1]
    )
    with served(app) as url, closing(connected(url, asked, buffer=4096)):
        assert eventually(lambda: gone, seconds=PATIENCE)


@pytest.mark.parametrize(
    "sent",
    [
        b"GET / HTTP/1.1\r\nHost: HOST\r\nX-Long: " + b"a" * 100_000 + b"\r\n\r\n",
        b"GET /?" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: HOST\r\n\r\n",
        b"rubbish\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"POST /v1/tasks HTTP/1.1\r\nHost: HOST\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"POST /v1/tasks HTTP/1.1\r\nHost: HOST\r\nContent-Length: -1\r\n\r\n",
        b"POST /v1/tasks HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
    ids=["long header", "long query", "no HTTP", "no host", "two lengths", "negative length", "no chunk"],
)
def test_what_is_no_http_is_a_problem_document(app, sent):
    """Heads beyond 64 KiB, and what is none, are refused as everything is, and the connection ends."""
    with served(app) as url, closing(connected(url, sent)) as one:
        status, told = answered(one)
        assert status == told["status"]
        assert status in ({400, 431} if len(sent) > 65_536 else {400})


def test_a_body_that_says_it_is_too_large_is_refused_unread(app):
    """Nobody has to send what is not taken; chunks without a length are counted as they come."""
    head = b"POST /v1/tasks HTTP/1.1\r\nHost: HOST\r\nContent-Type: application/json\r\nContent-Length: 2000000\r\n\r\n"
    with served(app) as url:
        with closing(connected(url, head)) as one:
            assert one.recv(65_536).split()[1] == b"413"
        chunked = httpx2.post(
            f"{url}/v1/tasks",
            content=(b" " * 100_000 for _ in range(20)),
            headers={"Content-Type": "application/json"},
            timeout=PATIENCE,
        )
        problem(chunked, 413)


def test_too_many_requests_at_once_are_refused_at_once(monkeypatch):
    """Beyond what is answered at the same time: 503 with Retry-After; health is told, and room is given back."""

    async def run() -> list[tuple[int, bytes | None]]:
        release, inside, told = asyncio.Event(), asyncio.Semaphore(0), []

        async def application(scope, receive, send):
            inside.release()
            await release.wait()
            await send({"type": "http.response.start", "status": 200, "headers": []})

        async def send(message):
            if message["type"] == "http.response.start":
                told.append((message["status"], dict(message["headers"]).get(b"retry-after")))

        guard = Admission(application)

        def ask(path: str, root: str = "") -> asyncio.Task[None]:
            scope = {"type": "http", "path": root + path, "root_path": root, "headers": [], "query_string": b""}
            return asyncio.ensure_future(guard(scope, None, send))

        asked = [ask("/v1/tasks", "/tasker"), ask("/v1/tasks"), ask("/v1/events/stream"), ask("/health/live")]
        for _ in asked:
            await inside.acquire()
        for path in ("/v1/tasks", "/", "/v1/events/stream", "/live"):
            await ask(path)
        release.set()
        await asyncio.gather(*asked)
        await ask("/v1/tasks")
        return told

    monkeypatch.setattr(admission, "MOST_REQUESTS", 2)
    monkeypatch.setattr(admission, "MOST_STREAMS", 1)
    assert asyncio.run(run()) == [(503, b"1")] * 4 + [(200, None)] * 5


def test_a_full_log_is_a_503_that_says_when_to_come_again(app, monkeypatch):
    """What the engine cannot take now is refused with Retry-After, and the same request is taken later."""
    from tasker.errors import Overloaded
    from tasker.runtime.submission import Submission

    def full(*_: object) -> None:
        raise Overloaded("the log has no room")

    http = client(app)
    with monkeypatch.context() as patched:
        patched.setattr(Submission, "submit", full)
        answer = http.post("/v1/tasks", json={"name": "order", "idempotency_key": "k"})
    assert problem(answer, 503)["title"] == "Overloaded"
    assert answer.headers["retry-after"] == "1"
    assert http.post("/v1/tasks", json={"name": "order", "idempotency_key": "k"}).status_code == 201


def test_the_document_is_a_page_that_loads_nothing(app):
    """/docs shows every route of the document, needs nothing from anywhere, and its policy holds it to that."""
    answer = client(app).get("/docs")
    assert answer.status_code == 200
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy
    assert not re.search(r"<(script|link|img|iframe|form)\b|\ssrc=|https?://(?!127\.0\.0\.1)", answer.text)
    for path, methods in app.asgi.openapi()["paths"].items():
        assert f"<code>{path}</code>" in answer.text
        for told in methods.values():
            assert told.get("x-permission", "Needs no key") in answer.text
