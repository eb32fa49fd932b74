"""What the pages of the dashboard show and take."""

from __future__ import annotations

import re

import pytest

from tasker import BaseSubscriber, StepTemplate, TaskDefinition
from tasker.domain.status import TaskStatus
from tasker.http.page.steering import TASK_BUTTONS
from tasker.testing import FrozenClock
from tasker.testing import app as new_app
from tests.integration.http_kit import application, client, create, definitions, good
from tests.unit.http.page_kit import Looked, browser, send

HOSTILE = "\"'><script>alert(1)</script><img src=x onerror=alert(2)>{{ 7 * 7 }}\u202egnirts"


@pytest.fixture
def app():
    """Give an application in which everybody on this machine may do everything."""
    with application() as made:
        yield made


@pytest.fixture
def http(app):
    """Give a browser."""
    return browser(app)


def rows(text: str) -> list[str]:
    """Give the ids of the tasks that a list shows, in order."""
    return re.findall(r'id="t-([0-9a-f-]{36})"', text)


def test_the_list_filters_as_the_api_does(app, http):
    """Status, name, namespace, tag, annotation and time narrow the list; what was chosen stays chosen."""
    order = create(http, context={"order_id": 1}, tags=["vip"])["id"]
    other = create(http, namespace="other")["id"]
    failing = create(http, "failing")["id"]
    app.run_until_idle()
    app.annotate(order, "refund", {"state": "open"})
    assert rows(http.get("/").text) == [failing, other, order]
    for query, found in [
        ("status=error", [failing]), ("name=order", [other, order]), ("namespace=other&status=", [other]),
        ("tag=vip", [order]), ("annotation=refund:state=open", [order]), ("dependent_system=shop", [order]),
        ("name=order&status=error", []), ("created_after=2020-01-01T00:00:00Z", [failing, other, order]),
        ("odd=1", [failing, other, order]),
    ]:  # fmt: skip
        assert rows(http.get(f"/?{query}").text) == found, query
    page = Looked(http.get("/?status=error&name=fail%22ing").text)
    assert page.all("option", value="error")[0].keys() >= {"selected"}
    assert page.all("input", id="name")[0]["value"] == 'fail"ing'
    assert "No task is like this" in page.text
    assert "1 error" in " ".join(Looked(http.get("/").text).text.split())


@pytest.mark.parametrize(
    "query", ["status=odd", "created_after=soon", "annotation=x", "cursor=odd", "name=" + "x" * 300]
)
def test_a_wrong_filter_says_what_is_wrong(http, query):
    """422, an alert that names the filter, and the form as it was sent."""
    answer = http.get(f"/?{query}")
    assert answer.status_code == 422
    page = Looked(answer.text)
    assert page.all("p", role="alert")
    assert query.partition("=")[0] in page.text
    assert rows(answer.text) == []


def test_pages_of_the_list_lead_to_every_task_once(app, http):
    """Older and older, with the filter kept, until the last page; and back to the newest."""
    made = [one.id for one in app.submit_many([{"name": "order", "context": {"order_id": n}} for n in range(1, 121)])]
    found, path = [], "/?name=order"
    while path:
        page = http.get(path).text
        found.append(rows(page))
        older = Looked(page).all("a", id="older")
        path = older[0]["href"] if older else None
    assert [one for page in found for one in page] == made[::-1]
    assert [len(page) for page in found] == [50, 50, 20]
    assert Looked(page).all("a", id="newest", href="/?name=order")
    assert "data-listen" not in page  # an old page stays as it is


def test_a_page_of_many_tasks_costs_what_one_of_a_hundred_does(app, http, monkeypatch):
    """The list reads as many rows and asks as many questions whatever the number of tasks."""
    store = type(app._engine.context.store)
    asked = []
    reading = store.reading
    monkeypatch.setattr(store, "reading", lambda self: asked.append(1) or reading(self))
    costs = []
    for count in (100, 1_900):
        app.submit_many([{"name": "empty"} for _ in range(count)])
        while app._engine.context.projections.serve():
            pass
        asked.clear()
        assert len(rows(http.get("/").text)) == 50
        costs.append(len(asked))
    assert costs[1] <= costs[0]


