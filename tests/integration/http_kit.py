"""What the tests of the HTTP API share: an application with something in it, clients, and a real server."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager

import httpx2
from starlette.routing import Route
from starlette.testclient import TestClient

from tasker import PermanentError, StepTemplate, TaskDefinition, Tasker, Wait
from tasker.http.auth import hashed
from tasker.http.server import Server
from tasker.testing import FrozenClock
from tasker.testing import app as new_app
from tests import postgres

ADDRESS = "http://127.0.0.1"
SECRETIVE = {
    "type": "object",
    "properties": {
        "order_id": {"type": "integer", "minimum": 1},
        "pin": {"type": "string", "writeOnly": True},
        "cards": {"type": "array", "items": {"$ref": "#/$defs/card"}},
    },
    "$defs": {"card": {"type": "object", "properties": {"number": {"type": "string", "writeOnly": True}}}},
}
KEYS = {
    "reader": (["task:read", "event:read"], ["default"]),
    "confidant": (["task:read", "event:read", "context:read"], ["default"]),
    "stranger": (["task:create", "task:read", "task:update", "task:cancel", "task:retry", "step:resolve", "event:read"],
                 ["elsewhere"]),
    "both": (["task:read", "event:read", "task:create"], ["default", "other"]),
    "powerless": ([], ["*"]),
    "root": (["admin"], ["*"]),
}  # fmt: skip


def good(task, sequence, step):
    """Give what it read."""
    return {"seen": step.inputs.get("order_id")}


def bad(task, sequence, step):
    """Fail for good, as long as the task's reason does not say otherwise."""
    if task.reason != "fixed":
        raise PermanentError("no such card", code="DECLINED")
    return {"paid": True}


def wait(task, sequence, step):
    """Wait for a person."""
    return Wait(3600, "needs a signature")


def _step(name: str, handler: object, *parents: str, **keys: object) -> StepTemplate:
    return StepTemplate(name=name, handler_class=handler, depends_on_steps=list(parents), **keys)


def definitions() -> list[TaskDefinition]:
    """Declare what the tests ask for."""
    steps = [_step("fetch", good), _step("ship", good, "fetch", dependent_system="shop", skippable=True)]
    return [
        TaskDefinition(name="order", version="1.0.0", schema=SECRETIVE, step_templates=steps),
        TaskDefinition(name="order", version="1.1.0", schema=SECRETIVE, step_templates=steps),
        TaskDefinition(name="failing", step_templates=[_step("pay", bad), _step("thank", good, "pay")]),
        TaskDefinition(
            name="signing", schema=SECRETIVE, step_templates=[_step("sign", wait), _step("file", good, "sign")]
        ),
        TaskDefinition(name="order", namespace="other", step_templates=[_step("fetch", good)]),
        TaskDefinition(name="empty", step_templates=[]),
    ]


def key_of(name: str) -> str:
    """Give the key of somebody in the settings."""
    return f"tsk_{name}_{'x' * 32}"


def keys() -> dict[str, object]:
    """Give settings with a key for everybody in KEYS."""
    listed = [
        {"name": name, "hash": hashed(key_of(name)), "permissions": may, "namespaces": where}
        for name, (may, where) in KEYS.items()
    ]
    return {"http": {"keys": listed}}


def application(settings: Mapping[str, object] | None = None, **keywords: object) -> Tasker:
    """Make an application in memory with every definition."""
    return new_app(*definitions(), settings=settings or {}, clock=FrozenClock(), **keywords)


@contextmanager
def application_on(log: str) -> Iterator[Tasker]:
    """Make an application on a kind of log: in memory, or on PostgreSQL."""
    with ExitStack() as stack:
        url = "memory://" if log == "memory" else stack.enter_context(postgres.database())
        yield stack.enter_context(application(url=url))


def client(app: Tasker, name: str | None = None, **keywords: object) -> TestClient:
    """Give a client on this machine, with the key of somebody."""
    headers = {} if name is None else {"Authorization": f"Bearer {key_of(name)}"}
    return TestClient(app.asgi, ADDRESS, client=("127.0.0.1", 1), headers=headers, **keywords)


def create(http: TestClient, name: str = "order", context: object = None, **fields: object) -> dict[str, object]:
    """Create a task."""
    answer = http.post("/v1/tasks", json={"name": name, "context": context or {}, **fields})
    assert answer.status_code == 201, answer.text
    return answer.json()


def problem(answer: object, status: int) -> dict[str, object]:
    """Check that an answer is a problem document, and give it."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert {"type", "title", "status", "detail"} <= body.keys()
    assert body["status"] == status
    return body


@contextmanager
def served(app: Tasker) -> Iterator[str]:
    """Serve an application on a real socket; gives its URL."""
    server = Server(app.asgi, app.settings, "127.0.0.1", 0)
    ready = threading.Event()
    server.on_ready = ready.set
    thread = threading.Thread(target=server.listen, daemon=True)
    thread.start()
    try:
        assert ready.wait(20)
        yield server.url
    finally:
        server.should_exit = True
        thread.join(20)
        server.close()
        assert not thread.is_alive()


def every_route(app: Tasker) -> list[Route]:
    """Give every route that the application has: of the API, pages, files; a kind that is not known is a failure."""
    found: list[Route] = []
    waiting = list(app.asgi.routes)
    while waiting:
        one = waiting.pop(0)
        inside = getattr(one, "original_router", None)
        waiting += [] if inside is None else inside.routes
        assert inside is not None or isinstance(one, Route), one
        found += [] if inside is not None else [one]
    return found


def asked(url: str, path: str) -> httpx2.Response:
    """Ask a real server."""
    return httpx2.get(url + path, timeout=20)
