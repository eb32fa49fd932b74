"""Who may do what: every route with every kind of caller, and what a caller without `context:read` does not see."""

from __future__ import annotations

import json
import sys
import types

import pytest
from fastapi.routing import APIRoute
from starlette.routing import Route

from tasker.errors import InvalidDefinition
from tasker.http.auth import Principal, check_address, hashed, new_key
from tasker.http.call import Needs
from tasker.http.page.routes import ROUTES as PAGES
from tasker.settings import Settings
from tests.integration.http_kit import (
    ADDRESS,
    KEYS,
    application,
    client,
    create,
    every_route,
    key_of,
    keys,
    problem,
)

CALLERS = ("no key", "bad key", "without the permission", "other namespace", "right key", "admin")
BODIES = {
    "/v1/tasks": {"name": "order"},
    "/v1/tasks/{task_id}/annotations": {"type": "note", "annotation": {"a": 1}},
    "/v1/control/pause": {"scope": "namespace:default"},
    "/v1/control/resume": {"scope": "namespace:default"},
}
OPEN, LIST, ONE, WHOLE = "open to all", "shows what is the caller's", "of one namespace", "of all namespaces"
#: Every route of the API: which permission it needs, and what it tells callers of other namespaces.
TABLE = {
    "GET /health/live": (None, OPEN),
    "GET /health/ready": (None, OPEN),
    "GET /health/status": ("task:read", LIST),
    "POST /v1/tasks": ("task:create", ONE),
    "GET /v1/tasks": ("task:read", LIST),
    "GET /v1/tasks/{task_id}": ("task:read", ONE),
    "PATCH /v1/tasks/{task_id}": ("task:update", ONE),
    "POST /v1/tasks/{task_id}/cancel": ("task:cancel", ONE),
    "POST /v1/tasks/{task_id}/pause": ("task:update", ONE),
    "POST /v1/tasks/{task_id}/resume": ("task:update", ONE),
    "POST /v1/tasks/{task_id}/retry": ("task:retry", ONE),
    "POST /v1/tasks/{task_id}/resolve": ("step:resolve", ONE),
    "GET /v1/tasks/{task_id}/annotations": ("task:read", ONE),
    "POST /v1/tasks/{task_id}/annotations": ("task:update", ONE),
    "GET /v1/tasks/{task_id}/why": ("task:read", ONE),
    "GET /v1/tasks/{task_id}/graph": ("task:read", ONE),
    "GET /v1/tasks/{task_id}/diagram": ("task:read", ONE),
    "GET /v1/tasks/{task_id}/events": ("event:read", ONE),
    "GET /v1/tasks/{task_id}/steps": ("task:read", ONE),
    "GET /v1/tasks/{task_id}/steps/{step}": ("task:read", ONE),
    "PATCH /v1/tasks/{task_id}/steps/{step}": ("task:update", ONE),
    "POST /v1/tasks/{task_id}/steps/{step}/reset": ("task:retry", ONE),
    "POST /v1/tasks/{task_id}/steps/{step}/resolve": ("step:resolve", ONE),
    "POST /v1/tasks/{task_id}/steps/{step}/complete": ("step:resolve", ONE),
    "POST /v1/tasks/{task_id}/steps/{step}/cancel": ("task:cancel", ONE),
    "GET /v1/events": ("event:read", LIST),
    "GET /v1/events/stream": ("event:read", LIST),
    "GET /v1/catalog": ("event:read", LIST),
    "GET /v1/handlers": ("task:read", LIST),
    "GET /v1/handlers/{namespace}/{name}": ("task:read", ONE),
    "GET /v1/handlers/{namespace}/{name}/diagram": ("task:read", ONE),
    "GET /v1/annotation-types": ("task:read", LIST),
    "GET /v1/analytics/performance": ("task:read", LIST),
    "GET /v1/analytics/bottlenecks": ("task:read", LIST),
    "POST /v1/control/pause": ("admin", ONE),
    "POST /v1/control/resume": ("admin", ONE),
    "GET /v1/workers": ("admin", WHOLE),
    "GET /v1/subscriptions": ("admin", WHOLE),
    "GET /metrics": ("task:read", WHOLE),
}
#: What says how to call, and nothing of what is there. The pages have a table of their own.
ABOUT = {"/docs", "/openapi.json"}
ENDLESS = "/v1/events/stream"


