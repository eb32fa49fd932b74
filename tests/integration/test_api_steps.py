"""What each answer of a real server, and each lack of one, means for an API step: a whole task on a real socket."""

from __future__ import annotations

import gzip
import re
import zlib
from typing import NamedTuple

import pytest

from tasker.handlers import api_body
from tasker.testing import FrozenClock
from tests.integration.api_kit import (
    Call,
    CallLater,
    certificate,
    closed_port,
    cut,
    endless,
    hang,
    redirect,
    reply,
    run_api,
    stub,
)

WAITS, ERROR, COMPLETE = "waiting_for_retry", "error", "complete"
TWO_LENGTHS = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: application/json\r\n\r\n"
SHORT = {"timeout_seconds": 0.3}


@pytest.fixture(scope="module")
def server():
    """Serve on loopback."""
    with stub() as running:
        yield running


@pytest.fixture(params=[Call, CallLater], ids=["sync", "async"])
def handler(request):
    """Give a sync handler and an async one."""
    return request.param


def ask(server, answer, handler=Call, **config):
    """Let a task ask the server once, with what should not be shown in the url."""
    server.on("/v1/things", answer)
    url = server.url.replace("://", "://user:hidden@") + "/v1?sig=hidden"
    return run_api(handler, FrozenClock(), url=url, path="things", **config)


@pytest.mark.parametrize("status", [200, 201, 202, 203, 206, 226, 299])
def test_every_2xx_succeeds(server, status):
    """Every status from 200 to 299 is a success, with status, headers and JSON body as results."""
    ended = ask(server, reply(status, b'{"id": 7}', x_shop="1"))
    assert (ended.status, ended.results["status"], ended.results["body"]) == (COMPLETE, status, {"id": 7})
    assert ended.results["headers"]["x-shop"] == "1"


@pytest.mark.parametrize("status", [204, 205])
def test_an_empty_answer_succeeds(server, status):
    """A success without a body has the empty text as its body."""
    ended = ask(server, f"HTTP/1.1 {status} Nothing\r\nContent-Length: 0\r\n\r\n".encode())
    assert (ended.status, ended.results["body"]) == (COMPLETE, "")


@pytest.mark.parametrize("status", [302, 404, 409, 429, 503])
def test_an_accepted_status_succeeds(server, status):
    """A status in `accept` is a success, also one that would be retried."""
    ended = ask(server, reply(status, b"[]"), accept=[status])
    assert (ended.status, ended.results["status"], ended.results["body"]) == (COMPLETE, status, [])


@pytest.mark.parametrize("status", [408, 425, 429, 500, 501, 502, 503, 504, 507, 511, 599])
def test_some_statuses_are_retried(server, handler, status):
    """408, 425, 429 and all 5xx are tried again, with the delay of the step."""
    before = len(server.seen)
    ended = ask(server, reply(status, b"later"), handler, retry_delay=3)
    assert len(server.seen) - before == 1  # retries are the engine's alone
    assert (ended.status, ended.error.kind, ended.error.http_status) == (WAITS, "retryable", status)
    assert (ended.retry["backoff_type"], ended.retry["delay_seconds"]) == ("exponential", 3)
    assert ended.error.message == f"{status} from GET {server.url}/v1/things: later"


class After(NamedTuple):
    """A Retry-After: with a status, what it says, whose delay counts, and how long it is."""

    status: int
    text: str
    source: str
    seconds: float


@pytest.mark.parametrize(
    "told",
    [
        After(429, "30", "server_requested", 30),
        After(503, "120", "server_requested", 120),
        After(503, "0", "server_requested", 0),
        After(429, "Thu, 01 Jan 2026 00:01:00 GMT", "server_requested", 60),
        After(503, "Thursday, 01-Jan-26 00:01:30 GMT", "server_requested", 90),
        After(503, "Thu Jan  1 00:02:00 2026", "server_requested", 120),
        After(429, "Wed, 31 Dec 2025 23:59:00 GMT", "server_requested", 1),
        After(429, "99999999999999999999", "server_requested", 3600),
        After(503, "Fri, 01 Jan 2027 00:00:00 GMT", "server_requested", 3600),
        After(429, "soon", "exponential", 1),
        After(429, "-5", "exponential", 1),
        After(429, "1.5", "exponential", 1),
        After(429, "5, 10", "exponential", 1),
        After(429, "\xb2", "exponential", 1),
        After(429, "Thu, 99 Jan 2026 00:01:00 GMT", "exponential", 1),
        After(429, "", "exponential", 1),
        After(408, "30", "exponential", 1),
        After(425, "30", "exponential", 1),
        After(500, "30", "exponential", 1),
        After(502, "Thu, 01 Jan 2026 00:01:00 GMT", "exponential", 1),
    ],
)
def test_retry_after(server, told):
    """Seconds or a date count, on 429 and 503 alone, at most `max_server_delay`; a past date is one second."""
    ended = ask(server, reply(told.status, retry_after=told.text))
    # A delay of 0 is due at once, so that the budget is used up.
    assert (ended.status, ended.error.http_status) == (WAITS if told.seconds else ERROR, told.status)
    assert (ended.retry["backoff_type"], ended.retry["delay_seconds"]) == (told.source, told.seconds)


