"""Who gets into the dashboard, and whose forms count."""

from __future__ import annotations

import sys
import types
from http.cookies import SimpleCookie

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.testclient import TestClient

from tasker.http.auth import Principal, hashed
from tasker.http.page.routes import ROUTES
from tasker.http.page.sessions import HOURS, MOST, Sessions
from tests.integration.http_kit import ADDRESS, KEYS, application, client, create, key_of, keys
from tests.unit.http.page_kit import ORIGIN, Looked, browser, send, sign_in, signed_in, token_of

PAGES = ("/", "/handlers", "/handlers/default/order", "/subscriptions", "/workers")


@pytest.fixture
def house():
    """Give an application with keys, and the id of a task that failed."""
    with application(keys()) as app:
        task = create(client(app, "root"), "failing", {"card": "c"})["id"]
        app.run_until_idle()
        yield app, task


def test_a_key_opens_a_session_and_never_reaches_the_browser_again(house):
    """Who is unknown is asked to sign in and comes to where he wanted; the cookie is an id that scripts cannot read."""
    app, task = house
    http = browser(app)
    wanted = f"/tasks/{task}?at=2"
    asked = http.get(wanted)
    assert asked.status_code == 303
    assert asked.headers["location"] == f"/sign-in?next=%2Ftasks%2F{task}%3Fat%3D2"
    before = http.get(asked.headers["location"])
    assert Looked(before.text).all("input", name="next")[0]["value"] == wanted
    entered = sign_in(http, "root", wanted)
    assert (entered.status_code, entered.headers["location"]) == (303, wanted)
    (cookie,) = SimpleCookie(entered.headers["set-cookie"]).values()
    assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "strict", "/")
    assert cookie.value != SimpleCookie(before.headers["set-cookie"]).popitem()[1].value
    texts = [http.get(path).text for path in (wanted, *PAGES)]
    assert all("root" in text for text in texts)
    assert not [one for one in (*texts, *map(str, entered.headers.items())) if key_of("root") in one]


def test_a_session_behind_https_keeps_its_cookie_there(house):
    """Where the browser speaks https, also to a proxy before this server, the cookie is never sent without."""
    app, _ = house
    secure = browser(app).get("/sign-in", headers={"X-Forwarded-Proto": "https"})
    assert "; secure" in secure.headers["set-cookie"].lower()
    assert "; secure" not in browser(app).get("/sign-in").headers["set-cookie"].lower()


def test_a_wrong_key_is_told_and_opens_nothing(house):
    """401, the same page again with what to do, and no session."""
    app, _ = house
    http = browser(app)
    for key in ("", "tsk_made_up", "x" * 10_000, "\u2603"):
        answer = send(http, "/sign-in", key=key, next="/")
        assert answer.status_code == 401
        assert "not known here" in answer.text
    assert http.get("/").status_code == 303


@pytest.mark.parametrize("place", ["//evil.example", "https://evil.example", "/\\evil.example", "", "/\t/evil.example"])
def test_signing_in_leads_to_no_other_site(house, place):
    """Where it goes on is a page of this server, whatever a link says."""
    assert sign_in(browser(house[0]), "root", place).headers["location"] == "/"


def test_signing_out_ends_the_session_also_for_who_kept_the_cookie(house):
    """Afterwards the old id opens nothing."""
    app, _ = house
    http = signed_in(app, "root")
    kept = dict(http.cookies)
    assert send(http, "/sign-out").headers["location"] == "/sign-in"
    assert http.get("/").status_code == 303
    assert browser(app, cookies=kept).get("/").status_code == 303


def test_sessions_end_by_themselves_and_are_bounded():
    """After its hours a session is over; and of too many the oldest goes."""
    now = [0.0]
    sessions = Sessions(lambda: now[0])
    first = sessions.sign_in("key")
    now[0] = HOURS * 3600 - 1
    assert sessions.key(first) == "key"
    later = [sessions.sign_in(str(number)) for number in range(MOST)]
    assert sessions.key(first) is None
    now[0] += 2
    assert sessions.key(later[0]) == "0"
    now[0] += HOURS * 3600
    assert sessions.key(later[-1]) is None
    assert sessions.key(None) is None
    assert not sessions.accepts(None, sessions.token(""))


FOREIGN = {
    "no origin": {},
    "another origin": {"Origin": "http://evil.example"},
    "an opaque origin": {"Origin": "null"},
    "another port": {"Origin": f"{ADDRESS}:81"},
    "the browser says so": {**ORIGIN, "Sec-Fetch-Site": "cross-site"},
    "a sister site": {**ORIGIN, "Sec-Fetch-Site": "same-site"},
}


