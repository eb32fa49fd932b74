"""When a failed delivery is tried again, and what is told of it."""

from __future__ import annotations

import pytest

from tasker.errors import PermanentError, RetryableError
from tasker.redaction import Redactor
from tasker.subscriptions.retry import LONGEST_ERROR, TRIES, next_try, told


def test_delays_grow():
    """Each delay is longer than the one before, and all together they take about an hour."""
    delays = [next_try(tries, ValueError(), 0)[1] for tries in range(1, TRIES)]
    assert delays == sorted(set(delays))
    assert 55 * 60 < sum(delays) / 1_000_000 < 65 * 60


@pytest.mark.parametrize(
    ("tries", "error", "expected"),
    [
        (TRIES, ValueError(), (TRIES, None)),
        (1, PermanentError("x"), (1, None)),
        (1, RetryableError("x"), (1, 7_000_100)),
        (9, RetryableError("x", retry_after=2), (8, 2_000_100)),
        (TRIES, RetryableError("x", retry_after=2), (TRIES - 1, 2_000_100)),
        (1, RetryableError("x", retry_after=1e9), (0, 5_000_100)),
        (1, RetryableError("x", retry_after=10**400), (0, 5_000_100)),
        (1, RetryableError("x", retry_after=float("inf")), (0, 5_000_100)),
        (1, RetryableError("x", retry_after=0.5), (1, 500_100)),
        (3, RetryableError("x", retry_after=-1), (3, 100)),
        (TRIES, RetryableError("x", retry_after=0), (TRIES, None)),
        (1, RetryableError("x", retry_after=float("nan")), (1, 7_000_100)),
        (1, RetryableError("x", retry_after="soon"), (1, 7_000_100)),
    ],
)
def test_next(tries, error, expected):
    """The tenth try and a permanent error park; a wait of a second or more that is asked for is no try, and bounded."""
    assert next_try(tries, error, 100, 5_000_000) == expected


def test_told():
    """An error is told in one bounded line, without the secrets of URLs."""
    text = told(ValueError("GET https://h/?token=abcdef " + "x" * 5_000), Redactor())
    assert text.startswith("ValueError: GET https://h/?token=[FILTERED] xxx")
    assert len(text) == LONGEST_ERROR
