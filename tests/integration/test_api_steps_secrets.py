"""Values from the environment stay there: a server that sends everything back, in every way, and what is kept of it."""

from __future__ import annotations

import base64
import html
import json
import logging
import re
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
from starlette.testclient import TestClient

from tasker import ApiStepHandler, PermanentError, RetryableError, TaskDefinition, TaskHandler
from tasker.testing import FrozenClock
from tests.integration.api_kit import Call, Stub, closed_port, redirect, reply, stub
from tests.integration.http_kit import every_route
from tests.integration.runner_kit import memory_app, step
from tests.unit.telemetry.kit import host

#: Where a value from the environment stands; each value begins with a mark that no encoding changes.
PLACES = {
    "USER": "Zq01x-user",
    "PASSWORD": "Zq02x%2Fp%40ss",
    "ACCOUNT": "Zq03x account",
    "SIGNATURE": "Zq04x+/=sig&nature",
    "BEARER": "Zq05x.eyJhbGciOiJub25lIn0.e30",
    "API_KEY": "Zq06x-api-key\n",
    "SESSION": "Zq07x-session",
    "OWN_HEADER": "Zq08x; own=header",
    "PARAMETER": "Zq09xpä rameter",
    "LISTED": "Zq10x,listed",
    "IN_BODY": 'Zq11x "in" <body> & \\more',
    "DEEP_IN_BODY": "Zq12xdeep/ïn/body",
    "FORM": "Zq13x form=&value",
    "LINES": "Zq14x-one\nZq14x-two\n",
    "OF_HANDLER": "Zq15x-of-handler",
    "PUBLISHED": "Zq16x-published",
    "ANNOTATED": "Zq17x-annotated",
    "AT_THE_CUT": "Zq18x-at-the-cut-of-the-text",
    "IN_LOCATION": "Zq19x/in?location",
    "NO_HTTP": "Zq20x-no-http'\"",
    "AFTER": "Zq21x-after",
    "REASON": "Zq22x-reason",
    "CHECKED": "Zq23x-checked",
    "NUMBER": "7240911355",
    "LONG_KEY": "Zq25x" + "k" * 900,
}
MARKS = [value if value.isdigit() else value[:5] for value in PLACES.values()]  # five digits are in any long id
RETRIED = ("busy", "rubbish", "lost", "led", "waits")
BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{12,}")
URL = "http://${USER}:${PASSWORD}@127.0.0.1:PORT/v1/${ACCOUNT}/?sig=${SIGNATURE}"
CONFIG = {
    "params": {"key": "${PARAMETER}", "listed": ["${LISTED}", "b"]},
    "headers": {
        "X-Bearer": "Bearer ${BEARER}",
        "X-Api-Key": "${API_KEY}",
        "Cookie": "session=${SESSION}",
        "X-Own": "a=${OWN_HEADER}",
        "X-Number": "${NUMBER}",
    },
    "method": "POST",
    "send": {"json": {"a": "${IN_BODY}", "b": [{"c": "${DEEP_IN_BODY}"}], "d": "${LINES}", "e": "${LONG_KEY}"}},
    "of_handler": "${OF_HANDLER} ${PUBLISHED} ${ANNOTATED} ${REASON} ${CHECKED}",
    "at_the_cut": "${AT_THE_CUT}",
    "in_location": "${IN_LOCATION}",
    "no_http": "${NO_HTTP}",
    "after": "${AFTER}",
    "number": "${NUMBER}",
    "form": "${FORM}",
}  # fmt: skip


def echo(request) -> bytes:
    """Write back what came, as servers do: as it is, decoded, in JSON, in HTML, in a URL, in base64."""
    headers = "\n".join(f"{name}: {value}" for name, value in request.headers.items())
    texts = [request.target, headers, request.body.decode()]
    texts += [
        form(text) for text in (*texts, *PLACES.values()) for form in (quote, quote_plus, html.escape, json.dumps)
    ]
    texts += [base64.b64encode(b"ab"[:n] + text.encode()).decode() for text in PLACES.values() for n in range(3)]
    return json.dumps({"echo": texts, "headers": request.headers, "number": int(PLACES["NUMBER"])}).encode()


def answered(status, **headers):
    """Send everything back, in headers too."""

    def answer(one, request):
        told = {"x_echo": request.target, "set_cookie": request.headers["cookie"], **headers}
        one.sendall(reply(status, echo(request), content_type="application/json", **told))

    return answer


