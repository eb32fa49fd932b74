"""The lines of the table of subscriptions, with the targets that the figures have."""

from __future__ import annotations

from bench.plan import PG
from bench.report import Row, at_least, at_most, milliseconds, rate, times, value
from bench.subscriptions import NUMBER

_READS, _SOON, _SAME = 30_000, 20, 0.95
_SAID = {"idle": "none of which matches", "matching": "one of which matches"}
_WHERE = (("SQLite", "", ""), ("PostgreSQL", f"@{PG}", PG))


def subscription_rows() -> list[Row]:
    """Give the lines of both stores; figures of PostgreSQL have `@pg` behind their names."""
    return [
        row for store, suffix, need in _WHERE for row in (*_readers(store, suffix, need), *_beside(store, suffix, need))
    ]


def _readers(store: str, suffix: str, need: str) -> list[Row]:
    reads, p50, p99 = f"deliveries{suffix}", f"delivery_p50_ms{suffix}", f"delivery_p99_ms{suffix}"
    many, soon = at_least(value(reads), _READS), at_most(value(p50), _SOON)
    called = f"{store}: from the return of an append to the call of the subscriber, idle engine"
    return [
        Row(
            f"{store}: events read by a subscriber that does nothing", rate(reads), None, f"≥ {_READS:,}/s", many, need
        ),
        Row(f"{called}, p50", milliseconds(p50), None, f"< {_SOON} ms", soon, need),
        Row(f"{called}, p99", milliseconds(p99), None, "", None, need),
    ]


def _beside(store: str, suffix: str, need: str) -> list[Row]:
    """Give the lines of whoever appends beside many subscriptions; 1.00 is as quick as without."""
    found = []
    for key, name in (("subscribed_steps", "4-step tasks, 64 slots: steps"), ("subscribed_appends", "single appends")):
        found.append(Row(f"{store}: {name}, without a subscription", rate(f"{key}_none{suffix}"), None, "", None, need))
        for kind, said in _SAID.items():
            ratio = value(f"{key}_{kind}_ratio{suffix}")
            beside = f"{store}: {name}, beside {NUMBER} subscriptions, {said}"
            shown, met = times(ratio, "without"), at_least(ratio, _SAME)
            found.append(Row(beside, rate(f"{key}_{kind}{suffix}"), shown, f"≥ {_SAME} x without", met, need))
    return found
