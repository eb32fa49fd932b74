"""Redirects of API steps: how far they are followed, and what another server gets to know."""

from __future__ import annotations

import pytest

from tasker import ApiStepHandler
from tasker.testing import FrozenClock
from tests.integration.api_kit import Call, CallLater, certificate, closed_port, redirect, reply, run_api, stub

COMPLETE, ERROR = "complete", "error"
SECRETS = {
    "Authorization": "Bearer hidden-1",
    "X-Api-Key": "hidden-2",
    "Cookie": "session=hidden-3",
    "Proxy-Authorization": "Basic hidden-4",
}


@pytest.fixture
def home():
    """Serve the API."""
    with stub() as running:
        yield running


@pytest.fixture
def away():
    """Serve somebody else's."""
    with stub() as running:
        yield running


@pytest.fixture(params=[Call, CallLater], ids=["sync", "async"])
def handler(request):
    """Give a sync handler and an async one."""
    return request.param


def ask(home, handler=Call, **config):
    """Let a task ask at /start, with credentials in the url and in headers."""
    url = home.url.replace("://", "://user:hidden-5@") + "?sig=hidden-6"
    return run_api(handler, FrozenClock(), url=url, path="start", headers=SECRETS, **config)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_at_home_are_followed_with_everything(home, handler, status):
    """On the same server a redirect, whole or relative, is followed with the headers of the configuration."""
    home.on("/start", redirect(status, "/next"))
    home.on("/next", redirect(status, f"{home.url}/end?page=2"))
    home.on("/end", reply(200, b"[]"))
    ended = ask(home, handler)
    assert (ended.status, ended.results["status"]) == (COMPLETE, 200)
    (end,) = home.of("/end")
    assert end.target == "/end?page=2"
    assert end.headers["x-api-key"] == "hidden-2"
    assert end.headers["authorization"]


@pytest.mark.parametrize(("status", "method"), [(301, "GET"), (302, "GET"), (303, "GET"), (307, "POST"), (308, "POST")])
def test_the_method_after_a_redirect(home, handler, status, method):
    """301, 302 and 303 turn a POST into a GET without a body; 307 and 308 repeat it, with its body and its key."""
    home.on("/start", redirect(status, "/end"))
    home.on("/end", reply(200, b"[]"))
    assert ask(home, handler, method="POST", send={"json": {"a": 1}}).status == COMPLETE
    (first,), (end,) = home.of("/start"), home.of("/end")
    assert (end.method, end.body) == (method, first.body if method == "POST" else b"")
    assert end.headers["idempotency-key"] == first.headers["idempotency-key"]


@pytest.mark.parametrize("status", [302, 307])
def test_another_server_gets_no_credentials(home, away, handler, status):
    """Another host or port gets neither user, nor query, nor cookies, nor any header but those that tell nothing."""
    home.on("/start", reply(status, location=f"{away.url}/end", set_cookie="own=hidden-7"))
    away.on("/end", reply(200, b"[]"))
    own = {"headers": {"X-Of-The-Request": "hidden-8"}}
    assert ask(home, handler, method="POST", send={**own, "json": {"a": 1}}).status == COMPLETE
    (start,), (end,) = home.of("/start"), away.of("/end")
    assert {"authorization", "x-api-key", "cookie", "x-of-the-request", "proxy-authorization"} <= start.headers.keys()
    assert "hidden" not in repr(end)
    assert end.headers.keys() <= {
        "host", "accept", "accept-encoding", "connection", "user-agent", "content-type", "content-length",
        "idempotency-key",
    }  # fmt: skip
    assert end.headers["host"] == f"127.0.0.1:{away.port}"


def test_credentials_do_not_come_back(home, away, handler):
    """What was taken off for another server is not put on again where that leads back home."""
    home.on("/start", redirect(302, f"{away.url}/middle"))
    away.on("/middle", redirect(302, f"{home.url}/end"))
    home.on("/end", reply(200, b"[]"))
    assert ask(home, handler).status == COMPLETE
    (end,) = home.of("/end")
    assert "hidden" not in repr(end)


def test_from_a_secure_server_to_a_plain_one(tmp_path, away, handler):
    """Leaving TLS is leaving the server: the same host without it gets no credentials either."""
    made = certificate(tmp_path)
    with stub(made.server()) as secure:
        secure.on("/start", redirect(302, f"{away.url}/end"))
        away.on("/end", reply(200, b"[]"))
        assert ask(secure, handler, ssl={"ca_file": str(made.file)}).status == COMPLETE
        assert secure.of("/start")[0].headers["x-api-key"] == "hidden-2"
    assert "hidden" not in repr(away.seen)


