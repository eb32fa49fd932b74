"""The event stream over a real socket: order, resumption, filters, bounds, and its end."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlencode

import httpx2
import pytest

from tasker.http import feed as feeds
from tasker.http import server as servers
from tasker.http import stream as streams
from tasker.http.connection import Connection
from tests.integration.http_kit import application, application_on, asked, client, create, key_of, keys, problem, served
from tests.integration.runner_kit import eventually

PATIENCE = 60.0


class Listener:
    """A client that collects frames on a thread."""

    def __init__(self, url: str, *, headers: dict[str, str] | None = None, **query: object) -> None:
        """Connect."""
        self.frames: list[dict[str, str]] = []
        self.comments = 0
        self.ended = threading.Event()
        self.answered = threading.Event()
        host, port = url.removeprefix("http://").split(":")
        self._socket = socket.create_connection((host, int(port)), PATIENCE)
        given = {"Host": f"{host}:{port}", **(headers or {})}
        lines = [
            f"GET /v1/events/stream?{urlencode(query)} HTTP/1.0",
            *(f"{key}: {text}" for key, text in given.items()),
        ]
        self._socket.sendall("\r\n".join([*lines, "", ""]).encode())
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()
        assert self.answered.wait(PATIENCE)

    def _listen(self) -> None:
        try:
            # An OSError says that the other side, or the test, has closed: `ended` tells.
            with contextlib.suppress(OSError), self._socket.makefile(encoding="utf-8", newline="\n") as answer:
                assert answer.readline().split()[1] == "200"
                while answer.readline().strip():
                    pass
                self._collect(line.rstrip("\n") for line in answer)
        finally:
            self.ended.set()

    def _collect(self, lines: Iterator[str]) -> None:
        frame: dict[str, str] = {}
        for line in lines:
            self.answered.set()
            if line.startswith(":"):
                self.comments += 1
            elif line:
                name, _, value = line.partition(": ")
                frame[name] = value
            elif frame:
                if "id" in frame:
                    self.frames.append(frame)
                frame = {}

    @property
    def ids(self) -> list[int]:
        """Give the positions that came."""
        return [int(frame["id"]) for frame in self.frames]

    def close(self) -> None:
        """Go away."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(PATIENCE)
        self._socket.close()


@contextmanager
def listening(url: str, **keywords: object) -> Iterator[Listener]:
    """Listen for a while."""
    made = Listener(url, **keywords)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def app(request):
    """Give an application, in memory if a test does not say otherwise."""
    with application_on(getattr(request, "param", "memory")) as made:
        yield made


each_log = pytest.mark.parametrize("app", ["memory", "postgres"], indirect=True)


@each_log
def test_events_come_as_they_are_recorded_each_once_in_order(app):
    """A client that connects hears of everything from then on: id is the position, data the CloudEvent."""
    with served(app) as url, listening(url) as one:
        task = create(client(app))
        app.run_until_idle()
        head = app.task(task["id"]).position
        eventually(lambda: len(one.frames) >= head)
        assert one.ids == list(range(1, head + 1))
        first = json.loads(one.frames[0]["data"])
        assert one.frames[0]["event"] == "task.created"
        assert (first["subject"], first["type"], first["position"]) == (task["id"], "tasker.task.created", 1)


@each_log
def test_a_client_comes_back_with_the_last_position_it_has(app):
    """Last-Event-ID wins over `after`; what came meanwhile is read from the log, and then it is live."""
    create(client(app))
    app.run_until_idle()
    head = next(reversed(list(app.events()))).position
    with served(app) as url:
        with listening(url, headers={"Last-Event-ID": "3"}, after=1) as one:
            eventually(lambda: one.ids and one.ids[-1] == head)
            create(client(app))
            eventually(lambda: one.ids[-1] == head + 1)
            assert one.ids == list(range(4, head + 2))
        with listening(url, after=0) as whole:
            eventually(lambda: whole.ids and whole.ids[-1] == head + 1)
            assert whole.ids == list(range(1, head + 2))
        problem(httpx2.get(f"{url}/v1/events/stream", headers={"Last-Event-ID": "x"}), 422)


def test_a_client_hears_what_it_asked_for_and_may_hear():
    """Types, a task and a namespace select; a caller of one namespace never hears of another."""
    with application(keys()) as app, served(app) as url:
        root = client(app, "root")
        mine, other = create(root)["id"], create(root, namespace="other")["id"]
        app.run_until_idle()
        root.post("/v1/control/pause", json={"scope": "system:x"})

        def heard(name: str, until: int, **query: object) -> list[dict[str, object]]:
            with listening(url, headers={"Authorization": f"Bearer {key_of(name)}"}, after=0, **query) as one:
                eventually(lambda: len(one.frames) >= until)
                return [json.loads(frame["data"]) for frame in one.frames]

        assert {one["subject"] for one in heard("reader", 6)} == {mine}
        assert {one["subject"] for one in heard("root", 13)} >= {mine, other, "$control"}
        assert {one["type"] for one in heard("root", 2, type="task.completed")} == {"tasker.task.completed"}
        assert {one["subject"] for one in heard("root", 3, task_id=other)} == {other}
        assert {one["subject"] for one in heard("root", 3, namespace="other")} == {other}
        problem(httpx2.get(f"{url}/v1/events/stream"), 401)
        asking = {"headers": {"Authorization": f"Bearer {key_of('reader')}"}}
        problem(httpx2.get(f"{url}/v1/events/stream?namespace=other", **asking), 403)
        problem(httpx2.get(f"{url}/v1/events/stream?task_id={other}", **asking), 404)


