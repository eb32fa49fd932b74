"""When a failed delivery is tried again, and what is told of it."""

from __future__ import annotations

import pytest

from tasker.errors import PermanentError, RetryableError
from tasker.redaction import Redactor
from tasker.subscriptions.retry import LONGEST_ERROR, TRIES, next_try, told


def test_delays_grow():
    """Each delay is longer than the one before, and all together they take about an hour."""
    delays = [next_try(tries, ValueError(), 0) for tries in range(1, TRIES)]
    assert delays == sorted(set(delays))
    assert 55 * 60 < sum(delays) / 1_000_000 < 65 * 60


@pytest.mark.parametrize(
    ("tries", "error", "due"),
    [
        (TRIES, ValueError(), None),
        (1, PermanentError("x"), None),
        (1, RetryableError("x"), 7_000_100),
        (9, RetryableError("x", retry_after=2), 2_000_100),
        (TRIES, RetryableError("x", retry_after=2), None),
    ],
)
def test_next(tries, error, due):
    """The tenth try and a permanent error park; who asks for a delay gets it."""
    assert next_try(tries, error, 100) == due


def test_told():
    """An error is told in one bounded line, without the secrets of URLs."""
    text = told(ValueError("GET https://h/?token=abcdef " + "x" * 5_000), Redactor())
    assert text.startswith("ValueError: GET https://h/?token=[FILTERED] xxx")
    assert len(text) == LONGEST_ERROR
