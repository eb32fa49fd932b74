"""The byte layout of the hash chain: fixed for ever, and without two meanings."""

from __future__ import annotations

import struct
from itertools import combinations

import pytest

from tasker.codec.chain import NO_PAYLOAD, event_hash, header_bytes, payload_hash, stream_root
from tests.contracts.kit import event

PREVIOUS, STREAM = bytes(range(32)), bytes(range(16))
EVENT = event()._replace(event_id=bytes(16), metadata=b'{"a":1}')


def test_golden():
    """The layout of a released format never changes: a recorded event keeps its hash."""
    header = header_bytes("default", "order", "1.0.0", bytes(32), None, b"")
    assert header.hex() == (
        "0000000764656661756c74000000056f7264657200000005312e302e3000000020" + "00" * 32 + "ffffffff00000000"
    )  # fmt: skip
    root = stream_root(bytes(16), STREAM, header)
    assert root.hex() == "7b541acc2f09540aa6d1a1a5f35c1ee79e49340597f19ed1db58f12f21304b53"
    digest = payload_hash(bytes(16), b"payload")
    assert (
        event_hash(root, 7, STREAM, 1, EVENT[:12], digest).hex()
        == "776259d3c1df4f4a05d439d82f8c874d6520582450e02d4210178577824956d6"
    )
    assert (
        event_hash(root, 7, STREAM, 1, EVENT[:12], None).hex()
        == "9be56ab6d6b3f4a3d9868f985c9ca969b64a15ae9d62a7268ccaacde1b5889f4"
    )


def test_columns_have_one_meaning():
    """Absent, zero and empty columns, and bytes moved from one column to the next, all give different hashes."""
    variants = [
        EVENT,
        *(EVENT._replace(**{column: value}) for column in ("step", "attempt", "due") for value in (None, 0, 1, -1)
          if getattr(EVENT, column) != value),
        EVENT._replace(actor=None), EVENT._replace(actor=""), EVENT._replace(actor="work", causation_id=b"er"),
        EVENT._replace(causation_id=b""), EVENT._replace(metadata=None), EVENT._replace(metadata=b""),
        EVENT._replace(type="step.starte", actor="dworker"), EVENT._replace(code=11), EVENT._replace(data=b""),
    ]  # fmt: skip
    hashes = [event_hash(PREVIOUS, 1, STREAM, 1, variant[:12], None) for variant in variants]
    assert all(one != two for one, two in combinations(hashes, 2))


def test_places_enter():
    """Position, version, stream and previous hash all enter."""
    hashes = {
        event_hash(PREVIOUS, 1, STREAM, 1, EVENT[:12], None),
        event_hash(PREVIOUS, 2, STREAM, 1, EVENT[:12], None),
        event_hash(PREVIOUS, 1, STREAM, 2, EVENT[:12], None),
        event_hash(PREVIOUS, 1, bytes(16), 1, EVENT[:12], None),
        event_hash(bytes(32), 1, STREAM, 1, EVENT[:12], None),
        event_hash(PREVIOUS, 1, STREAM, 1, EVENT[:12], NO_PAYLOAD),
    }
    assert len(hashes) == 6


def test_header_fields_do_not_run_together():
    """Text moved from one field of a stream's row to the next changes its bytes."""
    rows = [("ab", "c"), ("a", "bc"), ("", "abc"), ("abc", "")]
    assert len({header_bytes(*row, "1", b"", None, None) for row in rows}) == 4
    assert header_bytes("a", "b", "1", b"", "", None) != header_bytes("a", "b", "1", b"", None, b"")


def test_impossible_values():
    """A column that holds what no log writes raises instead of giving a hash."""
    with pytest.raises(struct.error):
        event_hash(PREVIOUS, -1, STREAM, 1, EVENT[:12], None)