def permission_of(route: Route) -> str | None:
    """Give the permission that a route needs."""
    found = route.dependant.dependencies if isinstance(route, APIRoute) else []
    return next((one.call.permission for one in found if isinstance(one.call, Needs)), None)


def settings() -> dict[str, object]:
    """Give a key for each permission, in its own namespace and in another one."""
    listed = []
    for permission in {permission for permission, _ in TABLE.values() if permission}:
        for name, where in (("mine", "default"), ("theirs", "other")):
            key = key_of(f"{name}-{permission}")
            listed.append({"name": name, "hash": hashed(key), "permissions": [permission], "namespaces": [where]})
    others = {"name": "none", "hash": hashed(key_of("none")), "permissions": [], "namespaces": ["*"]}
    root = {"name": "root", "hash": hashed(key_of("root")), "permissions": ["admin"], "namespaces": ["*"]}
    return {"http": {"keys": [*listed, others, root]}}


def key_for(caller: str, permission: str | None) -> str | None:
    """Give the key that a kind of caller sends."""
    return {
        "no key": None,
        "bad key": "tsk_made_up",
        "without the permission": key_of("none"),
        "other namespace": key_of(f"theirs-{permission}"),
        "right key": key_of(f"mine-{permission}"),
        "admin": key_of("root"),
    }[caller]


def expected(caller: str, row: str) -> set[int]:
    """Say which statuses a kind of caller gets."""
    kind = TABLE[row][1]
    if kind == OPEN:
        return {200}
    if caller in {"no key", "bad key"}:
        return {401}
    if caller == "without the permission" or (kind == WHOLE and caller in {"other namespace", "right key"}):
        return {403}
    if caller == "other namespace" and kind == ONE:
        return {404} if "{" in row else {403}
    return {200, 201, 409}


@pytest.fixture(scope="module")
def house():
    """Give an application with keys, and a task that failed."""
    with application(settings()) as app:
        task = create(client(app, "root"), "failing")
        app.run_until_idle()
        yield app, task["id"]


@pytest.mark.parametrize("caller", CALLERS)
@pytest.mark.parametrize("row", [row for row in TABLE if ENDLESS not in row])
def test_every_route_lets_in_who_may(house, caller, row):
    """No key, a bad one, one without the permission or of another namespace, the right one, admin: as it should."""
    app, task_id = house
    (method, path), (permission, _) = row.split(), TABLE[row]
    place = path.format(task_id=task_id, step="pay", namespace="default", name="order")
    key = key_for(caller, permission)
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    body = {} if method == "GET" else {"json": BODIES.get(path, {})}
    answer = client(app).request(method, place, headers=headers, **body)
    assert answer.status_code in expected(caller, row), answer.text
    if answer.status_code in {401, 403}:
        assert problem(answer, answer.status_code)["permission"] == permission
        assert permission in answer.json()["detail"]
    if answer.status_code == 401:
        assert answer.headers["www-authenticate"].startswith("Bearer")


def test_the_table_has_every_route(house):
    """A route that is new has no place here until somebody has said who may use it."""
    app, _ = house
    pages = {one.path for one in PAGES}
    found = {
        f"{method} {route.path}": permission_of(route)
        for route in every_route(app)
        for method in (route.methods or set()) - {"HEAD"}
        if route.path not in pages | ABOUT
    }
    assert found == {row: permission for row, (permission, _) in TABLE.items()}


def test_lists_and_events_hold_what_is_the_callers():
    """A caller of one namespace sees its tasks and events alone, page by page; one of two sees both."""
    with application(keys()) as app:
        root = client(app, "root")
        mine = [create(root)["id"] for _ in range(3)]
        for _ in range(3):
            create(root, namespace="other")
        app.run_until_idle()
        reader, both = client(app, "reader"), client(app, "both")
        assert [one["id"] for one in reader.get("/v1/tasks").json()["items"]] == mine[::-1]
        assert len(both.get("/v1/tasks").json()["items"]) == 6
        assert both.get("/v1/tasks?limit=2").json()["cursor"]
        events = reader.get("/v1/events?limit=1000").json()["items"]
        assert {one["subject"] for one in events} == set(mine)
        problem(reader.get("/v1/tasks?namespace=other"), 403)
        problem(reader.get("/v1/events?namespace=other"), 403)
        problem(both.post("/v1/tasks", json={"name": "order"}, headers=bearer("reader")), 403)
        counted = reader.get("/health/status").json()["tasks"]
        assert counted == {"complete": 3}
        assert {one["namespace"] for one in reader.get("/v1/handlers").json()["items"]} == {"default"}