@pytest.mark.parametrize("headers", FOREIGN.values(), ids=FOREIGN)
@pytest.mark.parametrize("settings", [{}, keys()], ids=["open", "keys"])
def test_a_form_of_another_site_does_nothing(settings, headers):
    """With keys as without: even with the cookie and the token, nothing is recorded."""
    with application(settings) as app:
        task = create(client(app, "root"), "signing")["id"]
        http = signed_in(app, "root") if settings else browser(app)
        form = {"token": token_of(http), "do": "cancel", "reason": "evil"}
        answer = http.post(f"/tasks/{task}", data=form, headers=headers)
        assert answer.status_code in {401, 403}
        assert [event.type for event in app.events(task)] == ["task.created"]


@pytest.mark.parametrize("settings", [{}, keys()], ids=["open", "keys"])
def test_a_form_without_the_token_of_its_session_does_nothing(settings):
    """No token, a made-up one, that of another session, no cookie: 403; as JSON: 415."""
    with application(settings) as app:
        task = create(client(app, "root"), "signing")["id"]
        http, other = (signed_in(app, "root") if settings else browser(app) for _ in range(2))
        token_of(http)
        for token in (None, "", "0" * 64, token_of(other), "\u2603"):
            form = {"do": "cancel", "reason": "evil"} | ({} if token is None else {"token": token})
            assert http.post(f"/tasks/{task}", data=form, headers=ORIGIN).status_code == 403
        form = {"token": token_of(http), "do": "cancel", "reason": "evil"}
        bare = browser(app).post(f"/tasks/{task}", data=form, headers=ORIGIN)
        assert bare.status_code == 403
        assert http.post(f"/tasks/{task}", json=form, headers=ORIGIN).status_code == 415
        many = {f"f{number}": "" for number in range(50)}
        assert http.post(f"/tasks/{task}", data={**form, **many}, headers=ORIGIN).status_code == 422
        assert http.post(f"/tasks/{task}", data={**form, "x": "x" * 2_000_000}, headers=ORIGIN).status_code == 413
        assert [event.type for event in app.events(task)] == ["task.created"]
        assert http.post(f"/tasks/{task}", data=form, headers=ORIGIN).status_code == 303


def test_without_keys_only_this_machine_looks():
    """Strangers and other names of this server (a rebound one) are refused with what to do, not asked to sign in."""
    with application() as app:
        assert browser(app).get("/").status_code == 200
        for http in (
            TestClient(app.asgi, ADDRESS, client=("192.0.2.7", 1)),
            TestClient(app.asgi, "http://evil.example", client=("127.0.0.1", 1)),
        ):
            answer = http.get("/")
            assert answer.status_code == 401
            assert "localhost" in answer.text
            assert "tasks by status" not in answer.text.lower()


def test_a_page_shows_what_its_reader_may_see(house):
    """Permissions and namespaces hold as in the API: of lists, of tasks, of commands, and of the links to pages."""
    app, task = house
    reader, stranger, both = (signed_in(app, name) for name in ("reader", "stranger", "both"))
    assert task in reader.get("/").text
    assert task not in stranger.get("/").text
    page = Looked(reader.get(f"/tasks/{task}").text)
    assert page.commands() == set()
    assert Looked(signed_in(app, "root").get(f"/tasks/{task}").text).buttons() >= {"retry", "resolve", "reset_step"}
    assert stranger.get(f"/tasks/{task}").status_code == 404
    assert stranger.get(f"/live?task={task}").status_code == 404
    assert browser(app).get("/live").status_code == 303
    assert signed_in(app, "powerless").get("/live").status_code == 403
    assert reader.get("/?namespace=other").status_code == 403
    assert reader.get("/live?namespace=other").status_code == 403
    assert reader.get("/handlers/other/order").status_code == 404
    for path in ("/subscriptions", "/workers"):
        assert reader.get(path).status_code == 403
        assert not [one for one in page.all("a") if one.get("href") == path]
        assert signed_in(app, "root").get(path).status_code == 200
    assert send(reader, f"/tasks/{task}", do="retry", reason="mine").status_code == 403
    assert send(stranger, f"/tasks/{task}", do="retry", reason="mine").status_code == 404
    assert signed_in(app, "powerless").get("/").status_code == 403
    assert "event:read" not in Looked(both.get(f"/tasks/{task}").text).text
    assert app.task(task).status == "error"


GUARDED = {
    ("GET", "/"): "task:read",
    ("GET", "/tasks/{task_id}"): "task:read",
    ("POST", "/tasks/{task_id}"): "task:read",
    ("GET", "/handlers"): "task:read",
    ("GET", "/handlers/{namespace}/{name}"): "task:read",
    ("GET", "/subscriptions"): "admin",
    ("GET", "/workers"): "admin",
    ("GET", "/live"): "task:read",
}
FREE = {("GET", "/sign-in"), ("POST", "/sign-in"), ("POST", "/sign-out"), ("GET", "/static/{digest}/{name}")}


