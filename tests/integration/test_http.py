"""The HTTP API: tasks are created, read, steered and explained as in Python."""

from __future__ import annotations

import pytest

from tests.integration.http_kit import application, application_on, client, create, keys, problem


@pytest.fixture(params=["memory", "postgres"])
def app(request):
    """Give an application on each kind of log."""
    with application_on(request.param) as made:
        yield made


#: For what has nothing to do with the log.
one_log = pytest.mark.parametrize("app", ["memory"], indirect=True)


@pytest.fixture
def http(app):
    """Give a client of it."""
    return client(app)


def test_a_task_is_created_run_and_shown(app, http):
    """POST answers 201 with the task, its place and where it is; then it runs, and GET shows every result."""
    answer = http.post("/v1/tasks", json={"name": "order", "context": {"order_id": 7}, "tags": ["vip"]})
    assert answer.status_code == 201
    made = answer.json()
    assert answer.headers["tasker-position"] == str(made["position"]) == "1"
    assert answer.headers["location"] == f"tasks/{made['id']}"
    assert (made["status"], made["version"], made["tags"]) == ("pending", "1.1.0", ["vip"])
    app.run_until_idle()
    shown = http.get(f"/v1/tasks/{made['id']}").json()
    assert shown["status"] == "complete"
    assert shown["context"] == {"order_id": 7}
    assert [step["results"] for step in shown["steps"]] == [{"seen": 7}, {"seen": 7}]
    assert [step["depends_on"] for step in shown["steps"]] == [[], ["fetch"]]
    assert shown["completed_at"] == "2026-01-01T00:00:00.000000Z"


def test_the_ids_of_a_request_are_recorded(app, http):
    """The trace that a request belongs to, and its own id, stand with the task that it made; rubbish is passed over."""
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    headers = {"traceparent": parent, "tracestate": "shop=1", "X-Request-ID": "r-7", "X-Correlation-ID": "c-7"}
    made = http.post("/v1/tasks", json={"name": "order"}, headers=headers).json()
    assert made["correlation_id"] == "c-7"
    first = next(app.events(made["id"]))
    assert dict(first.metadata) == {"traceparent": parent, "tracestate": "shop=1", "request_id": "r-7"}
    shown = http.get(f"/v1/tasks/{made['id']}/events").json()["items"][0]
    assert (shown["traceparent"], shown["correlationid"]) == (parent, "c-7")
    assert http.post("/v1/tasks", json={"name": "order"}, headers={"traceparent": "x"}).status_code == 201


def test_a_known_identity_answers_200_with_the_existing_task(http):
    """The same key is the same task, in the body as in the header; with another context it is a conflict."""
    first = create(http, context={"order_id": 1}, idempotency_key="k")
    again = http.post("/v1/tasks", json={"name": "order", "context": {"order_id": 1}}, headers={"Idempotency-Key": "k"})
    assert (again.status_code, again.json()["id"]) == (200, first["id"])
    other = http.post("/v1/tasks", json={"name": "order", "context": {"order_id": 2}, "idempotency_key": "k"})
    assert problem(other, 409)["field"] == "context"
    both = http.post("/v1/tasks", json={"name": "order", "idempotency_key": "k"}, headers={"Idempotency-Key": "l"})
    assert problem(both, 409)["field"] == "idempotency_key"


@one_log
@pytest.mark.parametrize(
    ("body", "status", "path"),
    [
        (b"{", 400, "$"),
        (b'{"name": NaN}', 400, "$"),
        (b"[" * 100_000, 400, "$"),
        (b"\xff", 400, "$"),
        (b"[]", 422, "$"),
        (b"{}", 422, "$.name"),
        (b'{"name": "order", "contxt": {}}', 422, "$.contxt"),
        (b'{"name": "order", "context": {"order_id": 0}}', 422, "$.order_id"),
        (b'{"name": "order", "priority": 101}', 422, "$.priority"),
        (b'{"name": "order", "tags": [1]}', 422, "$.tags[0]"),
        (b'{"name": "order", "not_before": "tomorrow"}', 422, "$.not_before"),
        (b'{"name": "order", "context": {"a": 18446744073709551616}}', 422, "$.a"),
        (b'{"name": "order", "bypass_steps": ["fetch"]}', 422, "$.bypass_steps[0]"),
    ],
)
def test_a_wrong_request_names_the_field_and_appends_nothing(app, http, body, status, path):
    """Every refusal of a body is a problem document with the JSON path, and nothing is half applied."""
    answer = http.post("/v1/tasks", content=body, headers={"Content-Type": "application/json"})
    assert path in problem(answer, status)["problems"]
    assert list(app.events()) == []