def test_the_backoff_keys_of_the_configuration_win(server):
    """`retry_delay`, `max_delay` and `enable_exponential_backoff` of handler_config win over the template's."""
    template = {"retry_delay": 50, "max_delay": 60, "default_retry_limit": 9}
    server.on("/v1/things", reply(500))
    clock = FrozenClock()
    ended = run_api(Call, clock, template, url=server.url, path="v1/things", retry_delay=7, max_delay=9)
    assert ended.retry["delay_seconds"] == 7
    ended = run_api(Call, clock, template, url=server.url, path="v1/things", retry_delay=80, max_delay=20)
    assert ended.retry["delay_seconds"] == 20
    constant = {"enable_exponential_backoff": False, "retry_delay": 4}
    ended = run_api(Call, clock, template, url=server.url, path="v1/things", **constant)
    assert (ended.retry["backoff_type"], ended.retry["delay_seconds"]) == ("constant", 4)


@pytest.mark.parametrize(
    "status", [300, 304, 305, 306, 307, 400, 401, 402, 403, 404, 405, 406, 409, 410, 412, 415, 418, 422, 451, 499]
)
def test_every_other_status_fails_for_good(server, handler, status):
    """Other 4xx, and 3xx that lead nowhere, are permanent at the first attempt, with the code HTTP_<status>."""
    before = len(server.of("/v1/things"))
    body = b"" if status == 304 else b"x" * 2_000
    ended = ask(server, reply(status, body), handler)
    assert (ended.status, ended.retry, len(server.of("/v1/things")) - before) == (ERROR, None, 1)
    assert (ended.error.kind, ended.error.code, ended.error.http_status) == ("permanent", f"HTTP_{status}", status)
    assert ended.error.message == f"{status} from GET {server.url}/v1/things: {body.decode()[:500]}"


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n"
BROKEN = {
    "closed without a word": (lambda server: cut(b""), {}, "RemoteProtocolError"),
    "cut within the headers": (lambda server: cut(HEAD[:30]), {}, "RemoteProtocolError"),
    "cut within the body": (lambda server: cut(HEAD + b'{"half":'), {}, "RemoteProtocolError"),
    "cut within a chunk": (lambda server: cut(CHUNKED + b"ff\r\n{}"), {}, "RemoteProtocolError"),
    "cut between chunks": (lambda server: cut(CHUNKED + b"2\r\n{}\r\n"), {}, "RemoteProtocolError"),
    "chunks that are none": (lambda server: cut(CHUNKED + b"zz\r\n{}\r\n"), {}, "RemoteProtocolError"),
    "no HTTP": (lambda server: cut(b"SSH-2.0-OpenSSH_9.6\r\n"), {}, "RemoteProtocolError"),
    "binary rubbish": (lambda server: cut(bytes(range(256))), {}, "RemoteProtocolError"),
    "a status that is none": (lambda server: cut(b"HTTP/1.1 abc Odd\r\n\r\n"), {}, "RemoteProtocolError"),
    "headers without end": (lambda server: endless(b"x-a: b\r\n", b"HTTP/1.1 200 OK\r\n"), {}, "RemoteProtocolError"),
    "two lengths": (lambda server: cut(TWO_LENGTHS), {}, "RemoteProtocolError"),
    "no gzip": (lambda server: reply(200, b"no gzip", content_encoding="gzip"), {}, "DecodingError"),
    "no answer in time": (hang, SHORT, "Timeout"),
    "no end of the headers in time": (lambda server: hang(server, HEAD[:30]), SHORT, "Timeout"),
    "no end of the body in time": (lambda server: hang(server, HEAD + b"{"), SHORT, "Timeout"),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_answer_is_retried(server, handler, name):
    """No whole answer, whatever the reason, is retryable; the error names the kind, the method and the bare URL."""
    answer, config, kind = BROKEN[name]
    ended = ask(server, answer(server), handler, **config)
    assert (ended.status, ended.error.kind, ended.error.http_status) == (WAITS, "retryable", None)
    assert ended.retry["backoff_type"] == "exponential"
    assert re.match(rf"\w*{kind} in GET {re.escape(server.url)}/v1/things: ", ended.error.message), ended.error.message
    assert "hidden" not in ended.error.message


def test_a_refused_connection_is_retried(handler):
    """Where nobody listens, the step waits and comes again."""
    port = closed_port()
    ended = run_api(handler, FrozenClock(), url=f"http://user:hidden@127.0.0.1:{port}/v1?sig=hidden", method="POST")
    assert (ended.status, ended.error.kind) == (WAITS, "retryable")
    assert ended.error.message.startswith(f"ConnectError in POST http://127.0.0.1:{port}/v1/: ")


@pytest.mark.parametrize("keys", [{}, {"host": "shop.example"}, {"days": -1}], ids=["good", "other host", "expired"])
def test_a_certificate_of_nobody_is_refused(tmp_path, handler, keys):
    """By default a certificate must be signed by somebody the machine knows: a retryable error, and nothing is sent."""
    with stub(certificate(tmp_path, **keys).server()) as server:
        ended = ask(server, reply(200), handler)
        assert (ended.status, ended.error.kind, server.seen) == (WAITS, "retryable", [])
    assert f"ConnectError in GET {server.url}/v1/things: " in ended.error.message
    assert "CERTIFICATE_VERIFY_FAILED" in ended.error.message


@pytest.mark.parametrize(
    ("keys", "words"),
    [({}, None), ({"host": "shop.example"}, "IP address mismatch"), ({"days": -1}, "certificate has expired")],
    ids=["good", "other host", "expired"],
)
def test_a_certificate_of_our_own(tmp_path, handler, keys, words):
    """With `ca_file` one's own certificates count, for their host and their time; `verify: false` takes every one."""
    made = certificate(tmp_path, **keys)
    with stub(made.server()) as server:
        ended = ask(server, reply(200), handler, ssl={"ca_file": str(made.file)})
        if words is None:
            assert ended.status == COMPLETE
        else:
            assert (ended.status, ended.error.kind, server.seen) == (WAITS, "retryable", [])
            assert words in ended.error.message
        for unchecked in (False, {"verify": False}, {"verify": False, "ca_file": str(made.file)}):
            assert ask(server, reply(200), handler, ssl=unchecked).status == COMPLETE


def test_a_certificate_of_the_client(tmp_path):
    """`client_cert` and `client_key` are shown to the server; a wrong password fails for good, and nobody is asked."""
    (tmp_path / "ours").mkdir()
    made, ours = certificate(tmp_path), certificate(tmp_path / "ours", password=b"hidden-1")
    context = made.server()
    context.verify_mode = 2  # ssl.CERT_REQUIRED
    context.load_verify_locations(ours.file)
    options = {"ca_file": str(made.file), "client_cert": str(ours.file), "client_key": str(ours.key)}
    with stub(context) as server:
        assert ask(server, reply(200), ssl={**options, "client_key_password": "hidden-1"}).status == COMPLETE
        for password in ({}, {"client_key_password": "hidden-2"}):
            ended = ask(server, reply(200), ssl={**options, **password})
            assert (ended.status, ended.error.kind) == (ERROR, "permanent")
            assert str(ours.key) in ended.error.message
            assert "hidden" not in ended.error.message
        assert len(server.seen) == 1


def test_plain_and_secure_ends_do_not_meet(server, tmp_path):
    """TLS to a plain server, and plain words to a TLS one, are transport errors, and retried."""
    ended = run_api(Call, FrozenClock(), url=server.url.replace("http", "https"), **SHORT)
    assert (ended.status, ended.error.kind) == (WAITS, "retryable")
    with stub(certificate(tmp_path).server()) as secure:
        ended = run_api(Call, FrozenClock(), url=secure.url.replace("https", "http"))
        assert (ended.status, ended.error.kind) == (WAITS, "retryable")


BODIES = {
    "chunked": (CHUNKED + b'8\r\n{"id": 7\r\n1\r\n}\r\n0\r\n\r\n', {"id": 7}),
    "gzip": (reply(200, gzip.compress(b'{"id": 7}'), content_encoding="gzip"), {"id": 7}),
    "deflate": (reply(200, zlib.compress(b'{"id": 7}'), content_encoding="deflate"), {"id": 7}),
    "until the end": (b"HTTP/1.0 200 OK\r\n\r\n[1]", [1]),
    "empty": (reply(200), ""),
    "half of JSON": (reply(200, b'{"id": 7', content_type="application/json"), '{"id": 7'),
    "a page": (reply(200, b"<h1>Hello</h1>", content_type="text/html"), "<h1>Hello</h1>"),
    "JSON called a page": (reply(200, b"[1]", content_type="text/html"), [1]),
    "not a number": (reply(200, b"[NaN]"), "[NaN]"),
    "byte order mark": (reply(200, b"\xef\xbb\xbf[1]"), [1]),
    "latin": (reply(200, '{"ä": "ö"}'.encode("latin-1"), content_type="application/json; charset=latin-1"), {"ä": "ö"}),
    "utf-16": (reply(200, '["ä"]'.encode("utf-16"), content_type="application/json; charset=utf-16"), ["ä"]),
    "latin in truth": (reply(200, b'["\xe4"]', content_type="application/json; charset=utf-8"), '["\ufffd"]'),
    "no such charset": (reply(200, b'["a"', content_type="text/plain; charset=klingon"), '["a"'),
    "utf-8 called utf-16": (reply(200, b'{"a":"b"}', content_type="application/json; charset=utf-16"), {"a": "b"}),
}


@pytest.mark.parametrize("name", BODIES)
def test_bodies(server, handler, name):
    """JSON is parsed however it is sent and whatever it is called; all else is kept as text and fails nothing."""
    answer, body = BODIES[name]
    answer = cut(answer) if name == "until the end" else answer
    ended = ask(server, answer, handler)
    assert (ended.status, ended.results["body"]) == (COMPLETE, body)


def test_a_text_that_cannot_be_stored_fails_for_good(server):
    """A body with U+0000 is no result: the effect has happened, so nothing is tried again, and the place is named."""
    ended = ask(server, reply(200, b"a\0b"))
    assert (ended.status, ended.error.kind, "$.body" in ended.error.message) == (ERROR, "permanent", True)


PIECE = b"x" * 4_096
LARGE = {
    "said": reply(200, PIECE * 32),
    "chunks without end": endless(b"1000\r\n" + PIECE + b"\r\n", CHUNKED),
    "a bomb": reply(200, gzip.compress(bytes(50_000_000)), content_encoding="gzip"),
    "a redirect": reply(302, PIECE * 32, location="/large"),
}


@pytest.mark.parametrize("name", LARGE)
def test_a_huge_body_is_read_no_further_than_allowed(server, handler, name, monkeypatch):
    """More than fits is a final error of kind too_large that says what to do; of a redirect nothing of it is kept."""
    monkeypatch.setattr(api_body, "MAX_BODY", 65_536)
    server.on("/large", reply(200, b"{}"))
    ended = ask(server, LARGE[name], handler)
    if name == "a redirect":
        assert (ended.status, ended.results["body"]) == (COMPLETE, {})
    else:
        assert (ended.status, ended.error.kind) == (ERROR, "too_large")
        assert ended.error.message.startswith(f"expected at most 65,536 bytes of body from GET {server.url}/v1/things,")
        assert "self.connection.stream" in ended.error.message


@pytest.mark.parametrize(("status", "kind"), [(503, "retryable"), (404, "permanent")])
def test_of_a_huge_failure_the_beginning_is_enough(server, handler, status, kind, monkeypatch):
    """A failing status counts, however much follows it."""
    monkeypatch.setattr(api_body, "MAX_BODY", 65_536)
    head = f"HTTP/1.1 {status} No\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    ended = ask(server, endless(b"1000\r\n" + PIECE + b"\r\n", head), handler)
    assert (ended.error.kind, ended.error.http_status) == (kind, status)
    assert ended.error.message.endswith(": " + "x" * 500)


def test_an_accepted_status_is_not_cut(server, monkeypatch):
    """What the handler takes for a success is whole, or an error."""
    monkeypatch.setattr(api_body, "MAX_BODY", 65_536)
    assert ask(server, reply(404, PIECE * 16), accept=[404]).results["body"] == "x" * 65_536
    assert ask(server, reply(404, PIECE * 32), accept=[404]).error.message.startswith("expected at most 65,536")


def test_it_ends_well_after_a_bad_start(server):
    """A step whose server recovers within its budget completes, and its history tells every attempt."""
    server.on("/recovers", cut(b""), reply(503, retry_after="0"), redirect(307, "/recovered"))
    server.on("/recovered", reply(200, b'{"id": 7}'))
    ended = run_api(Call, None, url=server.url, path="recovers", retry_delay=0.001, method="POST")
    assert (ended.status, ended.results["body"], ended.error) == (COMPLETE, {"id": 7}, None)
    assert len(server.of("/recovers")) == 3
    assert len({one.headers["idempotency-key"] for one in server.seen[-4:]}) == 1