def rubbish(one, request):
    """Send back what is no HTTP."""
    one.sendall(f"{request.target} {PLACES['NO_HTTP']} {request.headers['x-api-key']}\r\n\r\n".encode())


class Tells(ApiStepHandler):
    """Fails with all it knows, after it has told it to everybody."""

    def process(self, task, sequence, step):
        """Tell."""
        self.publish("shop.told", {"config": dict(self.config), self.config["form"]: 1}, always=True)
        logging.getLogger("shop").info("asking %s", step.name)
        raise PermanentError(repr(self.config), code=self.config["after"], context=dict(self.config))


class Waits(ApiStepHandler):
    """Fails for a while with what a library says."""

    def process(self, task, sequence, step):
        """Fail as libraries do."""
        response = self.connection.post("ok", json={})
        raise RetryableError(f"{response.request.url} {response.request.headers.raw} {response.text}")


class Hooks(TaskHandler):
    """Annotates."""

    def update_annotations(self, task, sequence, steps):
        """Note the results."""
        task.annotate("echo", {one.name: one.results for one in steps})


def config(server: Stub, path: str, **keys: object) -> dict[str, object]:
    """Configure a step that asks for a path."""
    return {
        **CONFIG,
        "known": CONFIG["send"],
        "type": "api",
        "url": URL.replace("PORT", str(server.port)),
        "path": path,
        **keys,
    }


def answers(server: Stub) -> None:
    """Set the answers of the server."""
    base = "/v1/" + quote(PLACES["ACCOUNT"]) + "/"
    at_the_cut = b"y" * 480 + (PLACES["AT_THE_CUT"] + PLACES["LONG_KEY"]).encode()
    for path, answer in {
        "ok": answered(200),
        "refused": answered(422),
        "busy": answered(503, retry_after="Zq21x-after"),
        "rubbish": rubbish,
        "lost": lambda one, request: None,
        "cut": reply(400, at_the_cut),
        "loop": redirect(307, f"{server.url}{base}loop?next={quote(PLACES['IN_LOCATION'])}"),
        "nowhere": redirect(302, f"ftp://user:{PLACES['API_KEY'].strip()}@host/{quote(PLACES['IN_LOCATION'])}"),
        "broken": redirect(302, f"https://u:{PLACES['IN_LOCATION']}@[::1/"),
        "led": redirect(307, f"http://u:{PLACES['BEARER']}@127.0.0.1:{closed_port()}/{quote(PLACES['IN_LOCATION'])}"),
    }.items():
        server.on(base + path, answer)


def definition(server: Stub) -> TaskDefinition:
    """Declare a task with a step for each way to fail, and one that succeeds."""
    paths = ["ok", "refused", "busy", "rubbish", "lost", "cut", "loop", "nowhere", "broken", "led"]
    steps = [step(path, Call, handler_config=config(server, path)) for path in paths]
    steps += [
        step("form", Call, handler_config=config(server, "ok", send={"data": {"form": "${FORM}"}})),
        step("accepted", Call, handler_config=config(server, "refused", accept=[422])),
        step("tells", Tells, handler_config=config(server, "ok")),
        step("waits", Waits, handler_config=config(server, "ok")),
        step("unreadable", Call, handler_config=config(server, "ok", headers={"X-Lines": "${LINES}"})),
        step("no_file", Call, handler_config=config(server, "ok", ssl={"ca_file": "/nowhere/${CHECKED}"})),
        step("no_url", Call, handler_config=config(server, "ok", url="http://u:${LINES}@[${IN_LOCATION}/")),
        step("no_number", Call, handler_config=config(server, "ok", timeout_seconds="${REASON}")),
        step("no_status", Call, handler_config=config(server, "ok", accept=["${ANNOTATED}"])),
        step("no_param", Call, handler_config=config(server, "ok", params={"a": {"${PUBLISHED}": 1}})),
    ]
    return TaskDefinition(name="echo", step_templates=steps, task_handler_class=Hooks)


