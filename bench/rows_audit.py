"""The lines of the table of the audit, with the targets that the figures have."""

from __future__ import annotations

from bench.plan import PG
from bench.report import Row, at_least, at_most, milliseconds, rate, seconds, value

_VERIFIED, _EXPORTED, _SHOWN_MS, _PROOF_BYTES, _CHECKED_MS = 700_000, 100_000, 100, 10_000, 1000
_WHERE = (("SQLite", "_large", "large"), ("PostgreSQL", f"_large@{PG}", f"{PG}-large"))


def audit_rows() -> list[Row]:
    """Give the lines of both stores; figures of PostgreSQL have `@pg` behind their names."""
    return [
        row
        for store, suffix, need in _WHERE
        for row in (*_whole(store, suffix, need), *_single(store, suffix, need), *_proof(store, suffix, need))
    ]


def _whole(store: str, suffix: str, need: str) -> list[Row]:
    """Give the lines of what reads a whole log."""
    verified, exported, cold = f"audit_verify{suffix}", f"audit_export{suffix}", f"audit_verify_cold{suffix}"
    quick, written = at_least(value(verified), _VERIFIED), at_least(value(exported), _EXPORTED)
    return [
        Row(f"{store}: events verified", rate(verified), None, f"≥ {_VERIFIED:,}/s", quick, need),
        Row(f"{store}: the same, nothing of the file in memory", rate(cold)),
        Row(f"{store}: events exported", rate(exported), None, f"≥ {_EXPORTED:,}/s", written, need),
        Row(f"{store}: a seal over all of it, verification included", seconds(f"audit_seal_s{suffix}")),
    ]


def _single(store: str, suffix: str, need: str) -> list[Row]:
    """Give the lines of what reads one task."""
    found = []
    for name in ("show", "replay"):
        for share in ("p50", "p99"):
            key = f"audit_{name}_{share}_ms{suffix}"
            soon = at_most(value(key), _SHOWN_MS)
            target = f"< {_SHOWN_MS} ms"
            found.append(
                Row(f"{store}: {name} of one task at a time, {share}", milliseconds(key), None, target, soon, need)
            )
        command = f"audit_{name}_command_ms{suffix}"
        found.append(Row(f"{store}: the same, the whole command `tasker {name} … --at`", milliseconds(command, 0)))
    return [*found, Row(f"{store}: the command `tasker --version`", milliseconds(f"audit_start_ms{suffix}", 0))]


def _proof(store: str, suffix: str, need: str) -> list[Row]:
    """Give the lines of proofs."""
    size, checked = f"audit_proof_bytes{suffix}", f"audit_proof_check_ms{suffix}"
    small, soon = at_most(value(size), _PROOF_BYTES), at_most(value(checked), _CHECKED_MS)
    return [
        Row(f"{store}: the proof of a task", milliseconds(f"audit_prove_ms{suffix}")),
        Row(
            f"{store}: its bytes, without its events",
            lambda figures: f"{figures[size]:,.0f} B",
            None,
            f"< {_PROOF_BYTES:,} B",
            small,
            need,
        ),
        Row(
            f"{store}: it is checked without the database, the whole command `verify_proof.py FILE`",
            milliseconds(checked, 0),
            None,
            f"< {_CHECKED_MS:,} ms",
            soon,
            need,
        ),
    ]
