"""Bytes become requests, or a reason."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tasker.kafka.reading import Reason, Refusal, read
from tasker.runtime.request import TaskRequest
from tests.unit.kafka.kit import message, order

DEEP = b'{"name":"order","context":' + b"[" * 200_000 + b"]" * 200_000 + b"}"


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, Reason.TOMBSTONE),
        (b"", Reason.NOT_JSON),
        (b"order 7", Reason.NOT_JSON),
        (b'{"name": "order"', Reason.NOT_JSON),
        (DEEP, Reason.NOT_JSON),
        (b'{"name": "or\xffder"}', Reason.NOT_UTF8),
        ("order".encode("utf-16"), Reason.NOT_UTF8),
        (b"x" * 1_000_001, Reason.TOO_LARGE),
        ([], Reason.INVALID_REQUEST),
        ({"name": "order", "colour": "red"}, Reason.INVALID_REQUEST),
        ({"context": {}}, Reason.INVALID_REQUEST),
        ({"name": "order", "priority": 5.0}, Reason.INVALID_REQUEST),
        ({"name": "order", "not_before": "tomorrow"}, Reason.INVALID_REQUEST),
        ({"name": "order", "not_before": "2026-02-30T00:00:00Z"}, Reason.INVALID_REQUEST),
        ({"name": "order", "not_before": 7}, Reason.INVALID_REQUEST),
    ],
)
def test_what_is_no_request_has_a_reason(value, reason):
    """Each way in which bytes are no request has a reason of its own, and a sentence."""
    found = read(message(value), largest=1_000_000)
    assert isinstance(found, Refusal)
    assert found.reason is reason
    assert found.text
    assert len(found.text) <= 2_000


def test_a_request_is_read_as_it_was_written():
    """All fields come through; times become aware datetimes."""
    fields = order(tags=["a"], priority=-3, not_before="2026-11-21T15:00:00.5+01:00", idempotency_key="k")
    found = read(message(fields), largest=1_000_000)
    assert isinstance(found, TaskRequest)
    assert (found.tags, found.priority, found.idempotency_key) == (("a",), -3, "k")
    assert found.not_before == datetime(2026, 11, 21, 14, 0, 0, 500_000, tzinfo=UTC)


@pytest.mark.parametrize("name", ["X-Correlation-ID", "x-correlation-id"])
def test_the_correlation_header_counts_where_the_request_has_none(name):
    """A header of any case names the correlation; the request's own id wins over it."""
    headers = ((name, b"from-header"),)
    assert read(message(order(), headers=headers), largest=9_999).correlation_id == "from-header"
    own = order(correlation_id="own")
    assert read(message(own, headers=headers), largest=9_999).correlation_id == "own"


def test_a_header_that_is_no_text_is_passed_over():
    """Bytes that are no UTF-8 name no correlation."""
    found = read(message(order(), headers=(("X-Correlation-ID", b"\xff"),)), largest=9_999)
    assert found.correlation_id is None