def found_in(kept: bytes) -> list[str]:
    """Give the marks that are there, as they are or behind base64."""
    found = [mark for mark in MARKS if mark.encode() in kept]
    for token in BASE64.findall(kept):
        for start in range(4):
            text = token[start:].translate(bytes.maketrans(b"-_", b"+/"))
            decoded = base64.b64decode(text[: len(text) // 4 * 4])
            found += [f"{mark} in base64" for mark in MARKS if mark.encode() in decoded]
    return found


@pytest.fixture
def told(monkeypatch, caplog, tmp_path):
    """Give everything that is kept and shown of a task whose server sends everything back, by where it stands."""
    for name, value in PLACES.items():
        monkeypatch.setenv(name, value)
    caplog.set_level(logging.DEBUG)
    kept: dict[str, bytes] = {}
    with stub() as server, host(monkeypatch) as spans:
        answers(server)
        clock = FrozenClock()
        with memory_app(definition(server), url=f"sqlite:///{tmp_path}/log.db", clock=clock) as app:
            task = app.submit(name="echo", context={"order": 7})
            for _ in range(3):
                app.run_until_idle()
                clock.advance(3_600)
            seen = app.task(task.id)
            kept["errors"] = "".join(repr((one.error, one.history)) for one in seen.steps.values()).encode()
            kept["annotations"] = repr(seen.annotations).encode()
            kept["results"] = "".join(repr(one.results) for one in seen.steps.values()).encode()
            kept["events"] = "".join(f"{one!r} {one.body!r} {one.cloudevent()!r}" for one in app.events()).encode()
            kept["why"] = (
                repr(app.why(task.id)).encode() + repr([app.why(task.id, name) for name in seen.steps]).encode()
            )
            kept |= pages(app, task.id, ["ok", "waits", "cut", "tells"])
            statuses = {name: one.status for name, one in seen.steps.items()}
        kept["spans"] = "".join(one.to_json() for one in spans.all()).encode()
        assert len(spans.all("tasker.step")) == len(statuses) + 2 * len(RETRIED)
        kept["log"] = b"".join(file.read_bytes() for file in sorted(Path(tmp_path).glob("log.db*")))
        kept["lines"] = "".join(f"{r.getMessage()} {r.exc_text} {r.__dict__}\n" for r in caplog.records).encode()
        kept["sent"] = repr(server.seen).encode()
    return kept, statuses


def pages(app, task: str, steps: list[str]) -> dict[str, bytes]:
    """Ask for every page and every route of the API that can be read."""
    http = TestClient(app.asgi, "http://127.0.0.1", client=("127.0.0.1", 1))
    found = {}
    routes = [one.path for one in every_route(app) if "GET" in (one.methods or ())]
    for name in steps:
        values = {"task_id": task, "step": name, "namespace": "default", "name": "echo"}
        for path in routes:
            place = re.sub(r"\{(\w+)[^}]*\}", lambda one, values=values: values.get(one[1], one[1]), path)
            if place not in {"/v1/events/stream", "/live"} and place not in found:
                answer = http.get(place)
                assert answer.status_code < 500, place
                found[place] = answer.content + repr(answer.headers).encode()
    return found


def test_what_a_server_sends_back_stays_out_of_everything(told):
    """No value from the environment is in log, lines, events, errors, results, spans, API or pages, in any encoding."""
    kept, statuses = told
    assert {name: status.value for name, status in statuses.items()} == {
        "ok": "complete",
        "form": "complete",
        "accepted": "complete",
        **dict.fromkeys([*RETRIED, "refused", "cut", "loop", "nowhere", "broken", "tells"], "error"),
        **dict.fromkeys(["unreadable", "no_file", "no_url", "no_number", "no_status", "no_param"], "error"),
    }
    sent = kept.pop("sent")
    assert {where: found for where, text in kept.items() if (found := found_in(text))} == {}
    assert len(kept) > 30
    assert b"[ENV:" in kept["annotations"]
    missing = [name for name in PLACES if f"[ENV:{name}]".encode() not in kept["results"] + kept["errors"]]
    assert missing == []
    assert len(found_in(sent)) > 10
    for name in ("/", "spans", "lines", "log"):
        assert len(kept[name]) > 1_000


def test_the_lines_of_the_libraries_are_still_written(told):
    """What httpx2 and httpcore2 log about requests stays readable: method, place and status, masked."""
    kept, _ = told
    assert b"HTTP Request: POST http://127.0.0.1:" in kept["lines"]
    assert b"/v1/[ENV:ACCOUNT]/refused" in kept["lines"]
    assert b"receive_response_headers.complete" in kept["lines"]
