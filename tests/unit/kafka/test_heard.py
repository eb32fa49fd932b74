"""Why connecting to a broker failed: it is told in the log of kafka-python alone, try by try."""

from __future__ import annotations

import logging

import pytest

from tasker.kafka.client import _Heard

UNTRUSTED = "Handshake failed: [SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed"
CLOSED = "Handshake failed: TLS/SSL connection has been closed (EOF) (_ssl.c:992)"
UNKNOWN = "KafkaConnectionError: [SSL: TLSV13_ALERT_CERTIFICATE_REQUIRED] tlsv13 alert certificate required"
REFUSED = "[Error 58] SaslAuthenticationFailedError: Authentication failed"
HUNG_UP = "KafkaConnectionError: socket disconnected"
LATE = "KafkaTimeoutError: timed out"


@pytest.mark.parametrize(
    ("tries", "kept"),
    [
        ([LATE], LATE),
        ([LATE, UNTRUSTED], UNTRUSTED),
        ([UNTRUSTED, LATE], UNTRUSTED),
        ([CLOSED, LATE], CLOSED),
        ([UNKNOWN, LATE], UNKNOWN),
        ([HUNG_UP, REFUSED, LATE, LATE], REFUSED),
        ([REFUSED, HUNG_UP], HUNG_UP),
        ([LATE, "Connect attempt failed"], LATE),
    ],
)
def test_the_try_that_tells_something_is_kept(tries, kept):
    """The last reason that tells something is kept, whatever comes after it; nothing reaches the log."""
    heard = _Heard()
    for reason in tries:
        message = "Bootstrap connection to %s failed: %s (backoff %.2f secs)"
        record = logging.LogRecord("kafka", logging.WARNING, "", 1, message, ("bootstrap-0", reason, 0.1), None)
        assert not heard.filter(record)
    assert heard.last == kept