@one_log
def test_a_body_is_json_of_a_bounded_size(app, http):
    """Other media types are refused, so that no form of another site can write; and so is what is too long."""
    form = http.post("/v1/tasks", content=b'{"name": "order"}', headers={"Content-Type": "text/plain"})
    problem(form, 415)
    large = http.post("/v1/tasks", json={"name": "order", "context": {"a": "x" * 1_000_000}})
    problem(large, 413)
    chunks = http.post(
        "/v1/tasks", content=(b" " * 100_000 for _ in range(20)), headers={"Content-Type": "application/json"}
    )
    problem(chunks, 413)
    context = http.post("/v1/tasks", json={"name": "order", "context": {"a": "x" * 300_000}})
    problem(context, 413)
    assert list(app.events()) == []


def test_what_is_not_there_is_a_404_that_helps(http):
    """Unknown tasks, steps, definitions and paths are told apart, and near names are offered."""
    task = create(http)
    assert problem(http.get("/v1/tasks/nope"), 404)["title"] == "Unknown task"
    assert problem(http.get(f"/v1/tasks/{task['id'][:-1]}0"), 404)["title"] == "Unknown task"
    assert "'fetch'" in problem(http.get(f"/v1/tasks/{task['id']}/steps/fetsh"), 404)["detail"]
    assert "'order'" in problem(http.post("/v1/tasks", json={"name": "ordr"}), 404)["detail"]
    assert problem(http.get("/v2"), 404)["title"] == "Not found"
    answer = http.delete("/v1/tasks")
    assert problem(answer, 405)["title"] == "Method not allowed"
    assert answer.headers["allow"] in {"GET", "POST", "GET, POST"}


def test_a_failed_task_is_found_explained_repaired_and_completes(app, http):
    """Create, stuck, list, why, repair with a recorded reason: what an operator does, over HTTP alone."""
    task = create(http, "failing")
    app.run_until_idle()
    listed = http.get("/v1/tasks", params={"status": "error"}).json()["items"]
    assert [one["id"] for one in listed] == [task["id"]]
    assert listed[0]["recommended_action"] == "retry"
    told = http.get(f"/v1/tasks/{task['id']}/why").json()["items"]
    assert any("no such card" in one["text"] for one in told)
    http.patch(f"/v1/tasks/{task['id']}", json={"reason": "fixed"})
    answer = http.post(f"/v1/tasks/{task['id']}/retry", json={"reason": "the card works again"})
    assert (answer.status_code, answer.json()["status"]) == (200, "in_progress")
    app.run_until_idle()
    assert http.get(f"/v1/tasks/{task['id']}").json()["status"] == "complete"
    retried = next(app.events(task["id"], types="task.retried"))
    assert (retried.actor, retried.body["reason"]) == ("anonymous", "the card works again")
    detail = http.get(f"/v1/tasks/{task['id']}/steps/pay").json()
    assert [one["outcome"] for one in detail["history"]] == ["failed", "completed"]
    assert detail["history"][0]["error"]["code"] == "DECLINED"


def test_a_waiting_step_is_completed_from_outside(app, http):
    """An approval is one POST; the same again is a repeat, other results are refused."""
    task = create(http, "signing")
    app.run_until_idle()
    path = f"/v1/tasks/{task['id']}/steps/sign/complete"
    assert http.post(path, json={"results": {"signed": True}}).status_code == 200
    assert http.post(path, json={"results": {"signed": True}}).status_code == 200
    problem(http.post(path, json={"results": {"signed": False}}), 409)
    app.run_until_idle()
    assert http.get(f"/v1/tasks/{task['id']}").json()["status"] == "complete"


def test_every_command_of_the_operators_is_a_route(app, http):
    """Each command does over HTTP what it does in Python."""
    one, two = create(http, "failing")["id"], create(http, "signing")["id"]
    app.run_until_idle()

    def post(path: str, **body: object) -> dict[str, object]:
        answer = http.post(f"/v1/tasks/{path}", json=body)
        assert answer.status_code in {200, 201}, answer.text
        return answer.json()

    assert post(f"{two}/pause")["paused"] is True
    assert post(f"{two}/resume", reason="go on")["paused"] is False
    noted = post(f"{two}/annotations", type="refund", annotation={"amount": 2})
    assert noted["annotations"][0]["annotation"] == {"amount": 2}
    assert http.get(f"/v1/tasks/{two}/annotations").json()["items"] == noted["annotations"]
    changed = http.patch(f"/v1/tasks/{two}/steps/file", json={"inputs": {"order_id": 5}, "retry_limit": 7}).json()
    assert changed["steps"][1]["retry_limit"] == 7
    assert post(f"{two}/steps/file/cancel")["steps"][1]["status"] == "cancelled"
    assert post(f"{two}/cancel")["status"] == "cancelled"
    assert post(f"{one}/steps/pay/reset", rerun=True)["status"] == "in_progress"
    app.run_until_idle()
    assert post(f"{one}/resolve")["status"] == "resolved_manually"
    three = create(http, "failing")["id"]
    app.run_until_idle()
    assert post(f"{three}/steps/pay/resolve", results={"paid": "in cash"})["steps"][0]["results"] == {"paid": "in cash"}
    assert http.patch(f"/v1/tasks/{three}", json={"tags": ["a", "b"]}).json()["tags"] == ["a", "b"]


