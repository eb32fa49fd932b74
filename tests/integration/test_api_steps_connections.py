"""What attempts of API steps share and what they do not: connections, cookies, keys, traces, time."""

from __future__ import annotations

import asyncio
import threading

import httpx2
import pytest

from tasker import ApiStepHandler
from tasker.handlers import api_client
from tasker.testing import FrozenClock, run_step
from tests.integration.api_kit import Call, CallLater, cut, hang, redirect, reply, run_api, stub
from tests.integration.runner_kit import PATIENCE, eventually, memory_app, plan, step
from tests.unit.telemetry.kit import host

COMPLETE = "complete"
OK = reply(200, b"{}")


@pytest.fixture
def server():
    """Serve on loopback."""
    with stub() as running:
        yield running


@pytest.fixture(params=[Call, CallLater], ids=["sync", "async"])
def handler(request):
    """Give a sync handler and an async one."""
    return request.param


def api(url: str, **keys: object) -> dict[str, object]:
    """Configure an API step."""
    return {"type": "api", "url": url, **keys}


def test_attempts_share_connections(server, handler):
    """Tasks that run one after the other use one connection, whichever definition they are of."""
    server.on("/things", OK)
    config = api(server.url, path="things", method="POST")
    definitions = [plan(step("a", handler, handler_config=config), name=name) for name in ("first", "second")]
    with memory_app(*definitions) as app:
        for number in range(10):
            task = app.submit(name=definitions[number % 2].name)
            assert app.run_until_complete(task.id).status == COMPLETE
    assert len(server.seen) == 10
    assert server.connections == 1
    eventually(lambda: server.open == 0)  # closed with the worker


def test_another_configuration_has_connections_of_its_own(server, handler):
    """What differs in a timeout, in headers, in checks of certificates shares nothing."""
    server.on("/things", OK)
    configs = [api(server.url, path="things", headers={"X-Shop": name}) for name in ("a", "b", "a")]
    steps = [step(f"s{number}", handler, handler_config=config) for number, config in enumerate(configs)]
    with memory_app(plan(*steps, concurrent=False)) as app:
        app.submit(name="plan")
        app.run_until_idle()
    assert [one.headers["x-shop"] for one in server.seen] == ["a", "b", "a"]
    assert server.connections == 2


def test_a_kept_connection_that_the_server_has_closed_is_no_failure(server, handler):
    """A connection that went while nobody used it is replaced without costing an attempt."""
    server.on("/things", cut(OK))
    with memory_app(plan(step("a", handler, handler_config=api(server.url, path="things")))) as app:
        for _ in range(3):
            task = app.submit(name="plan")
            assert app.run_until_complete(task.id).step("a").attempts == 1
            eventually(lambda: server.open == 0)
    assert server.connections == 3


class Many(ApiStepHandler):
    """Asks for much at once."""

    async def process(self, task, sequence, step):
        """Ask."""
        asked = (self.connection.get("things") for _ in range(12))
        answers = await asyncio.gather(*asked, return_exceptions=True)
        for failed in (one for one in answers if isinstance(one, Exception)):
            raise failed
        return [answer.status_code for answer in answers]


def test_a_client_has_a_bounded_number_of_connections(server, monkeypatch):
    """Requests beyond the bound wait for a connection; a step that gets none within the timeout is retried."""
    monkeypatch.setattr(api_client, "LIMITS", httpx2.Limits(max_connections=3, max_keepalive_connections=3))
    server.on("/things", hang(server))
    ended = run_api(Many, FrozenClock(), url=server.url, timeout_seconds=0.3)
    assert (ended.status, ended.error.kind) == ("waiting_for_retry", "retryable")
    assert "Timeout in GET" in ended.error.message


def test_no_more_requests_than_connections_are_under_way(server, monkeypatch):
    """As many as the bound says are sent at once, never more."""
    monkeypatch.setattr(api_client, "LIMITS", httpx2.Limits(max_connections=3, max_keepalive_connections=3))
    barrier, lock, inside, most = threading.Barrier(3), threading.Lock(), [], []

    def together(one, request):
        with lock:
            inside.append(request)
            most.append(len(inside))
        barrier.wait(PATIENCE)
        with lock:
            inside.remove(request)
        one.sendall(reply(200, b"{}", connection="close"))

    server.on("/things", together)
    assert run_api(Many, url=server.url).results == [200] * 12
    assert max(most) == 3