def test_a_redirect_to_a_certificate_of_nobody(tmp_path, home, handler):
    """Checks of certificates hold for where a redirect leads, too."""
    with stub(certificate(tmp_path).server()) as secure:
        home.on("/start", redirect(302, f"{secure.url}/end?token=hidden-7"))
        ended = ask(home, handler)
        assert ended.error.message.startswith(f"ConnectError in GET {secure.url}/end: ")
        assert (ended.error.kind, secure.seen) == ("retryable", [])


@pytest.mark.parametrize("others", [False, True], ids=["one host", "two hosts"])
def test_a_loop_ends(home, away, handler, others):
    """Five redirects are followed, the sixth is permanent; its error shows where it leads, without the query."""
    there = away if others else home
    home.on("/start", redirect(302, f"{there.url}/turn?token=hidden-7"))
    there.on("/turn", redirect(302, f"{home.url}/start?token=hidden-7"))
    ended = ask(home, handler)
    assert (ended.status, ended.error.kind, ended.error.http_status) == (ERROR, "permanent", 302)
    assert ended.error.code == "TOO_MANY_REDIRECTS"
    assert ended.error.message.startswith(f"too many redirects, the last to GET {home.url}/start;")
    assert len(home.seen) + (len(away.seen) if others else 0) == 6
    assert "hidden" not in str(ended.error)


def test_the_fifth_redirect_is_followed(home, handler):
    """Five are not too many."""
    home.on("/start", *(redirect(302, "/start") for _ in range(5)), reply(200, b"[]"))
    assert ask(home, handler).status == COMPLETE
    assert len(home.seen) == 6


@pytest.mark.parametrize(
    "location",
    ["ftp://127.0.0.1/x", "mailto:a@b.example", "javascript:alert(1)", "https://user:hidden/7@[host/"],
)
def test_a_redirect_to_what_is_no_address_is_permanent(home, handler, location):
    """Where no request can go, none is tried again; the error has the status and nothing of the place."""
    home.on("/start", redirect(302, location))
    ended = ask(home, handler)
    assert (ended.status, ended.error.kind) == (ERROR, "permanent"), ended.error
    assert (ended.error.code, ended.error.http_status) == ("HTTP_302", 302)
    assert "hidden" not in str(ended.error)


def test_a_redirect_to_nobody_is_retried(home, handler):
    """What the server behind a redirect does counts as if it had been asked at first."""
    port = closed_port()
    home.on("/start", redirect(302, f"http://user:hidden-7@127.0.0.1:{port}/end?token=hidden-8"))
    ended = ask(home, handler)
    assert (ended.status, ended.error.kind) == ("waiting_for_retry", "retryable")
    assert ended.error.message.startswith(f"ConnectError in GET http://127.0.0.1:{port}/end: ")
    assert "hidden" not in str(ended.error)


def test_the_status_behind_a_redirect_counts(home, away, handler):
    """The error names the server that answered in the end."""
    home.on("/start", redirect(302, f"{away.url}/end?token=hidden-7"))
    away.on("/end", reply(410, b"gone"))
    ended = ask(home, handler)
    assert (ended.error.code, ended.error.message) == ("HTTP_410", f"410 from GET {away.url}/end: gone")


class Unfollowed(ApiStepHandler):
    """Wants to know where it would be led."""

    def process(self, task, sequence, step):
        """Ask without following."""
        return self.connection.get("start", follow_redirects=False)

    def process_results(self, step, process_output, initial_results):
        """Keep where it leads."""
        step.results = {"location": process_output.headers["location"], "body": process_output.text}


def test_a_handler_may_follow_by_itself(home):
    """With `follow_redirects=False` and the status in `accept` a handler gets the redirect, wherever that leads."""
    home.on("/start", redirect(302, "shop-app://orders/7"))
    ended = run_api(Unfollowed, FrozenClock(), url=home.url, accept=[302])
    assert ended.results == {"location": "shop-app://orders/7", "body": "elsewhere"}
    assert run_api(Unfollowed, FrozenClock(), url=home.url).error.code == "HTTP_302"
