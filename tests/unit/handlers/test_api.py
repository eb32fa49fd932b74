"""API steps: the client, the idempotency key, and what each answer means."""

from __future__ import annotations

import asyncio
import threading
from datetime import UTC, datetime

import httpx2
import pytest

from tasker.errors import PermanentError, TaskerError
from tasker.handlers.api import ApiStepHandler
from tasker.handlers.api_outcome import explained, retry_after
from tasker.handlers.connections import Connections
from tasker.handlers.publishing import Tools
from tests.unit.handlers.kit import attempt, run

URL = "https://user:pass@api.example/v1?region=eu"


class Get(ApiStepHandler):
    """Reads one thing."""

    def process(self, task, sequence, step):
        """Ask."""
        return self.connection.get("things/1", params={"token": "hidden"})


class Post(ApiStepHandler):
    """Creates one thing."""

    def process(self, task, sequence, step):
        """Ask."""
        return self.connection.post("things", json={})


class Later(ApiStepHandler):
    """Creates one thing, later."""

    async def process(self, task, sequence, step):
        """Ask."""
        return await self.connection.patch("things", json={})


def tools(answer):
    """Stand in for the network with a function of the request, a response or an exception."""

    def answered(request):
        if isinstance(answer, Exception):
            raise answer
        return answer(request) if callable(answer) else answer

    class Fixed:
        """A clock that stands still."""

        def now(self):
            """Tell the time."""
            return datetime(2026, 11, 21, 12, 0, tzinfo=UTC)

    return Tools(clock=Fixed(), connections=Connections(httpx2.MockTransport(answered)))


def call(handler, answer, **config):
    """Run an API step against an answer."""
    return run(handler, config={"url": URL, **config}, tools=tools(answer))


def reply(status, **keys):
    """Make an answer."""
    return lambda request: httpx2.Response(status, **keys)


@pytest.mark.parametrize(
    ("status", "accept", "kind", "code"),
    [
        (200, None, None, None),
        (299, None, None, None),
        (404, [404], None, None),
        (500, [500], None, None),
        (400, None, "permanent", "HTTP_400"),
        (404, [410], "permanent", "HTTP_404"),
        (304, None, "permanent", "HTTP_304"),
        (408, None, "retryable", None),
        (425, None, "retryable", None),
        (429, None, "retryable", None),
        (500, None, "retryable", None),
        (599, None, "retryable", None),
    ],
)
def test_statuses(status, accept, kind, code):
    """2xx and accepted statuses succeed; 408, 425, 429 and 5xx are retried; the rest fails for good with its code."""
    outcome = call(Get, reply(status, json={"id": 1}), accept=accept)
    if kind is None:
        assert (outcome.results["status"], outcome.results["body"]) == (status, {"id": 1})
    else:
        assert (outcome.error.kind, outcome.error.http_status, outcome.error.code) == (kind, status, code)


@pytest.mark.parametrize(
    ("status", "text", "seconds"),
    [
        (429, "30", 30),
        (503, "0", 0),
        (503, "Sat, 21 Nov 2026 12:01:00 GMT", 60),
        (503, "Sat, 21 Nov 2026 11:01:00 GMT", 1),
        (500, "30", None),
        (408, "30", None),
        (429, "soon", None),
        (429, "-5", None),
        (429, "9" * 400, 1e9),
        (429, "Sat, 99 Nov 2026 12:01:00 GMT", None),
    ],
)
def test_retry_after(status, text, seconds):
    """Seconds or a date count on 429 and 503; a past date is one second; rubbish is ignored."""
    assert call(Get, reply(status, headers={"Retry-After": text})).retry_after == seconds


def test_a_date_without_a_zone_is_gmt():
    """Old servers leave the zone out."""
    assert retry_after("Sat, 21 Nov 2026 12:00:30 -0000", datetime(2026, 11, 21, 12, tzinfo=UTC)) == 30


def test_the_error_message():
    """It holds status, method, URL without query and userinfo, and the first 500 characters of the body."""
    message = call(Get, reply(404, text="x" * 2_000)).error.message
    assert message == f"404 from GET https://api.example/v1/things/1: {'x' * 500}"


