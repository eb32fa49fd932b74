"""What the answers of a service, and the lack of them, mean: the same for every service."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from tasker import PermanentError, RetryableError
from tests.subscribers.endpoint import Reply, nobody
from tests.subscribers.history import events
from tests.subscribers.services import SERVICES, at

ALL = pytest.mark.parametrize("name", SERVICES)


@pytest.fixture(scope="module")
def failed():
    """Give the event of a step that failed for good."""
    return events()["step.failed"]


@ALL
def test_success(endpoint, failed, name):
    """An event that the service takes is sent once."""
    subscriber = at(endpoint, name)
    subscriber.handle(failed)
    subscriber.close()
    assert len(endpoint.seen) == 1


@ALL
def test_too_many(endpoint, failed, name):
    """429 is tried again after the seconds that the service asks for."""
    subscriber = at(endpoint, name)
    endpoint.answer(Reply(429, "slow down", (("Retry-After", "30"),)))
    with pytest.raises(RetryableError, match="429") as raised:
        subscriber.handle(failed)
    subscriber.close()
    assert raised.value.retry_after == 30
    assert len(endpoint.seen) == 1


@ALL
def test_a_crowd_is_spread(endpoint, failed, name):
    """Those that are put off one after the other come back one after the other; a success ends the queue."""
    subscriber = at(endpoint, name)
    refusal = Reply(429, "slow down", (("Retry-After", "30"),))
    endpoint.answer(refusal, refusal, refusal, SERVICES[name].success, refusal)
    waits = []
    for _ in range(5):
        try:
            subscriber.handle(failed)
        except RetryableError as error:
            waits.append(error.retry_after)
    subscriber.close()
    first, second, third, after = waits
    assert first == after == 30
    assert 30 < second < third < 33


@ALL
@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_server_errors(endpoint, failed, name, status):
    """A failing service is tried again, by the subscription's own delays."""
    subscriber = at(endpoint, name)
    endpoint.answer(Reply(status, "<h1>oops</h1>"))
    with pytest.raises(RetryableError, match=str(status)) as raised:
        subscriber.handle(failed)
    subscriber.close()
    assert raised.value.retry_after is None


@ALL
def test_unavailable_until(endpoint, failed, name):
    """503 with a date in Retry-After is tried again at that time."""
    subscriber = at(endpoint, name)
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=100), usegmt=True)
    endpoint.answer(Reply(503, "", (("Retry-After", date),)))
    with pytest.raises(RetryableError) as raised:
        subscriber.handle(failed)
    subscriber.close()
    assert 90 < raised.value.retry_after <= 100


@ALL
@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 413])
def test_refusals(endpoint, failed, name, status):
    """A refusal parks at once: no try after it can succeed; a wrong token is named as what to look at."""
    subscriber = at(endpoint, name)
    endpoint.answer(Reply(status, "no"))
    with pytest.raises(PermanentError, match=str(status)) as raised:
        subscriber.handle(failed)
    subscriber.close()
    assert raised.value.code == f"HTTP_{status}"
    assert ("Check the " in str(raised.value)) is (status in {401, 403})


@ALL
def test_events_without_a_task(endpoint, name):
    """Events that belong to no task, such as a pause of everything, are delivered too."""
    subscriber = at(endpoint, name, events="*", task_url="https://tasker.example/{task_id}")
    assert subscriber.deliver(events()["control.paused"])
    subscriber.close()
    (seen,) = endpoint.seen
    assert b"control.paused" in seen.body
    assert b"None" not in seen.body


@ALL
def test_no_network(failed, name):
    """Where nobody listens it is tried again; the error says whom it expected."""
    address = nobody()
    subscriber = SERVICES[name].make(address)
    with pytest.raises(RetryableError, match=f"expected an answer from {address}, found none"):
        subscriber.handle(failed)
    subscriber.close()


@ALL
def test_timeout(endpoint, failed, name):
    """A service that holds the request for ever is given up after the timeout, and tried again."""
    subscriber = at(endpoint, name, timeout=1)
    endpoint.answer(Reply(hold=True))
    with pytest.raises(RetryableError, match="found none"):
        subscriber.handle(failed)
    subscriber.close()


@ALL
def test_secrets_stay(endpoint, failed, name, caplog, monkeypatch):
    """No error, log line or repr shows a secret, not even if the service sends it back."""
    secret = SERVICES[name].secret
    subscriber = at(endpoint, name)
    answers = [Reply(status, f"you sent {secret} to me") for status in (200, 401, 500)]
    endpoint.answer(*answers)
    shown = [repr(subscriber), str(vars(subscriber))]
    with caplog.at_level(logging.DEBUG):
        for _ in answers:
            try:
                subscriber.handle(failed)
            except (PermanentError, RetryableError) as error:
                shown += [str(error), repr(error), repr(error.__context__), repr(error.__cause__)]
    dead = SERVICES[name].make(nobody())
    with caplog.at_level(logging.DEBUG), pytest.raises(RetryableError) as raised:
        dead.handle(failed)
    subscriber.close()
    dead.close()
    assert secret not in "\n".join([*shown, str(raised.value), caplog.text])


@pytest.mark.parametrize("name", ["pagerduty", "webhook", "sentry"])
def test_redirects_are_not_followed(endpoint, failed, name):
    """A redirect is a refusal that says to configure the address at which it ends."""
    subscriber = at(endpoint, name)
    endpoint.answer(Reply(307, "", (("Location", "/elsewhere"),)))
    with pytest.raises(PermanentError, match="Redirects are not followed"):
        subscriber.handle(failed)
    subscriber.close()
    assert len(endpoint.seen) == 1


@pytest.mark.parametrize("name", ["pagerduty", "webhook", "sentry"])
def test_the_status_decides(endpoint, failed, name):
    """An answer that breaks off after a status of success is a success: sending again would only repeat."""
    subscriber = at(endpoint, name)
    endpoint.answer(Reply(202, "acc", missing=100), Reply(400, "because", missing=100))
    subscriber.handle(failed)
    with pytest.raises(PermanentError, match="because"):
        subscriber.handle(failed)
    subscriber.close()
    assert len(endpoint.seen) == 2


@pytest.mark.parametrize("name", ["pagerduty", "webhook", "sentry"])
def test_a_huge_answer_is_not_read(endpoint, failed, name):
    """Of an answer without end only the beginning is read, and only a line of it is shown."""
    subscriber = at(endpoint, name)
    endpoint.answer(Reply(400, "no\n" * 1_000_000))
    with pytest.raises(PermanentError) as raised:
        subscriber.handle(failed)
    subscriber.close()
    assert len(str(raised.value)) < 1_000
    assert "\n" not in str(raised.value)