def test_a_command_on_what_was_not_seen_is_refused(app, http):
    """With expected_version a command is refused once the task has moved on, and changes nothing."""
    task = create(http)
    seen = task["stream_version"]
    assert http.post(f"/v1/tasks/{task['id']}/pause", json={"expected_version": seen}).status_code == 200
    late = http.post(f"/v1/tasks/{task['id']}/cancel", json={"expected_version": seen})
    assert problem(late, 409)["field"] == "expected_version"
    assert http.get(f"/v1/tasks/{task['id']}").json()["status"] == "pending"
    wrong = http.post(f"/v1/tasks/{task['id']}/cancel", json={"expected_version": "1"})
    assert "$.expected_version" in problem(wrong, 422)["problems"]


def test_the_past_is_shown_at_a_version_a_position_or_a_time(app, http):
    """`at` takes the three forms; before its creation a task is unknown, and nonsense is named."""
    task = create(http)
    app.run_until_idle()
    path = f"/v1/tasks/{task['id']}"
    assert http.get(path, params={"at": "1"}).json()["status"] == "pending"
    assert http.get(path, params={"at": "@1"}).json()["status"] == "pending"
    assert http.get(path, params={"at": "2026-01-01T00:00:00Z"}).json()["status"] == "complete"
    problem(http.get(path, params={"at": "2025-01-01T00:00:00Z"}), 404)
    assert "query.at" in problem(http.get(path, params={"at": "soon"}), 422)["problems"]
    assert http.get(f"{path}/graph", params={"at": "1"}).json()["nodes"][0]["status"] == "pending"


def test_lists_are_filtered_and_paged_by_an_opaque_cursor(app, http):
    """Filters hold together, pages follow each other without gap or repeat, and a cursor is of one query."""
    made = [
        create(http, context={"order_id": 1 + number}, tags=["odd"] if number % 2 else [])["id"] for number in range(7)
    ]
    first = http.get("/v1/tasks", params={"limit": 3}).json()
    second = http.get("/v1/tasks", params={"limit": 3, "cursor": first["cursor"]}).json()
    third = http.get("/v1/tasks", params={"limit": 3, "cursor": second["cursor"]}).json()
    assert [one["id"] for page in (first, second, third) for one in page["items"]] == made[::-1]
    assert third["cursor"] is None
    assert [one["id"] for one in http.get("/v1/tasks?tag=odd").json()["items"]] == [made[5], made[3], made[1]]
    problem(http.get("/v1/tasks", params={"tag": "odd", "cursor": first["cursor"]}), 422)
    http.post(f"/v1/tasks/{made[0]}/annotations", json={"type": "refund", "annotation": {"state": "open"}})
    found = http.get("/v1/tasks", params={"annotation": 'refund:state="open"'}).json()["items"]
    assert [one["id"] for one in found] == [made[0]]
    assert http.get("/v1/annotation-types").json() == {"items": ["refund"]}
    for wrong in ("limit=0", "limit=201", "limit=x", "status=done", "colour=red", "annotation=x", "created_after=x"):
        assert problem(http.get(f"/v1/tasks?{wrong}"), 422)["problems"]


def test_a_read_shows_at_least_what_was_written(app, http):
    """`at_least` of a write is always there to be read; one that the log never had is a conflict, at once."""
    answer = http.post("/v1/tasks", json={"name": "order"})
    position = answer.headers["tasker-position"]
    assert len(http.get("/v1/tasks", params={"at_least": position}).json()["items"]) == 1
    late = http.get(f"/v1/tasks/{answer.json()['id']}", params={"at_least": 99})
    assert problem(late, 409)["field"] == "at_least"
    assert problem(http.get("/v1/tasks?at_least=99"), 409)["field"] == "at_least"


def test_definitions_and_the_catalogue_are_shown(http):
    """Handlers have versions, steps and a graph; the catalogue has every event with its schema."""
    listed = http.get("/v1/handlers").json()["items"]
    assert {
        "namespace": "default",
        "name": "order",
        "versions": ["1.0.0", "1.1.0"],
        "description": "",
        "steps": 2,
    } in listed
    shown = http.get("/v1/handlers/default/order").json()
    assert (shown["version"], shown["graph"]["edges"]) == ("1.1.0", [{"parent": "fetch", "child": "ship"}])
    assert http.get("/v1/handlers/default/order?version=1.0.0").json()["version"] == "1.0.0"
    problem(http.get("/v1/handlers/default/nope"), 404)
    found = http.get("/v1/catalog", params={"text": "task.completed"}).json()["items"]
    assert [one["name"] for one in found] == ["task.completed"]
    assert found[0]["schema"]["properties"]


