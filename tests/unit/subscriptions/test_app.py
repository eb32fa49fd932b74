"""What an application brings to its subscriptions: what is masked, how long to wait, and the end of subscribers."""

from __future__ import annotations

import threading
import time

import pytest

from tasker import BaseSubscriber, RetryableError, StepTemplate, TaskDefinition, Tasker, testing
from tasker.redaction import Redactor

PATIENCE = 20.0


def work(task, sequence, step):
    """Do nothing."""


work.name = "unit.subscriptions.work"
PLAN = TaskDefinition(name="plan", step_templates=[StepTemplate(name="one", handler_class=work)])


class Told(BaseSubscriber):
    """Notes what it is told, and how often it was closed."""

    name = "told"
    subscribe_to = ("task.completed",)

    def __init__(self, error: Exception | None = None) -> None:
        """Take what to raise."""
        self.error = error
        self.seen: list[int] = []
        self.closed = 0

    def handle(self, event) -> None:
        """Note an event."""
        self.seen.append(event.position)
        if self.error is not None:
            raise self.error

    def close(self) -> None:
        """Note it."""
        self.closed += 1


def run(app: Tasker) -> None:
    """Run a task."""
    app.submit(name="plan")
    app.run_until_idle()


def test_the_settings_say_what_is_masked():
    """`telemetry.filter_keys` and `mask` hold for `redact` and for the errors that are stored."""
    settings = {"telemetry": {"filter_keys": ["iban"], "mask": "***"}}
    told = Told(ValueError("GET https://bank.example/?iban=DE0012&token=seen"))
    with testing.app(PLAN, settings=settings) as app:
        app.subscribe(told)
        run(app)
        assert told.redact({"iban": "DE0012", "token": "seen"}) == {"iban": "***", "token": "seen"}
        (info,) = app.subscriptions.list()
    assert info.error == "ValueError: GET https://bank.example/?iban=***&token=seen"


@pytest.mark.parametrize("durable", [True, False])
def test_a_redactor_of_its_own_stays(durable):
    """A subscriber that brings what it masks with keeps it."""
    told = Told()
    told.redactor = own = Redactor(["mine"])
    with testing.app(PLAN) as app:
        app.subscribe(told, durable=durable)
        assert told.redactor is own
        assert told.app is app


def test_a_busy_service_uses_up_no_try():
    """Who asks for a delay gets it, at most `max_server_delay`, as often as it asks; the event is never parked."""
    clock = testing.FrozenClock()
    told = Told(RetryableError("429 Too Many Requests", retry_after=3_600))
    with testing.app(PLAN, settings={"max_server_delay": 50}, clock=clock) as app:
        app.subscribe(told)
        run(app)
        for _ in range(25):
            clock.advance(49)
            app.run_until_idle()
            seen = len(told.seen)
            clock.advance(1)
            app.run_until_idle()
            assert len(told.seen) == seen + 1
        told.error = None
        clock.advance(50)
        app.run_until_idle()
        (info,) = app.subscriptions.list()
    assert (len(set(told.seen)), len(told.seen), info.parked, info.retrying, info.failures) == (1, 27, 0, 0, 0)


@pytest.mark.parametrize("durable", [True, False])
def test_the_application_closes_its_subscribers(durable):
    """Each subscriber is closed with the application, once, under however many names; what it raises harms nobody."""

    class Raising(Told):
        def close(self):
            super().close()
            raise ValueError("no")

    told, bad = Told(), Raising()
    with testing.app(PLAN) as app:
        app.subscribe(bad, name="bad", durable=durable)
        app.subscribe(told, durable=durable)
        if durable:
            app.subscribe(told, name="again")
        run(app)
        assert told.closed == 0
    app.close()
    assert (told.closed, bad.closed) == (1, 1)


def test_a_retired_subscription_closes_its_subscriber():
    """With its subscription a subscriber ends, unless it has another one."""
    told, both = Told(), Told()
    with testing.app(PLAN) as app:
        app.subscribe(told)
        app.subscribe(both, name="one")
        app.subscribe(both, name="two")
        run(app)
        app.subscriptions.retire("told")
        app.subscriptions.retire("one")
        run(app)
        until(lambda: told.closed == 1)
        assert (both.closed, len(told.seen), len(both.seen)) == (0, 1, 3)
        assert not app.subscriptions.has("told")
    assert (told.closed, both.closed) == (1, 1)


def test_a_subscriber_that_does_not_close(monkeypatch, caplog):
    """A subscriber that hangs while it is closed is left alone."""
    monkeypatch.setattr("tasker.subscriptions.subscriptions._END_SECONDS", 0.1)
    go = threading.Event()

    class Stuck(Told):
        def close(self):
            assert go.wait(PATIENCE)

    with testing.app(PLAN) as app:
        app.subscribe(Stuck())
    go.set()
    assert "has not closed within 0.1 s" in caplog.text


def test_events_are_delivered_in_the_background(tmp_path):
    """Between `start` and `stop` events arrive by themselves, also for what is subscribed later, and after a resume."""
    told, late = Told(), Told()
    with Tasker(f"sqlite:///{tmp_path}/a.db", settings={}) as app:
        app.register(PLAN)
        app.subscribe(told)
        app.start()
        app.submit(name="plan")
        until(lambda: len(told.seen) == 1)
        app.subscribe(late, name="late", start="beginning")
        until(lambda: len(late.seen) == 1)
        app.subscriptions.pause("told")
        app.submit(name="plan")
        until(lambda: len(late.seen) == 2)
        assert len(told.seen) == 1
        app.subscriptions.resume("told")
        until(lambda: len(told.seen) == 2)
        app.stop()
        assert {one.owner for one in app.subscriptions.list()} == {None}
        app.submit(name="plan")
        app.run_until_idle()
        assert (len(told.seen), len(late.seen)) == (3, 3)
    assert told.seen == sorted(told.seen) == late.seen


def test_a_retry_comes_by_itself(tmp_path):
    """In the background, what failed is tried again when it is due."""
    told = Told(RetryableError("soon", retry_after=0.3))
    with Tasker(f"sqlite:///{tmp_path}/a.db", settings={}) as app:
        app.register(PLAN)
        app.subscribe(told)
        app.start()
        app.submit(name="plan")
        until(lambda: len(told.seen) == 2)
        told.error = None
        until(lambda: app.subscriptions.list()[0].retrying == 0)
        assert app.subscriptions.list()[0].parked == 0


@pytest.mark.parametrize(("seconds", "rests"), [(0.001, True), (0.05, False)])
def test_rounds_rest_beside_a_busy_runner(monkeypatch, seconds, rests):
    """Rounds have a small share of a processor, some of it at once; none waits where commits come alone."""
    with testing.app(PLAN) as app:
        readers, now, found = app._engine.readers, [time.monotonic()], []
        monkeypatch.setattr(readers._context.threads, "monotonic", lambda: now[0])
        for _ in range(4):
            now[0] += seconds
            readers.committed(1, 1, set)
            readers._paid_at = now[0]
            readers._pay(time.thread_time() - 0.012)
            found.append(readers._rest_until - now[0])
    assert max(found[:2]) <= 0
    assert (0 < found[3] <= 0.25) == rests


def until(reached) -> None:
    """Wait for something that another thread does."""
    deadline = time.monotonic() + PATIENCE
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.005)
