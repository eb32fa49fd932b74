"""No secret gets out: planted wherever one may stand, none is in any answer of any route, nor in a line of the log."""

from __future__ import annotations

import logging
import re

import httpx2
import pytest
from starlette.routing import Route

from tasker import BaseSubscriber, PermanentError, StepHandler, StepTemplate, TaskDefinition
from tasker.http.auth import hashed
from tests.integration.http_kit import application, client, create, every_route, key_of, keys, served

#: Values that whoever may read contexts sees, and nobody else.
OF_TASKS = {
    "key of a context": "plain-password-01",
    "deep in a context": "deep-token-02",
    "password of a URL": "url-password-03",
    "query of a URL": "url-query-04",
    "writeOnly": "write-only-05",
    "writeOnly behind $ref": "4111-0000-06",
    "annotation": "note-secret-07",
    "results": "access-token-08",
    "context of an error": "error-context-09",
    "URL in an error": "error-query-10",
    "custom event": "event-token-11",
    "writeOnly of a custom event": "event-write-only-12",
    "inputs of a step": "inputs-salt-13",
    "results by hand": "resolved-otp-14",
}
#: Values that nobody sees.
OF_NOBODY = {
    "environment, in results": "environment-value-15",
    "environment, in an error": "environment-value-16",
    "header of a handler": "Bearer-of-handler-17",
    "subscriber": "xoxb-subscriber-18",
    "webhook": "webhook-signing-19",
    "Kafka": "kafka-password-20",
    "attribute of a subscriber": "attribute-21",
    "key of a caller": key_of("reader"),
    "key of an admin": key_of("root"),
    "hash of a key": hashed(key_of("reader")).removeprefix("sha256:"),
    "key that is none": "tsk_stray_key_22",
    "token that is none": "eyJhbGciOiJub25lIn0.stray-token-23.e30",
    "password of a caller": "dXNlcjpiYXNpYy0yNA",
    "cookie": "cookie-25",
}
SCHEMA = {
    "type": "object",
    "properties": {
        "pin": {"type": "string", "writeOnly": True},
        "cards": {"type": "array", "items": {"$ref": "#/$defs/card"}},
    },
    "$defs": {"card": {"type": "object", "properties": {"number": {"type": "string", "writeOnly": True}}}},
}
CONTEXT = {
    "password": OF_TASKS["key of a context"],
    "shops": [{"deep": {"apiToken": OF_TASKS["deep in a context"]}}],
    "callback": f"https://user:{OF_TASKS['password of a URL']}@shop.example/?token={OF_TASKS['query of a URL']}",
    "pin": OF_TASKS["writeOnly"],
    "cards": [{"number": OF_TASKS["writeOnly behind $ref"]}],
}
SETTINGS = {
    "subscribers": [
        {"class": "a:B", "config": {"token": OF_NOBODY["subscriber"]}},
        {"class": "a:C", "config": {"secret": OF_NOBODY["webhook"]}},
    ],
    "kafka": {"security": {"protocol": "SASL_SSL", "mechanism": "PLAIN", "password": OF_NOBODY["Kafka"]}},
}
STRANGE = [
    {"Authorization": f"Bearer {OF_NOBODY['key that is none']}"},
    {"X-API-Key": OF_NOBODY["key that is none"]},
    {"Authorization": f"Bearer {OF_NOBODY['token that is none']}"},
    {"Authorization": f"Basic {OF_NOBODY['password of a caller']}"},
    {"Cookie": f"session={OF_NOBODY['cookie']}"},
]


class Pay(StepHandler):
    """Tells more than it should."""

    def process(self, task, sequence, step):
        """Give what no reader shall see, and publish it."""
        told = {"token": OF_TASKS["custom event"], "hidden": OF_TASKS["writeOnly of a custom event"]}
        self.publish("shop.paid", told)
        return {"echo": self.config["token"], "access_token": OF_TASKS["results"]}


