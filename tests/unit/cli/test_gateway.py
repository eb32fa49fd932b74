"""The demo's stub gateway: books that charge once for each key, and moods that are the same in every run."""

from __future__ import annotations

import httpx2 as httpx
import pytest

from tasker.cli.demo.gateway import BUSY, DECLINED, SLOW, Gateway


@pytest.fixture
def gateway():
    """Give a running gateway."""
    with Gateway() as running:
        yield running


def charge(gateway, order, key, **options):
    """Ask for a charge."""
    with httpx.Client(trust_env=False, timeout=5) as client:
        body = {"order_id": order, "amount": 4}
        return client.post(f"{gateway.url}/charges", json=body, headers={"Idempotency-Key": key}, **options)


def test_a_repeated_key_charges_once(gateway):
    """The same key gets the first answer again, and nothing is charged; another key is another charge."""
    first, again, other = (charge(gateway, 1, key) for key in ("k1", "k1", "k2"))
    assert first.json() == again.json() != other.json()
    assert first.status_code == again.status_code == 201
    assert (gateway.ledger.by_order()[1], gateway.ledger.repeated) == (2, 1)


def test_a_busy_gateway_names_a_time(gateway):
    """Some orders get 503 with Retry-After at first, and nothing is charged."""
    order = min(BUSY)
    busy = charge(gateway, order, "k")
    assert (busy.status_code, busy.headers["retry-after"], gateway.ledger.charges) == (503, "1", {})
    assert charge(gateway, order, "k").status_code == 201


def test_a_declined_card_is_never_charged(gateway):
    """The declined card is declined each time."""
    assert [charge(gateway, DECLINED, "k").status_code for _ in range(2)] == [402, 402]
    assert not gateway.ledger.charges


def test_a_lost_answer_is_charged_all_the_same(gateway):
    """The slow order is charged, the answer comes too late; the repeated request gets the first charge."""
    with pytest.raises(httpx.TimeoutException):
        charge(gateway, SLOW, "k", timeout=0.2)
    assert charge(gateway, SLOW, "k").json()["charge_id"] == "ch_0001"
    assert gateway.ledger.by_order()[SLOW] == 1


def test_other_requests_are_refused(gateway):
    """Without a key nothing is charged; an unknown page is 404."""
    with httpx.Client(trust_env=False, base_url=gateway.url) as client:
        assert client.post("/charges", json={"order_id": 1, "amount": 1}).status_code == 400
        assert client.get("/nope").status_code == 404
        assert client.get("/orders/7/status").json() == {"order_id": 7, "status": "open"}