def test_what_people_write_stays_text(app, http):
    """Names of tags, reasons, contexts, results, errors, notes: whatever stands in them is no element of a page."""
    deep = {HOSTILE: [HOSTILE, {"x": HOSTILE * 50}]}
    task = create(http, "signing", deep, tags=[HOSTILE], reason=HOSTILE, initiator=HOSTILE, source_system=HOSTILE)["id"]
    app.run_until_idle()
    app.annotate(task, "no<b>te", deep, actor=HOSTILE, reason=HOSTILE)
    app.complete_step(task, "sign", results=deep, actor=HOSTILE, reason=HOSTILE)
    app.run_until_idle()
    for path in ("/", f"/tasks/{task}", f"/tasks/{task}?at=3", f"/?tag={HOSTILE}", f"/?cursor={HOSTILE}"):
        page = Looked(http.get(path).text)
        assert not page.all("img")
        assert not page.all("b")
        assert len(page.all("script")) == 1
    plain = HOSTILE.partition("\u202e")[0]
    assert Looked(http.get(f"/tasks/{task}").text).text.count(plain) > 5
    refused = send(http, f"/tasks/{task}", do=HOSTILE, reason=HOSTILE, step=HOSTILE)
    assert refused.status_code == 422
    assert not Looked(refused.text).all("img")


def test_a_failed_task_is_explained_and_repaired(app, http):
    """The page says why, offers what is legal, takes a reason, and tells what was recorded."""
    task = create(http, "failing")["id"]
    app.run_until_idle()
    page = Looked(http.get(f"/tasks/{task}").text)
    assert "no such card" in page.text
    assert page.buttons() == {"retry", "resolve", "cancel", "reset_step", "resolve_step", "cancel_step"}
    app.update(task, reason="fixed")
    answer = send(http, f"/tasks/{task}", do="retry", reason="the card works again")
    assert answer.status_code == 303
    assert "The task is retried." in http.get(answer.headers["location"]).text
    app.run_until_idle()
    done = Looked(http.get(f"/tasks/{task}").text)
    assert done.buttons() == set()
    assert "failed" in done.text
    event = next(app.events(task, types="task.retried"))
    assert (event.actor, event.body["reason"]) == ("anonymous", "the card works again")


def test_a_waiting_step_is_approved_with_results(app, http):
    """The page says for what it waits; results are JSON, and wrong ones are told with what was typed."""
    task = create(http, "signing")["id"]
    app.run_until_idle()
    shown = Looked(http.get(f"/tasks/{task}").text)
    assert "needs a signature" in shown.text
    assert {"complete_step", "resolve_step", "cancel_step"} <= shown.buttons()
    wrong = send(http, f"/tasks/{task}", do="complete_step", step="sign", reason="I sign", results="{odd")
    assert wrong.status_code == 422
    page = Looked(wrong.text)
    assert page.all("input", id="reason-sign")[0]["value"] == "I sign"
    assert "{odd" in page.text
    for bad in ("NaN", "[" * 100_000):
        odd = send(http, f"/tasks/{task}", do="complete_step", step="sign", reason="I sign", results=bad)
        assert odd.status_code == 422
    right = send(http, f"/tasks/{task}", do="complete_step", step="sign", reason="I sign", results='{"by": "ann"}')
    assert right.status_code == 303
    app.run_until_idle()
    assert app.task(task).step("sign").results == {"by": "ann"}
    assert app.task(task).status == "complete"


def test_what_is_written_into_forms_is_recorded(app, http):
    """A note, a new reason with tags, and a step's inputs and attempts; what is left empty stays."""
    task = create(http, "signing", tags=["old"], reason="first")["id"]
    path = f"/tasks/{task}"
    assert Looked(http.get(path).text).commands() >= {"annotate", "update", "update_step"}
    for form in (
        {"do": "annotate", "type": "call", "annotation": '{"with": "ann"}', "reason": "asked"},
        {"do": "update", "reason": "", "tags": " vip \r\n\r\nurgent, really\r\n"},
        {"do": "update_step", "step": "sign", "reason": "r", "retry_limit": "7", "inputs": '{"order_id": 5}'},
        {"do": "update_step", "step": "file", "reason": "r", "retry_limit": "", "inputs": ""},
    ):
        assert send(http, path, **form).status_code == 303, form
    found = app.task(task)
    assert [(one.type, one.value, one.actor) for one in found.annotations] == [("call", {"with": "ann"}, "anonymous")]
    assert (found.reason, found.tags) == ("first", ("vip", "urgent, really"))
    assert (found.step("sign").retry_limit, found.step("sign").inputs) == (7, {"order_id": 5})
    assert found.step("file").retry_limit == 3
    assert send(http, path, do="update", reason="second", tags="").status_code == 303
    assert (app.task(task).reason, app.task(task).tags) == ("second", ())
    for form, told in (
        ({"do": "annotate", "type": "call", "annotation": "[1]", "reason": "r"}, "object"),
        ({"do": "annotate", "type": "", "annotation": "{}", "reason": "r"}, "type"),
        ({"do": "update_step", "step": "sign", "reason": "r", "retry_limit": "many"}, "many"),
        ({"do": "update_step", "step": "sign", "reason": "r", "inputs": "{odd"}, "{odd"),
    ):
        answer = send(http, path, **form)
        assert (answer.status_code, told in Looked(answer.text).text) == (422, True), form