class Enters(ApiStepHandler):
    """Takes the client for its own."""

    def process(self, task, sequence, step):
        """Ask, and close the client."""
        with self.connection as connection:
            return connection.get("things")


def test_a_client_that_a_handler_has_closed_is_replaced(server):
    """Whoever closes the shared client, knowingly or by `with`, does no harm to those who come later."""
    server.on("/things", OK)
    config = api(server.url, path="things")
    with memory_app(plan(step("a", Enters, handler_config=config))) as app:
        for _ in range(3):
            assert app.run_until_complete(app.submit(name="plan").id).status == COMPLETE
    assert server.connections == 3


class SignsIn(ApiStepHandler):
    """Gets a cookie, and uses it."""

    def process(self, task, sequence, step):
        """Ask twice."""
        self.connection.get("sign-in")
        self.connection.cookies.set("basket", str(task.context["customer"]))
        return self.connection.get("things")


class SignsInLater(ApiStepHandler):
    """Gets a cookie, and uses it, on the loop."""

    async def process(self, task, sequence, step):
        """Ask twice."""
        await self.connection.get("sign-in")
        self.connection.cookies.set("basket", str(task.context["customer"]))
        return await self.connection.get("things")


@pytest.mark.parametrize("signs_in", [SignsIn, SignsInLater])
def test_cookies_last_for_the_attempt(server, signs_in):
    """What a server or the handler sets holds for the rest of the attempt, over redirects; no other task sends it."""
    server.on("/sign-in", reply(302, location="/signed-in", set_cookie="session=1; Path=/"))
    server.on("/signed-in", OK)
    server.on("/things", OK)
    with memory_app(plan(step("a", signs_in, handler_config=api(server.url)))) as app:
        for customer in (7, 8):
            task = app.submit(name="plan", context={"customer": customer})
            assert app.run_until_complete(task.id).status == COMPLETE
    assert [one.headers.get("cookie") for one in server.of("/sign-in")] == [None, None]
    assert [one.headers.get("cookie") for one in server.of("/signed-in")] == ["session=1", "session=1"]
    sent = [set(one.headers["cookie"].split("; ")) for one in server.of("/things")]
    assert sent == [{"session=1", "basket=7"}, {"session=1", "basket=8"}]


def test_the_idempotency_key_is_that_of_the_step(server, handler):
    """It is the same for every attempt and for a reset; `rerun=True` alone gives a new one; GET and PUT carry none."""
    server.on("/things", cut(b""), reply(503, retry_after="0"), redirect(307, "/moved"), reply(409))
    server.on("/moved", reply(500))
    config = {"path": "things", "retry_delay": 1, "jitter": 0}
    made = plan(
        step("pay", handler, handler_config=api(server.url, method="POST", **config)),
        step("note", handler, handler_config=api(server.url, method="PATCH", **config), depends_on_step="pay"),
    )
    clock = FrozenClock()
    with memory_app(made, clock=clock) as app:
        task = app.submit(name="plan")
        for _ in range(3):
            app.run_until_idle()
            clock.advance(60)
        app.reset_step(task.id, "pay")
        app.run_until_idle()
        app.reset_step(task.id, "pay", rerun=True)
        server.on("/things", OK)
        app.run_until_idle()
        assert app.task(task.id).status == COMPLETE
    keys = [one.headers["idempotency-key"] for one in server.seen]
    assert keys == [f"{task.id}:pay"] * 5 + [f"{task.id}:pay:1", f"{task.id}:note"]
    for method in ("GET", "PUT", "DELETE", "HEAD"):
        run_api(handler, url=server.url, path="things", method=method)
    assert all("idempotency-key" not in one.headers for one in server.seen[-4:])


def test_a_request_carries_the_trace_of_its_attempt(server, handler, monkeypatch):
    """`traceparent` names the span of the attempt, and what the server does lies below it; redirects carry it too."""
    server.on("/things", redirect(307, "/moved"))
    server.on("/moved", OK)
    given = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "tracestate": "shop=1"}
    with host(monkeypatch) as spans:
        with memory_app(plan(step("a", handler, handler_config=api(server.url, path="things")))) as app:
            app.submit(name="plan", metadata=given)
            app.run_until_idle()
        (attempt,) = spans.of_step("a")
    expected = f"00-{attempt.context.trace_id:032x}-{attempt.context.span_id:016x}-01"
    assert expected.startswith("00-0af7651916cd43dd8448eb211c80319c-")
    assert [one.headers["traceparent"] for one in server.seen] == [expected, expected]


