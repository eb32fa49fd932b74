"""Whatever is sent to any route, pages too, is answered: never with a fault, and every refusal of the API says why."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.integration.http_kit import application, client, create, every_route, key_of, keys

STREAMS = {"/v1/events/stream", "/live"}  # have no end where they are let in
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW")
ODD = (
    "", "0", "-1", "1e9", "9" * 40, "@", "@9", "@" + "9" * 30, "null", "true", "[]", "{}", "%00", "%ff", "..",
    "%2e%2e%2f", "$control", "a" * 300, "\u202e", "\U0001f600", "<script>", "'; --", "2026-01-01T00:00:00Z",
    "0000-00-00T99:99:99Z", "a:b=c", "step.*", "[", "application/json;q=x", "*/*;q=-1", "Bearer", "Bearer \x7f", "*",
)  # fmt: skip
NAMES = (
    "at", "at_least", "after", "limit", "cursor", "status", "tag", "annotation", "created_after", "type", "task_id",
    "namespace", "step", "version", "hours", "text", "name", "next", "strange",
)  # fmt: skip
HEADERS = (
    "Accept", "Authorization", "X-API-Key", "Cookie", "Content-Type", "Content-Encoding", "Origin", "Host", "Referer",
    "Last-Event-ID", "Idempotency-Key", "X-Correlation-ID", "X-Request-ID", "traceparent", "X-Forwarded-Proto",
    "Sec-Fetch-Site", "Range", "Expect", "If-None-Match",
)  # fmt: skip
_app = application(keys())


@pytest.fixture(scope="module", autouse=True)
def house():
    """Let there be something to ask for."""
    with _app:
        http = client(_app, "root")
        VALUES.extend(create(http, name)["id"] for name in ("order", "failing", "signing"))
        _app.run_until_idle()
        yield


VALUES: list[str] = [*ODD, "order", "default", "fetch", "pay"]
odd = st.one_of(st.deferred(lambda: st.sampled_from(VALUES)), st.text(max_size=20))
in_header = odd.map(lambda text: text.encode("utf-8", "replace").replace(b"\r", b"").replace(b"\n", b""))
json_like = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), odd),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.one_of(st.sampled_from(NAMES), odd), inner, max_size=4)
    ),
    max_leaves=6,
)
paths = st.sampled_from(sorted({route.path for route in every_route(_app)} - STREAMS))


@st.composite
def requests(draw):
    """Give method, path and what goes with them."""
    place = re.sub(r"\{\w+[^}]*\}", lambda _: _segment(draw(odd)), draw(paths))
    query = draw(st.lists(st.tuples(st.one_of(st.sampled_from(NAMES), odd), odd), max_size=3))
    headers = draw(st.dictionaries(st.sampled_from(HEADERS), in_header, max_size=3))
    body = draw(st.one_of(st.none(), st.binary(max_size=40), json_like.map(_json)))
    if draw(st.booleans()):
        headers = {"Authorization": f"Bearer {key_of('root')}".encode(), **headers}
    if body is not None:
        headers = {"Content-Type": b"application/json", **headers}
    more = {} if body is None else {"content": body}
    return draw(st.sampled_from(METHODS)), place, {"params": _texts(query), "headers": headers, **more}


@pytest.mark.slow
@settings(max_examples=300, suppress_health_check=list(HealthCheck))
@given(requests())
def test_no_request_finds_a_fault(asked):
    """Any method, path, query, header and body, from somebody known or not: no 5xx, and problems are documents."""
    method, place, more = asked
    answer = client(_app, raise_server_exceptions=False).request(method, place, follow_redirects=False, **more)
    assert answer.status_code < 500, answer.text
    if answer.status_code >= 400 and place.startswith("/v1/") and method != "HEAD":
        assert answer.headers["content-type"] == "application/problem+json"
        assert {"type", "title", "status", "detail"} <= answer.json().keys()


def _segment(text: str) -> str:
    """Write a text as a segment of a path: some characters as they are, so that odd paths come about, too."""
    return re.sub(r"[^\w.~%$@:*-]", lambda one: "".join(f"%{byte:02x}" for byte in _bytes(one[0])), text) or "_"


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "replace")


def _texts(query: list[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(_bytes(name).decode(), _bytes(value).decode()) for name, value in query]


def _json(value: object) -> bytes:
    return json.dumps(value).encode("utf-8", "replace")
