"""Two short histories with a broker; `python -m tests.faults.kafka` plays many, and longer ones."""

from __future__ import annotations

import pytest

from tests import broker
from tests.faults.kafka.history import Services, play
from tests.faults.kafka.script import draw


@pytest.mark.slow
def test_faults_break_no_invariant():
    """Whatever is done: every acknowledged request is one task, all complete, every event is published in order."""
    broker.required()
    services = Services()
    try:
        outcomes = [play(draw(seed), services) for seed in (9, 19)]
    finally:
        services.close()
    for outcome in outcomes:
        assert not outcome.violations, "\n".join([*outcome.violations, f"files: {outcome.kept}"])
        assert outcome.faults