def test_the_request():
    """Relative paths join the url; its query, params and headers go with every request; given headers win."""
    seen = []

    def answer(request):
        seen.append(request)
        return httpx2.Response(200)

    call(Get, answer, params={"cart": 1, "tag": ["a", "b"]}, headers={"accept": "text/plain", "X-Key": "k"})
    (request,) = seen
    assert (request.url.host, request.url.path) == ("api.example", "/v1/things/1")
    assert request.url.params.multi_items() == [
        ("region", "eu"), ("cart", "1"), ("tag", "a"), ("tag", "b"), ("token", "hidden"),
    ]  # fmt: skip
    assert request.headers["accept"] == "text/plain"
    assert request.headers["content-type"] == "application/json"
    assert request.headers["x-key"] == "k"
    assert "idempotency-key" not in request.headers


@pytest.mark.parametrize("handler", [Post, Later])
def test_the_idempotency_key(handler):
    """POST and PATCH carry the step's key, in sync and async handlers."""
    keys = []
    call(handler, lambda request: keys.append(request.headers.get("idempotency-key")) or httpx2.Response(200))
    assert keys == ["t:b"]


def test_a_key_of_ones_own_and_of_another_thread():
    """A key given by the handler stays; a thread that asks for the connection sends the key, too."""
    keys = []

    class Both(ApiStepHandler):
        """Posts twice."""

        def process(self, task, sequence, step):
            """Post here and in a thread."""
            self.connection.post("a", headers={"Idempotency-Key": "mine"})
            thread = threading.Thread(target=lambda: self.connection.post("b"))
            thread.start()
            thread.join()

    call(Both, lambda request: keys.append(request.headers.get("idempotency-key")) or httpx2.Response(200))
    assert keys == ["mine", "t:b"]


def test_the_key_of_a_finished_attempt_is_never_sent():
    """A client outlives its attempt; what uses it later in the same thread sends no old key."""
    kept, keys = [], []

    class Keeps(ApiStepHandler):
        """Keeps its client."""

        def process(self, task, sequence, step):
            """Keep it."""
            kept.append(self.connection)

    call(Keeps, lambda request: keys.append(request.headers.get("idempotency-key")) or httpx2.Response(200))
    kept[0].post("later")
    assert keys == [None]


def test_one_client_per_worker_and_config():
    """Attempts of one worker with one config share a client; another config has another; closing closes it."""
    shared, seen = tools(reply(200)), []

    class Looks(ApiStepHandler):
        """Shows its client."""

        def process(self, task, sequence, step):
            """Look."""
            seen.append(self.connection)

    for params in ({}, {}, {"a": 1}):
        run(Looks, config={"url": URL, "params": params}, tools=shared)
    assert seen[0] is seen[1]
    assert seen[0] is not seen[2]
    assert isinstance(seen[0], httpx2.Client)
    shared.connections.close()
    assert seen[0].is_closed
    assert seen[2].is_closed
    run(Looks, config={"url": URL}, tools=shared)
    assert not seen[3].is_closed


def test_async_clients_are_closed_on_their_loop():
    """An async handler has an AsyncClient, which `aclose` closes."""
    shared, seen = tools(reply(200)), []

    class Looks(ApiStepHandler):
        """Shows its client."""

        async def process(self, task, sequence, step):
            """Look."""
            seen.append(self.connection)

    async def both():
        await attempt(Looks, config={"url": URL}, tools=shared).run_async()
        shared.connections.close()
        assert not seen[0].is_closed
        await shared.connections.aclose()

    asyncio.run(both())
    assert isinstance(seen[0], httpx2.AsyncClient)
    assert seen[0].is_closed


@pytest.mark.parametrize(("redirects", "status"), [(5, 200), (6, None)])
def test_redirects(redirects, status):
    """Five redirects are followed; a sixth is permanent."""

    def answer(request):
        number = int(request.url.params.get("n", 0))
        if number == redirects:
            return httpx2.Response(200)
        return httpx2.Response(302, headers={"Location": f"https://api.example/v1/x?n={number + 1}"})

    outcome = call(Get, answer)
    if status:
        assert outcome.results["status"] == status
    else:
        assert (outcome.error.kind, outcome.error.code) == ("permanent", "TOO_MANY_REDIRECTS")


def test_transport_errors_are_retried():
    """No answer at all is retryable; the message names the kind and the request, and no query."""
    error = call(Get, httpx2.ConnectTimeout("")).error
    assert error.kind == "retryable"
    assert error.message == "ConnectTimeout in GET https://api.example/v1/things/1: "
    assert "in process" in error.backtrace