def test_a_trace_of_ones_own_stays(server, monkeypatch):
    """A `traceparent` that the handler gives is sent as it is."""
    server.on("/things", OK)
    with host(monkeypatch):
        run_api(Call, url=server.url, path="things", send={"headers": {"traceparent": "mine"}})
    assert [one.headers["traceparent"] for one in server.seen] == ["mine"]


@pytest.mark.parametrize("enabled", [True, False])
def test_without_traces_nothing_is_sent(server, handler, monkeypatch, enabled):
    """Where nobody traces, or telemetry is off, requests carry no trace."""
    server.on("/things", OK)
    made = plan(step("a", handler, handler_config=api(server.url, path="things")))

    def run():
        with memory_app(made, settings={"telemetry": {"enabled": enabled}}) as app:
            app.submit(name="plan")
            app.run_until_idle()

    if enabled:
        run()
    else:
        with host(monkeypatch):
            run()
    assert [sorted(one.headers.keys() & {"traceparent", "tracestate"}) for one in server.seen] == [[]]


def test_the_timeout_of_the_step_ends_an_async_request(server):
    """An attempt whose time is over is cancelled, and gives its connection back."""
    server.on("/things", hang(server))
    config = api(server.url, path="things", timeout_seconds=None)
    made = plan(step("a", CallLater, handler_config=config, timeout_seconds=0.3, default_retry_limit=1))
    with memory_app(made, clock=None) as app:
        found = app.run_until_complete(app.submit(name="plan").id, timeout=PATIENCE).step("a")
        assert (found.status, found.error.kind) == ("error", "timeout")


def test_the_word_none_is_no_timeout(server):
    """`timeout_seconds: none` and None are accepted where the definition is registered and where it is used."""
    server.on("/things", OK)
    for none in ("none", None):
        assert run_api(Call, url=server.url, path="things", timeout_seconds=none).status == COMPLETE


def test_one_step_without_a_log(server):
    """`run_step` runs an API step against a real server, too."""
    server.on("/things", reply(429, retry_after="9"))
    outcome = run_step(Call, config={"url": server.url, "path": "things"})
    assert (outcome.delay, outcome.error.http_status) == (9, 429)


def test_yaml_of_the_original(server, tmp_path, monkeypatch):
    """`type: api` with url, params, headers and backoff, as the original writes it, with variables."""
    monkeypatch.setenv("API_URL", server.url)
    monkeypatch.setenv("API_KEY", "secret-1")
    monkeypatch.setenv("PAGE", "7")
    server.on("/v1/things", reply(503, retry_after="0"), OK)
    (tmp_path / "things.yaml").write_text(
        "name: things\n"
        "step_templates:\n"
        "  - name: fetch\n"
        "    handler_class: tests.integration.api_kit:Call\n"
        "    handler_config:\n"
        "      type: api\n"
        "      url: ${API_URL}/v1/\n"
        "      path: things\n"
        "      params: {page: '${PAGE}', tags: [a, b]}\n"
        "      headers: {X-Api-Key: '${API_KEY}', Accept: text/plain}\n"
        "      retry_delay: 0.5\n"
        "      enable_exponential_backoff: true\n",
        encoding="utf-8",
    )
    with memory_app() as app:
        app.load_definitions(tmp_path)
        task = app.submit(name="things")
        app.run_until_idle()
        assert app.task(task.id).step("fetch").attempts == 2
    request = server.seen[-1]
    assert request.target == "/v1/things?page=7&tags=a&tags=b"
    assert (request.headers["x-api-key"], request.headers["accept"]) == ("secret-1", "text/plain")
    assert request.headers["content-type"] == "application/json"


def test_a_repeated_parameter_of_the_url_stays():
    """The query of the url is sent whole, each value of it."""
    seen = []

    def answer(request):
        seen.append(request.url.params.multi_items())
        return httpx2.Response(200)

    config = {"url": "https://api.example/v1?tag=a&tag=b&page=1", "params": {"page": 2}}
    run_step(Call, config=config, transport=httpx2.MockTransport(answer))
    assert seen == [[("tag", "a"), ("tag", "b"), ("page", "2")]]
