"""Stored rows of random histories, their heads, and the switch between the two implementations of the fold."""

from __future__ import annotations

import pytest

from tasker.codec import definition as plans
from tasker.codec.chain import event_hash, header_bytes, payload_hash, stream_root
from tasker.codec.rows import StoredEvent, StreamHeader
from tasker.domain.task import blank
from tasker.fold import implementation
from tasker.fold.columns import Head, Link
from tests.contracts.lives import encoded
from tests.properties.histories import Run

STREAM = bytes(range(16))
LOG_ID = bytes(16)
FIRST_CUSTOM = 1000

compiled_only = pytest.mark.skipif(
    implementation() == "python",
    reason="there is no compiled fold here, or TASKER_NATIVE=0: `make core` with Rust on PATH builds it",
)


def by_python(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fold and verify in Python from now on."""
    monkeypatch.setattr("tasker.fold.native.native", lambda: None)


def head(row: StoredEvent) -> Head:
    """Give the head of a stored event."""
    kind = row.version << 32 | min(row.code, 65_535) << 16 | row.schema_version
    place = (0 if row.step is None else row.step + 1) << 32 | (row.attempt or 0)
    return row.stream_id, row.position, kind, place, row.time, row.due


def link(row: StoredEvent) -> Link:
    """Give the link of a stored event."""
    place = (0 if row.step is None else row.step + 1) << 32 | (0 if row.attempt is None else row.attempt + 1)
    sealed = row.payload_hash if row.salt is None else row.salt + row.payload_hash
    return (
        row.position, row.stream_id + row.event_id + row.hash, row.version << 32 | row.code, place, row.time, row.due,
        row.actor, row.causation_id, row.metadata, row.data, row.payload, sealed, row.schema_version,
    )  # fmt: skip


def stored(run: Run, stream_id: bytes = STREAM, *, gap: int = 3) -> list[StoredEvent]:
    """Write the history of a run as rows of a log in which other streams stand between them."""
    digest = plans.digest(plans.encode(run.definition))
    header = StreamHeader("default", run.definition.name, run.definition.version, digest, "c", None)
    task, found, codes = blank("t", run.definition), [], {}
    previous = stream_root(LOG_ID, stream_id, header_bytes(*header))
    for place, event in enumerate(run.history):
        new, task = encoded(task, event)
        if not new.code:
            new = new._replace(code=codes.setdefault(new.type, FIRST_CUSTOM + len(codes) * 70_000))
        position, salt = place * gap + 1, None if new.payload is None else bytes(16)
        digest = None if salt is None else payload_hash(salt, new.payload)
        previous = event_hash(previous, position, stream_id, place + 1, new[:12], digest)
        found.append(StoredEvent(position, stream_id, place + 1, *new, salt, digest, previous, header))
    return found


def reader(rows: list[StoredEvent]):
    """Give what reads rows by their positions, in the order of the log."""
    known = {row.position: row for row in rows}
    return lambda positions: [known[at] for at in sorted(positions)]
