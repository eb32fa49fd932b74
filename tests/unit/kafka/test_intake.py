"""Intake: what becomes a task, what a dead letter, what comes again, and what is not acknowledged."""

from __future__ import annotations

import pytest

from tasker.errors import LogUnavailable, Overloaded
from tasker.kafka.errors import Unsettled
from tasker.kafka.intake import Intake
from tasker.kafka.message import IDENTITY, UNKNOWN_SINCE
from tasker.kafka.reading import Reason
from tests.unit.kafka.kit import CLUSTER, app, message, order, settings

NOW = 1_763_000_000.0


@pytest.fixture
def shop():
    """An application on a log in memory."""
    with app() as made:
        yield made


def intake(shop, **values) -> Intake:
    """An intake at a fixed time of the day."""
    return Intake(shop, settings(**values), CLUSTER, now=lambda: NOW)


def test_good_messages_behind_bad_ones_become_tasks(shop):
    """A batch of good and bad messages: each good one is a durable task, each bad one has its reason."""
    bad = [message(None), message(b"?"), message(b"\xff"), message({"name": "order"}), message(order("seven"))]
    good = [message(order(number)) for number in range(3)]
    taken = intake(shop).take([*bad[:3], good[0], *bad[3:], *good[1:]])
    assert [task.context["order_id"] for _, task in taken.accepted] == [0, 1, 2]
    assert [one.reason for _, one in taken.dead] == [
        Reason.TOMBSTONE, Reason.NOT_JSON, Reason.NOT_UTF8, Reason.INVALID_REQUEST, Reason.INVALID_REQUEST,
    ]  # fmt: skip
    assert taken.later == []
    assert all(shop.task(task.id).status == "pending" for _, task in taken.accepted)


def test_a_message_that_comes_twice_is_one_task(shop):
    """Redelivery of the same place, in one batch or later, gives the same task; another place gives another."""
    once, other = message(order(), offset=100), message(order(), offset=101)
    first = intake(shop).take([once, once, other])
    again = intake(shop).take([once])
    ids = [task.id for _, task in first.accepted]
    assert ids[0] == ids[1] != ids[2]
    assert [task.id for _, task in again.accepted] == ids[:1]
    assert not again.accepted[0][1].created


def test_a_message_published_again_keeps_its_identity(shop):
    """The header with its first place counts, wherever it is found now."""
    first = message(order(), offset=200)
    moved = message(order(), offset=201, headers=((IDENTITY, first.source(CLUSTER).encode()),))
    taken = intake(shop).take([first, moved])
    assert len({task.id for _, task in taken.accepted}) == 1


def test_a_key_and_a_strategy_win_over_the_place(shop):
    """The request's own key, or what the definition says makes two requests the same, decides."""
    keyed = [message(order(idempotency_key="k")) for _ in range(2)]
    same = [message({"name": "same", "context": {"a": 1}}) for _ in range(2)]
    taken = intake(shop).take([*keyed, *same])
    assert len({task.id for _, task in taken.accepted}) == 2


def test_a_conflict_is_a_dead_letter(shop):
    """The same key with another context is no task and never will be."""
    taken = intake(shop).take([message(order(1, idempotency_key="k")), message(order(2, idempotency_key="k"))])
    assert [one.reason for _, one in taken.dead] == [Reason.CONFLICT]
    assert len(taken.accepted) == 1


def test_a_context_over_its_limit_is_too_large():
    """The limit of a context is the same as everywhere; a far larger message is not even read."""
    with app(sizes={"context": 1_000}) as shop:
        large = {"name": "same", "context": {"a": "x" * 1_001}}
        huge = {"name": "same", "context": {"a": "x" * 2_000_000}}
        taken = intake(shop, sizes={"context": 1_000}).take([message(large), message(huge)])
    assert [one.reason for _, one in taken.dead] == [Reason.TOO_LARGE, Reason.TOO_LARGE]


def test_an_unknown_definition_waits_and_then_dies(shop):
    """For 60 s a newer release may come that knows it; then it is a dead letter. A strange mark counts as none."""

    def since(seconds):
        return ((UNKNOWN_SINCE, str(int((NOW - seconds) * 1000)).encode()),)

    unknown = {"name": "refund"}
    fresh, early, late = (message(unknown, headers=headers) for headers in ((), since(59), since(61)))
    strange = message(unknown, headers=((UNKNOWN_SINCE, b"soon"),))
    taken = intake(shop).take([fresh, early, late, strange])
    assert taken.later == [fresh, early, strange]
    assert [(one, why.reason) for one, why in taken.dead] == [(late, Reason.UNKNOWN_DEFINITION)]


class Failing:
    """An application whose log fails some times before it works; what it accepted is lost from its answers."""

    def __init__(self, shop, errors):
        """Take the real one, and the errors in order."""
        self.shop, self.errors, self.calls = shop, errors, 0

    def definition(self, *names):
        """Give a definition."""
        return self.shop.definition(*names)

    def submit_many(self, requests, *, metadata=()):
        """Fail, or submit."""
        self.calls += 1
        requests = list(requests)
        if self.errors:
            error = self.errors.pop(0)
            answers = self.shop.submit_many(requests)
            return [error if number % 2 else answer for number, answer in enumerate(answers)]
        return self.shop.submit_many(requests)


@pytest.mark.parametrize("error", [LogUnavailable("gone", outcome_unknown=True), Overloaded("full")])
def test_a_failing_log_is_waited_for(shop, error):
    """What was not accepted is submitted again until it is; what may have been is not made twice."""
    failing = Failing(shop, [error, error])
    taken = Intake(failing, settings(), CLUSTER).take([message(order(number)) for number in range(4)])
    assert len(taken.accepted) == 4
    assert failing.calls == 3
    assert len({task.id for _, task in taken.accepted}) == 4
    assert len(shop.tasks().items) == 4


def test_a_stop_leaves_the_batch_unacknowledged(shop):
    """If it is time to stop before everything is settled, nothing may be acknowledged."""
    failing = Failing(shop, [LogUnavailable("gone")] * 9)
    with pytest.raises(Unsettled):
        Intake(failing, settings(), CLUSTER).take([message(order()), message(order())], lambda: True)


def test_a_fault_of_the_program_hits_one_message_only(shop):
    """A request that makes the engine raise is a dead letter; its neighbours become tasks."""

    class Faulty(Failing):
        def submit_many(self, requests, *, metadata=()):
            requests = list(requests)
            if any(one.context["order_id"] == 13 for one in requests):
                raise ZeroDivisionError("13")
            return self.shop.submit_many(requests)

    taken = Intake(Faulty(shop, []), settings(), CLUSTER).take([message(order(number)) for number in (12, 13, 14)])
    assert [why.reason for _, why in taken.dead] == [Reason.REFUSED]
    assert len(taken.accepted) == 2