class Ship(StepHandler):
    """Fails and tells more than it should."""

    def process(self, task, sequence, step):
        """Fail with secrets in the message and in the context."""
        query = OF_TASKS["URL in an error"]
        message = f"GET https://shop.example/?token={query} with {self.config['token']} failed"
        raise PermanentError(message, context={"password": OF_TASKS["context of an error"]})


class Seen(BaseSubscriber):
    """Keeps a secret of its own, and fails."""

    name = "seen"
    subscribe_to = ("task.created",)

    def __init__(self) -> None:
        """Keep it."""
        super().__init__()
        self.password = OF_NOBODY["attribute of a subscriber"]

    def handle_task_created(self, event):
        """Fail."""
        raise ConnectionError("the other side is gone")


def definition() -> TaskDefinition:
    """Declare a task whose handlers have secrets of this machine."""
    headers = {"Authorization": OF_NOBODY["header of a handler"]}
    hidden = {"type": "object", "properties": {"hidden": {"type": "string", "writeOnly": True}}}
    events = [{"name": "shop.paid", "description": "It was paid.", "schema": hidden}]
    steps = [
        StepTemplate(
            name="pay",
            handler_class=Pay,
            handler_config={"token": "${SHOP_TOKEN}", "headers": headers},
            custom_events=events,
        ),
        StepTemplate(name="ship", handler_class=Ship, handler_config={"token": "${SHIP_TOKEN}"}, depends_on_step="pay"),
        StepTemplate(name="file", handler_class=Ship, handler_config={"token": "none"}, depends_on_step="ship"),
    ]
    return TaskDefinition(name="leaky", schema=SCHEMA, step_templates=steps)


@pytest.fixture
def house(monkeypatch, caplog):
    """Give an application in which every secret has gone through every hand, and the id of its task."""
    monkeypatch.setenv("SHOP_TOKEN", OF_NOBODY["environment, in results"])
    monkeypatch.setenv("SHIP_TOKEN", OF_NOBODY["environment, in an error"])
    for name in ("tasker", "uvicorn"):
        caplog.set_level(logging.DEBUG, name)
    with application({**keys(), **SETTINGS}) as app:
        app.register(definition())
        app.subscribe(Seen())
        root = client(app, "root")
        task = create(root, "leaky", CONTEXT)["id"]
        app.run_until_idle()
        place = f"/v1/tasks/{task}"
        noted = {"type": "note", "annotation": {"secret": OF_TASKS["annotation"]}}
        assert root.post(f"{place}/annotations", json=noted).status_code == 201
        inputs = {"inputs": {"salt": OF_TASKS["inputs of a step"]}}
        assert root.patch(f"{place}/steps/file", json=inputs).status_code == 200
        results = {"results": {"otp": OF_TASKS["results by hand"]}}
        assert root.post(f"{place}/steps/ship/resolve", json=results).status_code == 200
        yield app, task


def paths_of(app, task: str) -> list[str]:
    """Give the path of every route that is read, pages and files too, filled with what there is."""
    values = {"task_id": task, "step": "pay", "namespace": "default", "name": "leaky"}
    found = {re.sub(r"\{(\w+)[^}]*\}", lambda one: values.get(one[1], one[1]), route.path) for route in get_routes(app)}
    return [*sorted(found), f"/v1/tasks/{task}/steps/ship", f"/v1/tasks/{task}/steps/file", f"/tasks/{task}?at=3"]


def get_routes(app) -> list[Route]:
    """Give the routes that are read, but for streams."""
    routes = [one for one in every_route(app) if "GET" in (one.methods or ())]
    assert len(routes) > 20
    return [one for one in routes if one.path not in {"/v1/events/stream", "/live"}]


def found_in(text: str, *kinds: dict[str, str]) -> list[str]:
    """Name the secrets that a text holds."""
    return [name for kind in kinds for name, value in kind.items() if value in text]


