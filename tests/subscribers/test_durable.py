"""From end to end: durable subscriptions on a real log, a real endpoint, and a clock that is moved by hand."""

from __future__ import annotations

import pytest

from tasker import testing
from tests.subscribers.endpoint import Reply
from tests.subscribers.history import shop
from tests.subscribers.services import SERVICES, at

ALL = pytest.mark.parametrize("name", SERVICES)
BUSY, FAILING, REFUSING = Reply(429, "", (("Retry-After", "30"),)), Reply(503, "busy"), Reply(401, "no")


@pytest.fixture(params=["memory", "sqlite"])
def url(request, tmp_path):
    """Give a log in memory, and one in a file."""
    return "memory://" if request.param == "memory" else f"sqlite:///{tmp_path}/shop.db"


def events_of(name: str) -> str:
    """Give a type of which a failing task brings one event, and which the subscriber takes."""
    return "step.failed" if name == "sentry" else "task.failed"


@ALL
def test_it_arrives_in_the_end(endpoint, url, name):
    """An event that was answered with 503 twice arrives with the third try, and once."""
    clock = testing.FrozenClock()
    with shop(url, clock) as app:
        subscriber = at(endpoint, name, events=events_of(name))
        app.subscribe(subscriber)
        endpoint.answer(FAILING, FAILING)
        app.submit(name="shop", context={"declined": "no"})
        app.run_until_idle()
        for tries, delay in ((1, 7), (2, 14), (3, 3_600)):
            assert len(endpoint.seen) == tries
            clock.advance(delay)
            app.run_until_idle()
        (info,) = app.subscriptions.list()
    subscriber.close()
    assert len(endpoint.seen) == 3
    assert len({seen.body for seen in endpoint.seen if name == "webhook"}) <= 1
    assert (info.lag, info.failures, info.retrying, info.parked) == (0, 0, 0, 0)


@ALL
def test_it_waits_as_long_as_it_is_asked_to(endpoint, name):
    """After 429 nothing is sent before Retry-After has passed, and then it arrives."""
    clock = testing.FrozenClock()
    with shop(clock=clock) as app:
        subscriber = at(endpoint, name, events=events_of(name))
        app.subscribe(subscriber)
        endpoint.answer(BUSY)
        app.submit(name="shop", context={"declined": "no"})
        app.run_until_idle()
        clock.advance(29)
        app.run_until_idle()
        assert len(endpoint.seen) == 1
        clock.advance(1)
        app.run_until_idle()
        assert app.subscriptions.list()[0].retrying == 0
    subscriber.close()
    assert len(endpoint.seen) == 2


@ALL
def test_a_wrong_token_parks(endpoint, name):
    """A refusal parks the event with an error that people understand; repaired and retried, it arrives."""
    with shop() as app:
        subscriber = at(endpoint, name, events=events_of(name))
        app.subscribe(subscriber)
        endpoint.answer(REFUSING)
        app.submit(name="shop", context={"declined": "no"})
        app.run_until_idle()
        subscription = subscriber.name
        (parked,) = app.subscriptions.parked(subscription)
        assert (parked.tries, "found 401" in parked.error, "Check the " in parked.error) == (1, True, True)
        assert SERVICES[name].secret not in parked.error
        app.subscriptions.retry(subscription, parked.position)
        app.run_until_idle()
        assert app.subscriptions.list()[0].parked == 0
    subscriber.close()
    assert len(endpoint.seen) == 2


def test_a_crowd_of_failures_arrives(endpoint):
    """Forty failures at once, against a service that takes one a second, all arrive; none is parked."""
    clock = testing.FrozenClock()
    with shop(clock=clock) as app:
        subscriber = at(endpoint, "slack", events="task.failed")
        app.subscribe(subscriber)
        taken = _OneASecond(endpoint, clock, SERVICES["slack"].success)
        endpoint.take = taken
        for _ in range(40):
            app.submit(name="shop", context={"declined": "no"})
        app.run_until_idle()
        for _ in range(300):
            clock.advance(1)
            app.run_until_idle()
        (info,) = app.subscriptions.list()
    assert (len(taken.delivered), info.parked, info.retrying, info.state) == (40, 0, 0, "active")


class _OneASecond:
    """A service that takes one message in each second of a clock."""

    def __init__(self, endpoint, clock, success):
        self.delivered, self._last = [], None
        self._endpoint, self._clock, self._success = endpoint, clock, success

    def __call__(self, seen):
        now = self._clock.now()
        if self._last == now:
            return Reply(429, '{"ok":false,"error":"ratelimited"}', (("Retry-After", "1"),))
        self._last = now
        self.delivered.append(seen)
        return self._success


def test_a_dry_run_sends_nothing(endpoint):
    """A backtest over history shows what would be sent, and sends nothing."""
    with shop() as app:
        subscriber = at(endpoint, "pagerduty")
        for context in ({}, {"declined": "no"}):
            app.submit(name="shop", context=context)
        app.run_until_idle()
        app.subscribe(subscriber, name="page")
        last = max(event.position for event in app.events())
        found = app.subscriptions.redeliver("page", first=1, last=last, dry_run=True)
    subscriber.close()
    assert [event.type for event in found.events] == ["step.failed", "task.failed"]
    assert endpoint.seen == []
