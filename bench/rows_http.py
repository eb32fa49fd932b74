"""The lines of the table of the HTTP API, with the targets that the figures have."""

from __future__ import annotations

from bench.http import LISTS, RATE
from bench.report import Row, at_most, milliseconds, value

_WRITE_MS, _READ_MS, _LIST_MS, _HEARD_MS = 50, 20, 50, 1000


def http_rows() -> list[Row]:
    """Give the lines: one server process, kept connections, the client in another process of the same machine."""
    found: list[Row] = []
    for name, beside in (("", "without a worker"), ("_worker", "with a worker that runs them, one step each")):
        found += _spread(f"POST /v1/tasks at {RATE} requests/s, {beside}", f"http_post_{{}}_ms{name}", _WRITE_MS)
        found += _spread(
            f"GET /v1/tasks/{{{{id}}}} at {RATE} requests/s, {beside}", f"http_get_{{}}_ms{name}", _READ_MS
        )
    found += _spread(f"GET /v1/tasks over 100,000 tasks at {LISTS} requests/s", "http_list_{}_ms", _LIST_MS)
    return found + _spread(
        "1,000 event streams: from the request until a client has heard", "http_stream_{}_ms", _HEARD_MS
    )


def _spread(what: str, key: str, most: int) -> list[Row]:
    p50, p99 = key.format("p50"), key.format("p99")
    return [
        Row(f"{what}, p50", milliseconds(p50)),
        Row(f"{what}, p99", milliseconds(p99), None, f"< {most} ms", at_most(value(p99), most)),
    ]
