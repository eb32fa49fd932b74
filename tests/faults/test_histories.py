"""A handful of histories, so that every run of the tests kills something; `make faults` plays hundreds."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults.faults import kinds
from tests.faults.history import play
from tests.faults.places import BACKENDS, POSTGRES, SQLITE, Backends
from tests.faults.script import draw
from tests.faults.told import DONE


@pytest.fixture(scope="module")
def backends() -> Iterator[Backends]:
    """Hold the servers of this module."""
    found = Backends()
    yield found
    found.close()


@pytest.mark.slow
@pytest.mark.parametrize(("backend", "seed"), [(SQLITE, 11), (SQLITE, 12), (POSTGRES, 21), (POSTGRES, 22)])
def test_faults_break_no_invariant(backends, backend, seed):
    """Whatever is done to it, every invariant of a history holds, nothing acknowledged is lost, everything ends."""
    outcome = play(draw(seed, backend), backends)
    assert not outcome.violations, "\n".join([*outcome.violations, f"files: {outcome.kept}"])
    assert outcome.faults


@pytest.mark.slow
@pytest.mark.parametrize(("backend", "seed"), [(SQLITE, 13), (POSTGRES, 23)])
def test_subscribers_are_told_of_everything(backends, backend, seed):
    """The same with subscribers that raise, hang, are killed and frozen while they deliver, and refuse poison."""
    outcome = play(draw(seed, backend, subscribers=True), backends)
    assert not outcome.violations, "\n".join([*outcome.violations, f"files: {outcome.kept}"])
    assert outcome.told[DONE] > outcome.events


def test_a_script_is_drawn_from_its_seed():
    """The same seed draws the same history, another one another; SQLite has one worker."""
    for backend in BACKENDS:
        assert draw(7, backend) == draw(7, backend) != draw(8, backend)
    assert {draw(seed, SQLITE).workers for seed in range(30)} == {1}
    assert {draw(seed, POSTGRES).workers for seed in range(30)} == {1, 2, 3, 4}


@pytest.mark.parametrize("backend", BACKENDS)
def test_some_histories_have_subscribers(backend):
    """About one history in three has subscribers, or each that is asked to; only there something happens to them."""
    drawn = [draw(seed, backend) for seed in range(300)]
    assert 60 < sum(one.subscribers for one in drawn) < 140
    assert not any(fault.kind.needs_subscribers for one in drawn if not one.subscribers for fault in one.faults)
    forced = [draw(seed, backend, subscribers=True) for seed in range(300)]
    assert all(one.subscribers for one in forced)
    assert [one for one in drawn if one.subscribers] == [forced[one.seed] for one in drawn if one.subscribers]


@pytest.mark.parametrize("backend", BACKENDS)
def test_every_kind_of_fault_is_drawn(backend):
    """In a few hundred seeds each kind of fault that can happen on a back end is drawn."""
    drawn = {one.kind for seed in range(300) for one in draw(seed, backend).faults}
    assert drawn == set(kinds(backend))