@pytest.mark.parametrize(
    ("form", "status", "told"),
    [
        ({"do": "retry", "reason": "again"}, 409, "cannot retry"),
        ({"do": "pause", "reason": "  "}, 422, "expected a reason"),
        ({"do": "pause", "reason": "x" * 200}, 422, "128"),
        ({"do": "pause", "reason": "a\x00b"}, 422, "reason"),
        ({"do": "erase", "reason": "x"}, 422, "expected one of"),
        ({"reason": "x"}, 422, "expected one of"),
        ({"do": "reset_step", "step": "odd", "reason": "x"}, 404, "odd"),
    ],
)
def test_a_command_that_cannot_be_says_why_and_does_nothing(app, http, form, status, told):
    """The page says what was expected, with the fitting status, and nothing is recorded."""
    task = create(http, "signing")["id"]
    answer = send(http, f"/tasks/{task}", **form)
    assert answer.status_code == status
    assert told in Looked(answer.text).text
    assert [event.type for event in app.events(task)] == ["task.created"]


def test_what_is_offered_is_what_is_legal(app, http):
    """In every state the buttons are exactly the commands that would then be taken and change something."""
    waiting, failed, done = (create(http, name)["id"] for name in ("signing", "failing", "order"))
    app.run_until_idle()
    fresh, paused = create(http, "signing")["id"], create(http, "signing")["id"]
    app.pause(paused)
    of_step = {"resolve_step", "cancel_step"}
    for task, offered in [
        (fresh, {"pause", "cancel"} | of_step),
        (paused, {"resume", "cancel"} | of_step),
        (waiting, {"pause", "cancel", "complete_step"} | of_step),
        (failed, {"retry", "resolve", "cancel", "reset_step"} | of_step),
        (done, set()),
    ]:
        page = Looked(http.get(f"/tasks/{task}").text)
        assert page.buttons() == offered
        before = app.task(task).stream_version
        for order in TASK_BUTTONS:
            if order.name not in offered:
                assert send(http, f"/tasks/{task}", do=order.name, reason="x").status_code in {303, 409}
        assert app.task(task).stream_version == before


def test_the_slider_shows_the_past_without_scripts(app, http):
    """`?at=` shows the task as it was, of any version, position or time; nothing can be done there; the end is now."""
    task = create(http, context={"order_id": 1})["id"]
    app.run_until_idle()
    last = app.task(task).stream_version
    page = Looked(http.get(f"/tasks/{task}?at=2").text)
    slider = page.all("input", id="at")[0]
    assert (slider["min"], slider["max"], slider["value"]) == ("1", str(last), "2")
    assert page.commands() == set()
    assert "This is the past" in page.text
    assert "step.completed" not in page.text
    now = Looked(http.get(f"/tasks/{task}?at={last}").text)
    assert "This is the past" not in now.text
    assert "data-listen" in http.get(f"/tasks/{task}").text
    assert "data-listen" not in http.get(f"/tasks/{task}?at=2").text
    assert "This is the past" in http.get(f"/tasks/{task}?at=@1").text
    for odd, status in (("99", 404), ("x", 422), ("-1", 422), ("1e3", 422), ("0", 404), ("9" * 30, 422)):
        assert http.get(f"/tasks/{task}?at={odd}").status_code == status, odd
    assert http.get("/tasks/nope").status_code == 404