def test_secrets_are_masked_in_the_stream():
    """Without context:read a context comes masked, as everywhere."""
    with application(keys()) as app, served(app) as url:
        create(client(app, "root"), context={"order_id": 1, "pin": "1234-5678"})
        with listening(url, headers={"Authorization": f"Bearer {key_of('reader')}"}, after=0) as one:
            eventually(lambda: one.frames)
            assert "1234-5678" not in one.frames[0]["data"]
            assert "[FILTERED]" in one.frames[0]["data"]


def test_a_quiet_stream_says_that_it_lives(app, monkeypatch):
    """Where nothing happens, comments tell both sides that the other one is there."""
    monkeypatch.setattr(streams, "QUIET_SECONDS", 0.05)
    with served(app) as url, listening(url) as one:
        eventually(lambda: one.comments >= 3)
        assert one.frames == []


def test_what_is_kept_for_clients_is_bounded(app):
    """A client that is behind what is kept is told so by None: it is disconnected, and resumes from the log."""
    create(client(app))
    app.run_until_idle()
    feed = feeds.Feed(app.asgi.state.service.engine.context.log)
    feed.keep((event, feeds.KEPT_BYTES // 4) for event in app.events())
    head = app.task(next(app.events()).stream_id).position
    assert feed.since(head) == []
    assert [one.position for one in feed.since(head - 2)] == [head - 1, head]
    assert len(feed.since(head - 4)) == 4
    assert feed.since(head - 5) is None


def test_a_client_that_does_not_read_is_disconnected(app, monkeypatch):
    """A client that leaves unread what it was sent is let go after a while; nobody else waits for it."""
    monkeypatch.setattr(streams, "SEND_SECONDS", 0.3)
    http = client(app)
    for number in range(60):
        create(http, context={"order_id": 1, "text": "x" * 100_000, "number": number})
    with served(app) as url, listening(url) as other:
        host, port = url.removeprefix("http://").split(":")
        with socket.socket() as stuck:
            stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            stuck.connect((host, int(port)))
            stuck.sendall(f"GET /v1/events/stream?after=0 HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode())
            feed = app.asgi.state.service.feed
            eventually(lambda: feed._clients == 2)
            eventually(lambda: feed._clients == 1)
            create(http)
            assert eventually(lambda: other.ids == [61])


def test_a_client_that_goes_leaves_nothing_behind(app):
    """When the last client has gone, nobody reads the log any more."""
    feed = app.asgi.state.service.feed
    with served(app) as url:
        with listening(url), listening(url):
            eventually(lambda: feed._clients == 2)
        eventually(lambda: feed._clients == 0)
        eventually(feed._reader.done)
        with listening(url) as again:
            create(client(app))
            assert eventually(lambda: again.ids == [1])


def test_streams_end_when_the_server_stops(app, monkeypatch):
    """Stopping waits for no stream: clients are told at once, and come back to the next process."""
    monkeypatch.setattr(servers, "_GRACE_SECONDS", 3600)
    with served(app) as url:
        one = Listener(url)
    assert one.ended.wait(PATIENCE)
    one.close()


@each_log
def test_pages_of_events_follow_each_other(app):
    """`after` of a page leads to the next; types are globs; a page says whether there is more."""
    http = client(app)
    task = create(http)["id"]
    app.run_until_idle()
    whole = http.get(f"/v1/tasks/{task}/events").json()
    found, after, more = [], 0, True
    while more:
        page = http.get("/v1/events", params={"after": after, "limit": 2}).json()
        found, after, more = found + page["items"], page["after"], page["more"]
    assert found == whole["items"]
    assert [one["streamversion"] for one in found] == list(range(1, len(found) + 1))
    steps = http.get("/v1/events", params={"type": ["step.comp*", "task.created"]}).json()["items"]
    assert {one["type"] for one in steps} == {"tasker.step.completed", "tasker.task.created"}
    assert problem(http.get("/v1/events?type=a%20b"), 422)
    assert http.get("/v1/events?task_id=$control").json()["items"] == []
    with served(app) as url:
        assert asked(url, "/v1/events").json()["items"] == found


def test_small_answers_are_sent_at_once(app, monkeypatch):
    """No answer waits for the acknowledgement of its own head: a connection does not collect small pieces."""
    at_once = []
    made = Connection.connection_made

    def noted(self, transport):
        made(self, transport)
        at_once.append(transport.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))

    monkeypatch.setattr(Connection, "connection_made", noted)
    with served(app) as url:
        assert asked(url, "/health/live").status_code == 200
    assert at_once
    assert all(at_once)