def test_every_page_is_in_the_table():
    """Nothing is left open by accident: signing in and out and the files of the pages alone ask for nobody."""
    known = {("POST" if "POST" in route.methods else "GET", route.path) for route in ROUTES}
    assert known == GUARDED.keys() | FREE


@pytest.fixture(scope="module")
def table():
    """Give an application with a key for each permission and namespace, and the id of a task that failed."""
    listed = [
        {
            "name": f"{where}-{may}",
            "hash": hashed(key_of(f"{where}-{may}")),
            "permissions": [may],
            "namespaces": [where],
        }
        for may in set(GUARDED.values())
        for where in ("default", "other")
    ]
    with application({"http": {"keys": [*listed, *keys()["http"]["keys"]]}}) as app:
        task = create(client(app, "root"), "failing")["id"]
        app.run_until_idle()
        yield app, task


CALLERS = {
    "no key": lambda permission: None,
    "without the permission": lambda permission: "powerless",
    "other namespace": lambda permission: f"other-{permission}",
    "right key": lambda permission: f"default-{permission}",
    "admin": lambda permission: "root",
}


def expected(caller: str, method: str, path: str) -> set[int]:
    """Say which statuses a kind of caller gets; a command for which only the page's permission is there is refused."""
    if caller == "no key":
        return {401, 403} if method == "POST" else {303}
    if caller == "without the permission" or (path in {"/subscriptions", "/workers"} and caller != "admin"):
        return {403}
    if caller == "other namespace":
        return {403, 404} if "{" in path else {200}
    return {303} if method == "POST" and caller == "admin" else {403} if method == "POST" else {200}


@pytest.mark.parametrize("caller", CALLERS)
@pytest.mark.parametrize(("method", "path"), [one for one in GUARDED if one[1] != "/live"])
def test_every_page_lets_in_who_may(table, caller, method, path):
    """No key, without the permission, of another namespace, the right one, admin: as it should, for every page."""
    app, task = table
    name = CALLERS[caller](GUARDED[method, path])
    http = browser(app) if name is None else signed_in(app, name)
    place = path.format(task_id=task, namespace="default", name="order")
    answer = (
        http.get(place) if method == "GET" else send(http, place, do="annotate", type="n", annotation="{}", reason="r")
    )
    assert answer.status_code in expected(caller, method, path), answer.text


def test_events_need_their_permission():
    """Who may read tasks only is told what is missing in place of the events."""
    listed = keys()
    listed["http"]["keys"][0]["permissions"] = ["task:read"]
    with application(listed) as app:
        task = create(client(app, "root"))["id"]
        text = signed_in(app, "reader").get(f"/tasks/{task}").text
        assert "event:read" in text
        assert "task.created" not in text


def test_the_actor_is_who_signed_in(house):
    """A command is recorded with the principal's name and the reason, whatever else the form says."""
    app, task = house
    http = signed_in(app, "root")
    answer = send(http, f"/tasks/{task}", do="resolve", reason="paid by hand", actor="somebody else")
    assert (answer.status_code, answer.headers["location"]) == (303, f"/tasks/{task}?did=resolve")
    event = list(app.events(task))[-1]
    assert (event.type, event.actor, event.body["reason"]) == ("task.resolved_manually", "root", "paid by hand")


def test_secrets_are_on_no_page():
    """What stands under a telling key is masked for everybody; `writeOnly` properties are for who may read contexts."""
    secret = {"order_id": 1, "pin": "1234-5678", "api_key": "k-e-y", "deep": [{"password": "p-w"}]}
    with application(keys()) as app:
        root = client(app, "root")
        task = create(root, "signing", secret)["id"]
        app.run_until_idle()
        root.post(f"/v1/tasks/{task}/annotations", json={"type": "note", "annotation": {"token": "t-o-k"}})
        root.patch(f"/v1/tasks/{task}/steps/file", json={"inputs": secret})
        seen = {
            name: "".join(signed_in(app, name).get(path).text for path in (f"/tasks/{task}", "/", "/handlers"))
            for name in ("root", "reader", "confidant")
        }
        for text in seen.values():
            assert not [one for one in ("k-e-y", "p-w", "t-o-k") if one in text]
            assert "[FILTERED]" in text
        assert [name for name, text in seen.items() if "1234-5678" in text] == ["root", "confidant"]