def test_many_steps_and_events_come_page_by_page():
    """A task of 250 steps shows a hundred at a time, its latest events first, and no picture that nobody can read."""
    many = [StepTemplate(name=f"s{number}", handler_class=good) for number in range(250)]
    with application() as app:
        app.register(TaskDefinition(name="wide", step_templates=many))
        http = browser(app)
        task = create(http, "wide")["id"]
        app.run_until_idle()
        seen, path = [], f"/tasks/{task}"
        while path:
            page = Looked(http.get(path).text)
            seen += [one["id"] for one in page.all("details") if one["id"].startswith("step-")]
            path = next((one["href"].partition("#")[0] for one in page.all("a", id="step-behind")), None)
        assert seen == [f"step-s{number}" for number in range(250)]
        first = Looked(http.get(f"/tasks/{task}").text)
        versions = [one["id"] for one in first.all("a") if one.get("id", "").startswith("v-")]
        assert versions == [f"v-{number}" for number in range(404, 504)]
        before = first.all("a", id="event-before")[0]["href"]
        assert 'id="v-403"' in http.get(before.partition("#")[0]).text
        assert not first.all("svg", **{"class": "graph"})
        for odd in ("step_from=x", "event_from=-1", "step_from=" + "9" * 20):
            assert http.get(f"/tasks/{task}?{odd}").status_code == 422
        assert http.get(f"/tasks/{task}?step_from=9999&event_from=0").status_code == 200


class Deaf(BaseSubscriber):
    """A subscriber that takes nothing."""

    name = "deaf <b>"
    subscribe_to = ("task.completed",)

    def handle(self, event):
        """Refuse."""
        raise ValueError("no answer from https://a.example/?token=s3cret-word")


def test_subscriptions_show_lag_and_what_is_parked():
    """Every subscription with its state and lag, and each parked event with its task and its error, redacted."""
    clock = FrozenClock()
    with new_app(*definitions(), settings={}, clock=clock) as app:
        app.subscribe(Deaf())
        http = browser(app)
        task = create(http)["id"]
        for _ in range(15):
            app.run_until_idle()
            clock.advance(7_200)
        page = http.get("/subscriptions").text
        assert app.subscriptions.parked(Deaf.name)
        looked = Looked(page)
        assert "deaf <b>" in looked.text
        assert looked.all("a", href=f"/tasks/{task}")
        assert "no answer from" in looked.text
        assert "s3cret-word" not in page


def test_handlers_and_workers_are_shown(app, http):
    """Definitions by name with every version, their diagram and steps; workers with what they hold."""
    app.run_until_idle()
    listed = Looked(http.get("/handlers").text)
    assert {"/handlers/default/order", "/handlers/other/order"} <= {one.get("href") for one in listed.all("a")}
    old = Looked(http.get("/handlers/default/order?version=1.0.0").text)
    assert "order 1.0.0" in " ".join(old.text.split())
    assert {one["id"] for one in old.all("a") if one.get("class", "").startswith("box")} == {"box-fetch", "box-ship"}
    assert http.get("/handlers/default/odd").status_code == 404
    assert http.get("/handlers/default/order?version=9.9.9").status_code == 404
    assert "alive" in http.get("/workers").text


def test_an_erased_task_has_a_page(app, http):
    """What was erased reads as none; the rest stays."""
    task = create(http, context={"order_id": 77_123})["id"]
    app.run_until_idle()
    app.erase(task, reason="asked for")
    page = http.get(f"/tasks/{task}")
    assert page.status_code == 200
    assert "77123" not in page.text
    assert "erased" in page.text


def test_every_status_has_a_colour_and_a_word(http):
    """The list offers every status as a filter, and the style sheet knows each."""
    page = Looked(http.get("/").text)
    style = http.get(page.all("link", rel="stylesheet")[0]["href"]).text
    for one in TaskStatus:
        assert page.all("option", value=one.value)
        assert f".s-{one.value}" in style


def test_the_api_answers_as_before(app):
    """What the pages do not have is still a problem document, and a wrong method names the right ones."""
    http = client(app)
    assert http.get("/nope").headers["content-type"] == "application/problem+json"
    wrong = http.put("/")
    assert (wrong.status_code, wrong.headers["allow"]) == (405, "GET, HEAD")
    assert http.get("/v1/tasks").json()["items"] == []