def bearer(name: str) -> dict[str, str]:
    """Give the header of somebody."""
    return {"Authorization": f"Bearer {key_of(name)}"}


def test_pages_of_a_caller_of_several_namespaces_miss_nothing():
    """Whatever lies between, following the cursor gives every task of the caller's namespaces once."""
    spaces = {"a": ["x"], "b": ["x", "y"]}
    listed = [
        {"name": name, "hash": hashed(key_of(name)), "permissions": ["task:read"], "namespaces": [*where, "default"]}
        for name, where in spaces.items()
    ]
    with application({"http": {"keys": [*listed, keys()["http"]["keys"][-1]]}}) as app:
        root = client(app, "root")
        mine = []
        for number in range(30):
            made = create(root, namespace="other" if number % 3 else "default")
            if number % 3 == 0:
                mine.append(made["id"])
        http, found, cursor = client(app, "a"), [], None
        while True:
            page = http.get("/v1/tasks", params={"limit": 4} | ({"cursor": cursor} if cursor else {})).json()
            found += [one["id"] for one in page["items"]]
            cursor = page["cursor"]
            if cursor is None:
                break
        assert found == mine[::-1]


def test_the_actor_is_who_calls():
    """Who did something is told by the key, and a body that says otherwise is refused."""
    with application(keys()) as app:
        http = client(app, "root")
        task = create(http)
        http.post(f"/v1/tasks/{task['id']}/pause", json={"reason": "look"})
        assert next(app.events(task["id"], types="task.paused")).actor == "root"
        problem(http.post(f"/v1/tasks/{task['id']}/resume", json={"actor": "somebody else"}), 422)


def test_secrets_are_masked_without_context_read():
    """`writeOnly` properties, also behind $ref, and telling keys are masked wherever a reader looks."""
    secret = {"order_id": 1, "pin": "1234-5678", "cards": [{"number": "4111-1111"}], "api_key": "k-e-y"}
    hidden = ("1234-5678", "4111-1111", "k-e-y", "n-o-t-e")
    with application(keys()) as app:
        root = client(app, "root")
        task = create(root, context=secret)["id"]
        app.run_until_idle()
        root.post(f"/v1/tasks/{task}/annotations", json={"type": "note", "annotation": {"password": "n-o-t-e"}})
        root.patch(f"/v1/tasks/{create(root, 'signing', context=secret)['id']}/steps/file", json={"inputs": secret})
        paths = [
            f"/v1/tasks/{task}{rest}" for rest in ("", "/steps", "/steps/fetch", "/events", "/annotations", "/why")
        ]
        paths += ["/v1/events?limit=1000", "/v1/tasks"]
        masked = "".join(client(app, "reader").get(path).text for path in paths)
        shown = "".join(client(app, "confidant").get(path).text for path in paths)
        assert not [one for one in hidden if one in masked]
        assert [one for one in hidden if one in shown] == list(hidden)
        assert "[FILTERED]" in masked


def test_without_keys_only_this_machine_is_let_in():
    """Strangers, other names of this server and pages of other sites are refused; unless the settings say otherwise."""
    from starlette.testclient import TestClient

    with application() as app:
        problem(TestClient(app.asgi, ADDRESS, client=("192.0.2.7", 1)).get("/v1/tasks"), 401)
        problem(TestClient(app.asgi, "http://evil.example", client=("127.0.0.1", 1)).get("/v1/tasks"), 401)
        other = {"Origin": "http://evil.example"}
        problem(client(app).post("/v1/control/pause", json={"scope": "all"}, headers=other), 401)
        for host in ("[::1", "[", ":", "", "evil.example:127.0.0.1"):
            problem(client(app).get("/v1/tasks", headers={"Host": host}), 401)
        for host in ("localhost", "localhost:8000", "[::1]", "[::1]:8000", "127.0.0.1:1"):
            assert client(app).get("/v1/tasks", headers={"Host": host}).status_code == 200
        own = client(app).post("/v1/control/pause", json={"scope": "all"}, headers={"Origin": ADDRESS})
        assert own.status_code == 200
    with application({"http": {"auth": {"allow_anonymous": True}}}) as app:
        assert TestClient(app.asgi, "http://any.example", client=("192.0.2.7", 1)).get("/v1/tasks").status_code == 200


