"""A handful of histories, so that every run of the tests kills something; `make faults` plays hundreds."""

from __future__ import annotations

import pytest

from tests.faults.history import play


@pytest.mark.parametrize("seed", [11, 12, 13, 14])
def test_kills_break_no_invariant(seed):
    """After kill -9 at random moments every invariant holds, nothing acknowledged is lost, and everything ends."""
    outcome = play(seed)
    assert not outcome.violations, "\n".join([*outcome.violations, f"files: {outcome.kept}"])
    assert outcome.kills
