"""Health over HTTP: the checks of a process, who works, how far readers have come."""

from __future__ import annotations

import threading

import pytest

from tasker import BaseSubscriber
from tests.integration.http_kit import application_on, client, create
from tests.integration.runner_kit import eventually


@pytest.fixture(params=["memory", "postgres"])
def app(request):
    """Give an application on each kind of log."""
    with application_on(request.param) as made:
        yield made


@pytest.fixture
def http(app):
    """Give a client of it."""
    return client(app)


def test_workers_subscriptions_and_health_are_shown(app, http):
    """The routes of the whole say who works, how far readers are, and how many tasks stand where."""
    create(http, "failing")
    app.run_until_idle()
    assert http.get("/v1/workers").json()["items"][0]["slots"] == 16
    assert http.get("/v1/subscriptions").json() == {"items": []}
    assert http.get("/health/live").json() == {"status": "ok"}
    ready = http.get("/health/ready").json()
    assert ready["status"] == "ok"
    assert {name for name, one in ready["checks"].items() if one["ok"]} == {"log", "projections", "subscriptions"}
    status = http.get("/health/status").json()
    assert (status["tasks"], status["steps"]) == ({"error": 1}, {"error": 1, "pending": 1})


class Seen(BaseSubscriber):
    """Hears of ends."""

    name = "seen"
    subscribe_to = ("task.*",)

    def handle(self, event):
        """Take note."""


def test_a_subscription_and_a_worker_are_shown_as_they_stand(app, http):
    """How far a subscriber is, which events it takes and who serves it; which handlers a worker has."""
    app.subscribe(Seen(), start="beginning")
    create(http)
    app.run_until_idle()
    (one,) = http.get("/v1/subscriptions").json()["items"]
    assert (one["name"], one["state"], one["lag"], one["parked"]) == ("seen", "active", 0, 0)
    assert one["patterns"] == ["task.*"]
    (worker,) = http.get("/v1/workers").json()["items"]
    assert {"good", "bad", "wait"} <= {handler.rpartition(":")[2] for handler in worker["handlers"]}
    status = http.get("/health/status").json()
    assert status["subscriptions"]["seen"]["lag"] == 0
    assert {name for name, check in status["checks"].items() if check["ok"]} == {"log", "projections", "subscriptions"}


def test_a_check_that_hangs_is_told_in_time_and_made_once(app, http, monkeypatch):
    """`ready` answers whatever hangs, and asks for the same thing no second time while nobody has answered."""
    from tasker.runtime import health

    asked, go_on = [], threading.Event()

    def hanging() -> None:
        asked.append(1)
        go_on.wait()

    monkeypatch.setattr(health, "READY_SECONDS", 0.2)
    app.asgi.state.service.engine.health.checks["broker"] = hanging
    for _ in range(3):
        answer = http.get("/health/ready")
        assert answer.status_code == 503
        assert answer.json()["checks"]["broker"] == {"ok": False, "ms": 200.0, "error": "no answer within 0.2 s"}
    assert len(asked) == 1
    go_on.set()
    eventually(lambda: http.get("/health/ready").status_code == 200)


def test_a_check_that_fails_makes_the_process_unready_and_tells_no_secret(app, http):
    """`ready` answers 503 with the name of the error alone: nobody has to say who they are to see it."""

    def broken() -> None:
        raise ConnectionError("kafka://user:secret@broker")

    app.asgi.state.service.engine.health.checks["broker"] = broken
    answer = http.get("/health/ready")
    assert answer.status_code == 503
    assert answer.json()["checks"]["broker"]["error"] == "ConnectionError"
    assert "secret" not in answer.text