def test_a_public_address_without_authentication_is_refused():
    """Nobody opens the engine to the world by accident; keys, an authenticator or a word in the settings allow it."""
    for host in ("0.0.0.0", "::", "192.0.2.1", "tasks.example"):
        with pytest.raises(InvalidDefinition, match="auth new-key"):
            check_address(Settings.of({}), host)
    for host in ("127.0.0.1", "::1", "localhost", "127.8.8.8"):
        check_address(Settings.of({}), host)
    for http in ({"auth": {"allow_anonymous": True}}, keys()["http"], {"auth": {"authenticator": "a:b"}}):
        check_address(Settings.of({"http": http}), "0.0.0.0")


def test_a_key_is_known_by_its_hash_alone():
    """A new key is long, its hash is what the settings hold, and a hash of another form stops the start."""
    key, kept = new_key()
    assert len(key) >= 43
    assert key not in kept
    assert hashed(key) == kept
    wrong = {"http": {"keys": [{"name": "a", "hash": "plain", "permissions": [], "namespaces": []}]}}
    with application(wrong) as app, pytest.raises(InvalidDefinition, match="sha256"):
        _ = app.asgi


def test_both_headers_carry_a_key():
    """`X-API-Key` does what `Authorization: Bearer` does."""
    with application(keys()) as app:
        assert client(app).get("/v1/tasks", headers={"X-API-Key": key_of("reader")}).status_code == 200
        assert client(app).get("/v1/tasks", headers={"Authorization": f"Basic {key_of('reader')}"}).status_code == 401


def by_name(request):
    """Know everybody who says a name."""
    name = request.headers.get("x-name")
    return None if name is None else Principal(name, frozenset({"task:read"}), frozenset({"*"}))


async def later(request):
    """Know everybody, after a while."""
    return by_name(request)


class Staff:
    """An authenticator as a class."""

    def authenticate(self, request):
        """Know who says a name."""
        return by_name(request)


@pytest.mark.parametrize("name", ["by_name", "later", "Staff", "staff.authenticate"])
def test_an_authenticator_of_ones_own_takes_the_place_of_keys(name, monkeypatch):
    """A function, a coroutine function or a class tells who calls; permissions and namespaces are its word."""
    module = types.ModuleType("staff_of_tests")
    module.by_name, module.later, module.Staff, module.staff = by_name, later, Staff, Staff()
    monkeypatch.setitem(sys.modules, "staff_of_tests", module)
    reference = f"staff_of_tests:{name}"
    with application({"http": {"auth": {"authenticator": reference}}}) as app:
        assert client(app).get("/v1/tasks", headers={"X-Name": "ann"}).status_code == 200
        problem(client(app).get("/v1/tasks"), 401)
        problem(client(app).post("/v1/tasks", json={}, headers={"X-Name": "ann"}), 403)


def test_an_authenticator_that_is_none_stops_the_start():
    """A reference that leads nowhere is told with its name."""
    for reference in ("no_such_module:a", "tasker.http.auth:nope", "tasker.http.auth:PREFIX"):
        made = application({"http": {"auth": {"authenticator": reference}}})
        with made as app, pytest.raises(InvalidDefinition, match=reference):
            _ = app.asgi


def test_the_document_names_permissions_and_holds_no_secret():
    """OpenAPI tells for each route which permission it needs, and nothing of the keys."""
    with application(keys()) as app:
        document = app.asgi.openapi()
        assert document["paths"]["/v1/tasks"]["post"]["x-permission"] == "task:create"
        text = json.dumps(document)
        assert not [name for name in KEYS if hashed(key_of(name)) in text]