def test_every_answer_keeps_other_sites_and_scripts_out(house):
    """A strict policy and its companions on every page and refusal; no page holds a script or a style of its own."""
    app, task = house
    http = signed_in(app, "root")
    paths = (*PAGES, f"/tasks/{task}", f"/tasks/{task}?at=2", "/tasks/nope", "/sign-in", "/?status=odd")
    for answer in (*map(http.get, paths), browser(app).get("/"), send(http, f"/tasks/{task}", do="odd")):
        policy = answer.headers["content-security-policy"]
        assert {"default-src 'none'", "script-src 'self'", "frame-ancestors 'none'"} <= set(policy.split("; "))
        assert "unsafe" not in policy
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-frame-options"] == "DENY"
        page = Looked(answer.text)
        assert all("src" in one for one in page.all("script"))
        assert not page.all("style")
        assert not [name for _, found in page.elements for name in found if name == "style" or name.startswith("on")]


def test_a_link_of_another_site_finds_the_session_again(house):
    """The browser keeps the cookie back at first; the page loads itself again and takes no cookie away."""
    app, task = house
    answer = browser(app).get(f"/tasks/{task}", headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 200
    assert Looked(answer.text).all("meta", content="0")
    assert "set-cookie" not in answer.headers
    assert task not in answer.text


def test_it_works_under_a_prefix():
    """Mounted in another application, every link, form, file, redirect and cookie stays below its path."""
    with application(keys()) as app:
        task = create(client(app, "root"), "failing")["id"]
        app.run_until_idle()
        host = Starlette(routes=[Mount("/tasker", app.asgi)])
        http = TestClient(host, ADDRESS, client=("127.0.0.1", 1), follow_redirects=False)
        assert http.get("/tasker/").headers["location"] == "/tasker/sign-in?next=%2F"
        form = {"token": token_of(http, "/tasker/sign-in"), "key": key_of("root"), "next": f"/tasks/{task}"}
        entered = http.post("/tasker/sign-in", data=form, headers=ORIGIN)
        assert entered.headers["location"] == f"/tasker/tasks/{task}"
        assert "Path=/tasker" in entered.headers["set-cookie"]
        for path in (*PAGES, f"/tasks/{task}"):
            page = Looked(http.get(f"/tasker{path}").text)
            links = [found[name] for _, found in page.elements for name in ("href", "action", "src") if name in found]
            own = [one for one in links if not one.startswith(("#", "?", "data:"))]
            assert own
            assert not [one for one in own if not one.startswith("/tasker/")]
            assert {http.get(one["src"]).status_code for one in page.all("script")} == {200}


def by_proxy(request):
    """Know whom a proxy has let in, or who carries a word that is not over."""
    name = request.headers.get("x-name") or {"Bearer now": "ann"}.get(request.headers.get("authorization", ""))
    return None if name is None or name in GONE else Principal(name, frozenset({"task:read"}), frozenset({"*"}))


GONE: set[str] = set()


def test_an_authenticator_of_ones_own_is_asked_each_time(monkeypatch):
    """Whom a proxy lets in need not sign in; and a token that is over ends the session with it."""
    module = types.ModuleType("proxy_of_tests")
    module.by_proxy = by_proxy
    GONE.clear()
    monkeypatch.setitem(sys.modules, "proxy_of_tests", module)
    with application({"http": {"auth": {"authenticator": "proxy_of_tests:by_proxy"}}}) as app:
        assert browser(app).get("/", headers={"X-Name": "bob"}).status_code == 200
        http = browser(app)
        entered = http.post("/sign-in", data={"token": token_of(http), "key": "now", "next": "/"}, headers=ORIGIN)
        assert entered.status_code == 303
        assert http.get("/").status_code == 200
        GONE.add("ann")
        assert http.get("/").status_code == 303


def test_files_are_kept_by_their_content():
    """What a page loads may be kept for ever, for another content has another path; what there is not is not there."""
    with application() as app:
        http = browser(app)
        page = Looked(http.get("/").text)
        paths = [page.all("link", rel="stylesheet")[0]["href"], page.all("script")[0]["src"]]
        for path in paths:
            answer = http.get(path)
            assert answer.status_code == 200
            assert "immutable" in answer.headers["cache-control"]
            assert "http" not in answer.text.replace("http-equiv", "")
        digest, name = paths[0].split("/")[-2:]
        for path in (f"/static/{digest}/odd.css", f"/static/0/{name}", f"/static/{digest}/..%2F..%2Froutes.py"):
            assert http.get(path).status_code == 404


def test_every_name_of_the_kit_may_sign_in():
    """Each key of the settings opens the sign-in; what its owner may then see is another matter."""
    with application(keys()) as app:
        assert {name for name in KEYS if sign_in(browser(app), name).status_code == 303} == set(KEYS)
