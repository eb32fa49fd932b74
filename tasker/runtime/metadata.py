"""Trace and request ids that come with a request: checked, and written as they are recorded with `task.created`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tasker.codec.jsonbytes import dumps

if TYPE_CHECKING:
    from collections.abc import Mapping

TRACE_PARENT, TRACE_STATE, REQUEST_ID = "traceparent", "tracestate", "request_id"
_TRACE_PARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_LONGEST_STATE = 512
_LONGEST_ID = 128


def encoded(given: Mapping[str, str] | None) -> bytes | None:
    """Write the ids that come with a request, or None without any.

    As W3C Trace Context asks, a `traceparent` that is none is passed over, and with it its `tracestate`; so is whatever
    else is no id: a request is not refused for it.

    Args:
        given: `traceparent`, `tracestate` and `request_id`; other keys are passed over.
    """
    if not given:
        return None
    kept: dict[str, str] = {}
    parent, state, asked = (given.get(name) for name in (TRACE_PARENT, TRACE_STATE, REQUEST_ID))
    if parent is not None and _TRACE_PARENT.fullmatch(parent):
        kept[TRACE_PARENT] = parent
        if state and len(state) <= _LONGEST_STATE and state.isascii() and state.isprintable():
            kept[TRACE_STATE] = state
    if asked and len(asked) <= _LONGEST_ID and asked.isascii() and asked.isprintable():
        kept[REQUEST_ID] = asked
    return dumps(kept) if kept else None