@one_log
@pytest.mark.parametrize(
    ("accept", "kind", "begins"),
    [
        ("*/*", "text/vnd.mermaid", "flowchart TD"),
        ("image/svg+xml", "image/svg+xml", "<svg"),
        ("image/*;q=0.5, application/json;q=0.4", "image/svg+xml", "<svg"),
        ("application/json", "application/json", '{"nodes"'),
    ],
)
def test_a_diagram_is_drawn_as_accept_prefers(app, http, accept, kind, begins):
    """A task and a definition are drawn as Mermaid, SVG or JSON; what there is not is a 406."""
    task = create(http)
    app.run_until_idle()
    for path in (f"/v1/tasks/{task['id']}/diagram", "/v1/handlers/default/order/diagram"):
        answer = http.get(path, headers={"Accept": accept})
        assert answer.headers["content-type"].partition(";")[0] == kind
        assert answer.text.startswith(begins)
    assert "complete" in http.get(f"/v1/tasks/{task['id']}/diagram", headers={"Accept": accept}).text
    problem(http.get("/v1/handlers/default/order/diagram", headers={"Accept": "audio/midi"}), 406)


def test_scopes_are_paused_and_resumed(app, http):
    """A pause of everything is an event, and nothing starts until it is taken back."""
    event = http.post("/v1/control/pause", json={"scope": "all", "reason": "deploy"})
    assert event.headers["tasker-position"] == "1"
    assert (event.json()["type"], event.json()["data"]["actor"]) == ("tasker.control.paused", "anonymous")
    task = create(http)
    app.run_until_idle()
    assert http.get(f"/v1/tasks/{task['id']}/why").json()["items"][0]["code"] == "paused"
    assert http.post("/v1/control/resume", json={"scope": "all"}).status_code == 200
    app.run_until_idle()
    assert http.get(f"/v1/tasks/{task['id']}").json()["status"] == "complete"
    assert "$.scope" in problem(http.post("/v1/control/pause", json={"scope": "some"}), 422)["problems"]
    assert "$.scope" in problem(http.post("/v1/control/pause", json={}), 422)["problems"]


def test_analytics_count_and_measure_from_the_log(app, http):
    """Throughput, rates, percentiles, the slowest, the errors and what they block are there, and filtered."""
    for _ in range(3):
        create(http)
    create(http, "failing")
    app.run_until_idle()
    windows = http.get("/v1/analytics/performance").json()["windows"]
    assert [one["hours"] for one in windows] == [1, 4, 24]
    assert [(one["created"], one["completed"], one["failed"]) for one in windows] == [(4, 3, 1)] * 3
    assert windows[0]["error_rate"] == 0.25
    assert windows[0]["step_seconds"]["count"] == 6
    found = http.get("/v1/analytics/bottlenecks").json()
    assert found["error_types"] == [{"type": "tasker.errors.PermanentError", "count": 1, "final": 1}]
    assert found["blocking_steps"][0]["blocked_steps"] == 1
    assert len(found["slowest_tasks"]) == 4
    assert http.get("/v1/analytics/bottlenecks?name=order").json()["error_types"] == []
    assert http.get("/v1/analytics/bottlenecks?version=9.9.9").json()["slowest_tasks"] == []


def test_a_fault_is_a_500_without_details(app):
    """What nobody expected is logged, and tells the caller nothing of the inside."""
    http = client(app, raise_server_exceptions=False)
    app.asgi.state.service.engine.context.catalog = None
    assert "NoneType" not in problem(http.get("/v1/catalog"), 500)["detail"]


def test_it_can_be_mounted_into_another_application(app):
    """Under a prefix of a host application every route works, and so does the document."""
    from fastapi import FastAPI
    from starlette.testclient import TestClient

    host = FastAPI()
    host.mount("/tasker", app.asgi)
    http = TestClient(host, "http://localhost", client=("127.0.0.1", 1))
    made = http.post("/tasker/v1/tasks", json={"name": "order"})
    assert made.status_code == 201
    assert http.get(f"/tasker/v1/tasks/{made.json()['id']}").status_code == 200
    assert http.get("/tasker/openapi.json").json()["servers"] == [{"url": "/tasker"}]
    assert http.get("/tasker/docs").status_code == 200


def test_the_application_is_one_and_needs_a_living_tasker():
    """`asgi` is the same each time, and after close it is refused like everything else."""
    from tasker.errors import TaskerError

    app = application(keys())
    assert app.asgi is app.asgi
    app.close()
    with pytest.raises(TaskerError, match="closed"):
        _ = app.asgi
