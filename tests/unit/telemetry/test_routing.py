"""Rules of which events go to which back ends, and of how many tasks."""

from __future__ import annotations

import pytest

from tasker.errors import InvalidRequest
from tasker.settings import Settings
from tasker.telemetry.routing import Route, Routes, fraction_of

IDS = [bytes(15) + bytes([number]) for number in range(200)]


def routes(*rules: dict[str, object]) -> Routes:
    """Make the routes of a setting."""
    return Routes(Settings.of({"telemetry": {"events": list(rules)}}).telemetry.events)


def test_without_rules_everything_goes_everywhere():
    """What no rule matches goes to every back end, for every task."""
    made = routes({"match": "step.*", "backends": ["logs"]})
    assert made.of("task.created") == Route() == Route(True, True, True, 1.0)
    assert routes().of("order.fulfilled").takes(0.999)


def test_the_first_rule_that_matches_counts():
    """A rule before another one wins, also if the later one is more exact."""
    made = routes({"match": "step.*", "backends": ["metrics"], "sampling": 0.5}, {"match": "step.failed"})
    assert made.of("step.failed") == Route(False, True, False, 0.5)
    assert made.of("task.failed") == Route()


def test_sampling_is_by_the_task_alone():
    """A task is sampled by a hash of its id: the same on each look, and a smaller share is part of a larger one."""
    fractions = [fraction_of(one) for one in IDS]
    assert fractions == [fraction_of(one) for one in IDS]
    assert all(0 <= one < 1 for one in fractions)
    tenth, half = Route(share=0.1), Route(share=0.5)
    assert all(half.takes(one) for one in fractions if tenth.takes(one))
    assert 0 < sum(map(tenth.takes, fractions)) < sum(map(half.takes, fractions)) < len(IDS)


@pytest.mark.parametrize(("share", "taken"), [(0.0, 0), (1.0, len(IDS))])
def test_none_and_all_are_exact(share, taken):
    """A share of 0 takes no task and one of 1 takes every one."""
    assert sum(Route(share=share).takes(fraction_of(one)) for one in IDS) == taken


def test_fractions_cost_nothing_where_nothing_is_sampled():
    """Without a share below 1 no id is hashed."""
    assert routes({"match": "*", "backends": ["logs"]}).fraction(IDS[7]) == 0.0
    assert routes({"match": "*", "sampling": 0.5}).fraction(IDS[7]) == fraction_of(IDS[7])


@pytest.mark.parametrize(
    "rule",
    [{"match": "step *"}, {"match": ""}, {"match": "*", "sampling": 1.5}, {"match": "*", "backends": ["printer"]}, {}],
)
def test_a_wrong_rule_is_named(rule):
    """A glob, a back end or a share that is none is refused with the settings."""
    with pytest.raises(InvalidRequest, match=r"telemetry\.events"):
        Settings.of({"telemetry": {"events": [rule]}})