def test_raise_for_status_is_classified():
    """A handler that calls raise_for_status gets the same kinds; one accepted status stays its own error."""

    class Raises(ApiStepHandler):
        """Raises by itself."""

        def process(self, task, sequence, step):
            """Ask."""
            return self.connection.get("x").raise_for_status()

    assert call(Raises, reply(503, headers={"Retry-After": "7"})).retry_after == 7
    assert call(Raises, reply(410)).error.code == "HTTP_410"
    assert call(Raises, reply(410), accept=[410]).error.type.endswith("HTTPStatusError")


@pytest.mark.parametrize(
    ("keys", "body"),
    [({"json": [1]}, [1]), ({"text": "plain"}, "plain"), ({}, ""), ({"content": b'{"x": NaN}'}, '{"x": NaN}')],
)
def test_bodies(keys, body):
    """JSON is parsed; what is no JSON is kept as text."""
    results = call(Get, reply(200, **keys)).results
    assert (results["body"], set(results)) == (body, {"status", "headers", "body"})


@pytest.mark.parametrize(
    ("status", "accept", "seen"), [(200, None, [200]), (404, [404], [404]), (404, None, []), (503, None, [])]
)
def test_process_results_sees_only_successes(status, accept, seen):
    """What is no success never gets there."""
    told = []

    class Looks(Get):
        """Looks at what it gets."""

        def process_results(self, step, process_output, initial_results):
            """Look."""
            told.append(process_output.status_code)

    call(Looks, reply(status), accept=accept)
    assert told == seen


def test_a_secret_at_the_cut_is_masked_whole():
    """The body is masked before the message takes its first 500 characters."""
    told = run(
        Get,
        config={"url": URL},
        secrets={"KEY": "secret-of-20-letters"},
        tools=tools(reply(400, text="x" * 490 + "secret-of-20-letters")),
    )
    assert told.error.message.endswith("x[ENV:KEY]")


def test_an_accepted_status_that_the_handler_refuses_tells_no_query():
    """What `raise_for_status` says of an accepted status names the request as every error does."""

    class Raises(ApiStepHandler):
        """Raises by itself."""

        def process(self, task, sequence, step):
            """Ask."""
            return self.connection.get("x", params={"token": "hidden"}).raise_for_status()

    message = call(Raises, reply(410), accept=[410]).error.message
    assert message == "410 from GET https://api.example/v1/x, which the handler did not take"


class Values(ApiStepHandler):
    """Returns something else than the response."""

    def process(self, task, sequence, step):
        """Ask and pick."""
        return self.get_from_results(self.connection.get("x"), "items", 0, "id")


def test_get_from_results():
    """It reads keys and list places; what is absent is permanent and named."""
    assert call(Values, reply(200, json={"items": [{"id": 4}]})).results == 4
    for body in ({"items": []}, {"items": {"0": 1}}, {}, {"items": [{}]}, [], {"items": "text"}):
        error = call(Values, reply(200, json=body)).error
        assert (error.kind, "items.0.id" in error.message) == ("permanent", True)
    with pytest.raises(PermanentError):
        Values().get_from_results({"a": 1}, "b")


def test_outside_of_attempts():
    """Without an attempt there is no connection."""
    with pytest.raises(TaskerError, match="attempt"):
        _ = Get().connection


def test_odd_responses():
    """A response that the handler made itself, or whose body cannot be read any more, is classified all the same."""

    class Makes(ApiStepHandler):
        """Makes its own response."""

        def process(self, task, sequence, step):
            """Answer."""
            return httpx2.Response(409, text="mine")

    class Streams(ApiStepHandler):
        """Lets the stream go."""

        def process(self, task, sequence, step):
            """Ask."""
            with self.connection.stream("GET", "x") as response:
                return response

    assert call(Makes, reply(200)).error.message == "409 from a response without a request: mine"
    assert call(Streams, reply(409, content=iter([b"x"]))).error.message.endswith("(the body cannot be read)")


def test_other_errors_of_requests():
    """A body that cannot be decoded is a broken answer; an error without a request is told, too."""
    undecoded = call(Get, reply(200, headers={"content-encoding": "gzip"}, content=iter([b"no gzip"])))
    assert undecoded.error.kind == "retryable"
    assert undecoded.error.message.startswith("DecodingError in GET https://api.example/v1/things/1: ")
    assert str(explained(httpx2.ReadError("lost"))) == "ReadError in a request: lost"
