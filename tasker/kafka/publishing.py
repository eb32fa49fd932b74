"""Requests to be published: checked by the schema of requests, with key and headers as every producer gives them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tasker.handlers.values import to_json
from tasker.kafka.message import CORRELATION, Outgoing
from tasker.kafka.reading import from_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tasker.settings.sections import Sizes, Topics


def outgoing(fields: Mapping[str, object], topics: Topics, sizes: Sizes) -> Outgoing:
    """Give the message of a request.

    Its key is the idempotency key; without one it has none, and goes to any partition.

    Args:
        fields: The JSON of the request.
        topics: The names of the topics.
        sizes: How large a context may be.

    Raises:
        InvalidRequest: It does not fit the schema; names JSON paths.
        PayloadTooLarge: The context is over its limit.
    """
    request = from_json(dict(fields))
    to_json(request.context, limit_bytes=sizes.context, what="$.context")
    value = json.dumps(fields, separators=(",", ":"), allow_nan=False).encode()
    correlation = request.valid_correlation_id
    headers = () if correlation is None else ((CORRELATION, correlation.encode()),)
    key = None if request.idempotency_key is None else request.idempotency_key.encode()
    return Outgoing(topics.requests, key, value, headers)
