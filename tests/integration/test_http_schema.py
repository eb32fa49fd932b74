"""The OpenAPI document says exactly what the API does: requests made from it find no fault."""

from __future__ import annotations

import jsonschema
import pytest
import schemathesis
from hypothesis import HealthCheck, assume, settings
from jsonschema import Draft202012Validator

from tests.integration.http_kit import ADDRESS, application, client, create, key_of, keys

LONGEST_ID = 64
_ROOT = {"Authorization": f"Bearer {key_of('root')}"}
_app = application(keys())
_http = client(_app, "root")
_known: list[str] = []
schema = schemathesis.openapi.from_asgi("/openapi.json", _app.asgi).exclude(path="/v1/events/stream")


@pytest.fixture(scope="module", autouse=True)
def house():
    """Let there be something to ask for."""
    with _app:
        _known.extend(create(_http, name)["id"] for name in ("order", "failing", "signing"))
        _app.run_until_idle()
        yield


@schemathesis.hook
def map_path_parameters(context, path_parameters):
    """Ask now and then for a task that there is: one in two ids, by its length."""
    length = len(str((path_parameters or {}).get("task_id", "")))
    if length % 2 and length <= LONGEST_ID:
        path_parameters["task_id"] = _known[length % 3]
    return path_parameters


def nested(value: object) -> bool:
    """Say whether a value of a query would be sent as a text, and be one then, or as an empty list not at all."""
    inside = value if isinstance(value, list) else [value]
    return not inside or value is None or any(isinstance(one, list | dict) for one in inside)


def huge(value: object) -> bool:
    """Say whether there is an integer in it that 64 bits cannot hold."""
    if isinstance(value, dict | list):
        return any(huge(one) for one in (value.values() if isinstance(value, dict) else value))
    return isinstance(value, int) and not -(2**63) <= value < 2**63


@pytest.mark.slow
@schema.parametrize()
@settings(max_examples=10, suppress_health_check=list(HealthCheck))
def test_no_request_finds_a_fault(case):
    """Whatever is sent, right or wrong: never a 500, every answer is documented, and wrong data is refused."""
    assume("cursor" not in (case.query or {}))  # it is opaque: what no page gave is refused
    assume(not any(nested(one) for one in (case.query or {}).values()))
    assume("'0000-" not in str(case.body))  # a year that the published pattern has and no calendar
    assume("\\x00" not in repr(case.body))  # refused at any depth, which the schema of free JSON does not say
    assume(not huge(case.body))  # as are these
    assert case.call_and_validate(headers=_ROOT, base_url=ADDRESS).status_code < 500


@pytest.fixture(scope="module")
def document():
    """Give the document."""
    return _app.asgi.openapi()


def answers() -> list[str]:
    """Give a path for every GET, with things that are there."""
    of_task = ("", "/steps", "/steps/fetch", "/events", "/why", "/graph", "/annotations")
    whole = ("tasks", "events", "catalog", "handlers", "handlers/default/order", "workers", "subscriptions")
    others = ("analytics/performance", "analytics/bottlenecks", "annotation-types")
    paths = [f"/v1/tasks/{{0}}{rest}" for rest in of_task] + ["/v1/tasks/{1}/steps/pay", "/v1/tasks/{2}/steps/sign"]
    return [*paths, *(f"/v1/{one}" for one in (*whole, *others)), "/health/live", "/health/ready", "/health/status"]


@pytest.mark.parametrize("path", answers())
def test_every_answer_is_exactly_as_documented(document, path):
    """An answer has all members of its schema, of their types, and no other ones."""
    path = path.format(*_known)
    template = next(one for one in document["paths"] if matches(one, path))
    described = document["paths"][template]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    answer = _http.get(path)
    assert answer.status_code == 200
    validator = Draft202012Validator({**described, "components": document["components"]})
    assert [error.message for error in validator.iter_errors(answer.json())] == []


def matches(template: str, path: str) -> bool:
    """Say whether a path is of a template; fixed words win over names."""
    ours, theirs = template.split("/"), path.split("/")
    return len(ours) == len(theirs) and all(a == b or a.startswith("{") for a, b in zip(ours, theirs, strict=True))


def test_the_body_of_a_request_is_the_schema_of_every_way(document):
    """POST /v1/tasks takes what `schemas/task-request.json` says, word for word."""
    from tasker.catalog.publish.request import Bounds, task_request
    from tasker.runtime.request import HIGHEST_PRIORITY, LONGEST_KEY, LONGEST_WORD

    sent = document["paths"]["/v1/tasks"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    whole = task_request(Bounds(LONGEST_WORD, LONGEST_KEY, HIGHEST_PRIORITY))
    assert sent == {key: value for key, value in whole.items() if key != "$schema"}
    jsonschema.validate({"name": "order"}, sent)