def wrong(http: httpx2.Client, path: str, headers: dict[str, str]) -> str:
    """Give what a path answers to what is wrong: a method, a body, a query that hold secrets."""
    secret = OF_NOBODY["cookie"]
    asked = [
        http.request(method, path, headers=headers, json={"name": "leaky", "reason": 5, "token": secret})
        for method in ("POST", "PATCH", "DELETE")
    ]
    asked.append(http.get(path, headers=headers, params={"token": secret, "limit": "x"}))
    return "".join(answer.text + str(answer.headers) for answer in asked)


def test_no_answer_and_no_line_holds_a_secret(house, caplog):
    """Whoever may not read contexts sees none of them on any route, and nobody sees those of this machine."""
    app, task = house
    reader, root = ({"Authorization": f"Bearer {key_of(name)}"} for name in ("reader", "root"))
    with served(app) as url, httpx2.Client(base_url=url, timeout=60) as http:
        for path in paths_of(app, task):
            answer = http.get(path, headers=reader)
            assert answer.status_code < 500, path
            assert found_in(answer.text + str(answer.headers), OF_TASKS, OF_NOBODY) == [], path
            answer = http.get(path, headers=root)
            assert found_in(answer.text + str(answer.headers), OF_NOBODY) == [], path
            assert found_in(wrong(http, path, reader), OF_TASKS, OF_NOBODY) == [], path
            for headers in STRANGE:
                assert found_in(http.get(path, headers=headers).text, OF_TASKS, OF_NOBODY) == [], path
        with http.stream("GET", "/v1/events/stream?after=0", headers=reader) as stream:
            frames = ""
            for line in stream.iter_lines():
                frames += line
                if "step.resolved_manually" in line:
                    break
        assert found_in(frames, OF_TASKS, OF_NOBODY) == []
    assert len(caplog.records) > 1
    written = "\n".join(f"{record.getMessage()} {record.exc_text} {record.__dict__}" for record in caplog.records)
    assert found_in(written, OF_TASKS, OF_NOBODY) == []


def test_who_may_read_contexts_sees_them(house):
    """The log keeps what was sent: a reader with context:read gets it, so that the test above looks at something."""
    app, task = house
    root = client(app, "root")
    paths = ["", "/steps", "/steps/pay", "/steps/ship", "/steps/file", "/events", "/annotations"]
    shown = "".join(root.get(f"/v1/tasks/{task}{rest}").text for rest in paths)
    assert found_in(shown, OF_TASKS) == list(OF_TASKS)
    assert found_in(shown, OF_NOBODY) == []
    assert "[ENV:SHOP_TOKEN]" in shown


def test_what_is_wrong_with_a_hidden_value_does_not_tell_it():
    """A refusal names the place of a wrong `writeOnly` value and not the value."""
    schema = {"type": "object", "properties": {"pin": {"type": "string", "maxLength": 4, "writeOnly": True}}}
    with application(keys()) as app:
        app.register(TaskDefinition(name="locked", schema=schema, step_templates=[]))
        answer = client(app, "root").post("/v1/tasks", json={"name": "locked", "context": {"pin": "12345-hidden"}})
        assert answer.status_code == 422
        assert "$.pin" in answer.json()["problems"]
        assert "12345-hidden" not in answer.text


def test_the_password_of_the_database_is_told_to_nobody(caplog):
    """A log that cannot be reached makes every route say so, health too, without the URL's password."""
    url = f"postgresql+psycopg://tasker:{'database-password-26'}@127.0.0.1:1/none"
    caplog.set_level(logging.DEBUG, "tasker")
    with application(keys(), url=url) as app:
        http = client(app, "root")
        texts = []
        for path in paths_of(app, "0199a0b0-0000-7000-8000-000000000000"):
            answer = http.get(path)
            assert answer.status_code in {200, 303, 404, 503}, (path, answer.text)
            texts.append(answer.text)
        assert http.get("/health/ready").status_code == 503
        assert http.get("/v1/tasks").headers["retry-after"] == "1"
        posted = http.post("/v1/tasks", json={"name": "order"})
        assert posted.status_code == 503
        written = "\n".join(f"{record.getMessage()} {record.exc_text}" for record in caplog.records)
        assert "database-password-26" not in "".join([*texts, posted.text, written])
