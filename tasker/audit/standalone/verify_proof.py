"""Check what `tasker audit prove` wrote: needs Python 3.11, `cryptography` and this one file, wherever it is copied.

    python verify_proof.py proof.json --key ID

A proof is the stream of one task as it is stored, with the seals that cover it. Each event is hashed anew from its
columns, each hash enters the next, and for each seal a page of event hashes and a path lead to the root that was
signed. So the stream is what it was when it was sealed, up to its last event here. Who signed is known only by the id
of the key: compare it, or name the key. That nothing was recorded after the last event here is no part of a proof.

The file is one line of canonical JSON (UTF-8, sorted keys, no spaces), so that no byte of it can change without being
found. All integers below are big-endian, text is UTF-8, `SHA` is SHA-256, `‖` joins bytes::

    statement = "tasker-seal/1" ‖ 00 ‖ log_id ‖ u64 first ‖ u64 last ‖ merkle_root ‖ previous ‖ i64 time ‖ key_id
    previous  = SHA(statement ‖ signature) of the seal before; 32 zero bytes for the first
    key_id    = the 32 bytes of the Ed25519 public key, whose secret half signs the statement
    leaf      = SHA(00 ‖ the hashes of 16 events, fewer at the end), in the order of positions from `first`
    node      = SHA(01 ‖ left ‖ right); one without a neighbour moves up as it is (the tree of RFC 9162)

How an event is hashed stands in Tasker's docs/ARCHITECTURE.md, and in `_event_hash` below.
"""

from __future__ import annotations

import argparse
import json
import struct
import sys
from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

FORMAT = "tasker-proof/1"
SEAL_FORMAT = "tasker-seal/1"
PAGE = 16
"""How many event hashes a leaf holds."""

HASH_BYTES = 32
_ID_BYTES = 16
_ABSENT = 0xFFFFFFFF
_ERASED = 12
"""The code of task.erased; codes of released types are fixed."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_pack_event = struct.Struct(">BBHQIIqiiqHHIIII").pack
_NAMES = ("namespace", "task_name", "task_version")
_HIDDEN = "payload_hash"
_PROOF = {"format", "log_id", "stream", "events", "seals"}
_STREAM = {"stream_id", "namespace", "task_name", "task_version", "definition_digest", "correlation_id", "identity"}
_EVENT = {
    "position", "version", "event_id", "code", "type", "schema_version", "time", "step", "attempt", "due", "actor",
    "causation_id", "metadata", "data", "payload", "salt", "payload_hash", "hash",
}  # fmt: skip
_SEAL = {"format", "log_id", "first", "last", "merkle_root", "previous", "time", "key_id", "signature"}
_INCLUSION = {"position", "page", "path"}


class ProofBroken(Exception):
    """Something is not what was sealed: the event at `position`, or None of them; what was `expected` and `found`."""

    def __init__(self, where: str, expected: str, found: str, position: int | None = None) -> None:
        """Put the sentence together."""
        super().__init__(f"{where}: expected {expected}, found {found}")
        self.position = position
        self.expected = expected
        self.found = found


class Unusable(Exception):
    """Nothing can be checked: a file or a library is missing, or what was named as a key is none."""


class Seal(NamedTuple):
    """A signed statement about a range of a log; times are microseconds since the epoch."""

    log_id: bytes
    first: int
    last: int
    merkle_root: bytes
    previous: bytes
    time: int
    key_id: bytes
    signature: bytes

    @property
    def statement(self) -> bytes:
        """Give the bytes that are signed."""
        return struct.pack(">14s16sQQ32s32sq32s", SEAL_FORMAT.encode() + b"\0", *self[:7])

    @property
    def digest(self) -> bytes:
        """Give what the next seal holds as `previous`."""
        return sha256(self.statement + self.signature).digest()


class Checked(NamedTuple):
    """What a proof proves: the first `events` events of a task, the last of them at a position, by some keys."""

    task_id: str
    task: str
    events: int
    last: int
    sealed_at: str
    key_ids: tuple[str, ...]


class _Fields:
    """The values of a JSON map that has certain names and no others."""

    def __init__(self, value: object, names: set[str], where: str) -> None:
        if not isinstance(value, dict) or set(value) != names:
            raise ProofBroken(where, f"a map with {', '.join(sorted(names))}", str(value)[:60])
        self.where, self.values = where, value

    def wrong(self, name: str, expected: str) -> ProofBroken:
        return ProofBroken(f"{self.where}, {name}", expected, repr(self.values[name])[:80])

    def whole(self, name: str) -> int:
        found = self.values[name]
        if type(found) is not int:
            raise self.wrong(name, "a whole number")
        return found

    def maybe_whole(self, name: str) -> int | None:
        return None if self.values[name] is None else self.whole(name)

    def text(self, name: str) -> str:
        found = self.values[name]
        if not isinstance(found, str):
            raise self.wrong(name, "a text")
        return found

    def stored(self, name: str) -> bytes | None:
        """Give stored bytes: a text in UTF-8, or a map with the name `hex`; None where there are none."""
        found = self.values[name]
        if isinstance(found, dict):
            return _Fields(found, {"hex"}, f"{self.where}, {name}").hex("hex")
        return None if found is None else self.text(name).encode()

    def hex(self, name: str, length: int | None = None) -> bytes:
        text = self.text(name)
        try:
            found = bytes.fromhex(text)
        except ValueError:
            found = b""
        if found.hex() != text or (length is not None and len(found) != length):
            raise self.wrong(name, f"{'some' if length is None else length} bytes in lower-case hexadecimal digits")
        return found

    def maybe_hex(self, name: str) -> bytes | None:
        return None if self.values[name] is None else self.hex(name)

    def list(self, name: str) -> list[object]:
        found = self.values[name]
        if not isinstance(found, list):
            raise self.wrong(name, "a list")
        return found

    def time(self, name: str) -> int:
        try:
            micros = (datetime.fromisoformat(self.text(name)) - _EPOCH) // timedelta(microseconds=1)
        except (ValueError, TypeError):
            micros = 0
        if _rfc3339(micros) != self.values[name]:
            raise self.wrong(name, "a time such as 2026-11-21T14:00:00.000000Z")
        return micros


def _rfc3339(micros: int) -> str:
    return (_EPOCH + timedelta(microseconds=micros)).isoformat(timespec="microseconds").replace("+00:00", "Z")


def canonical(value: object) -> str:
    """Write a JSON value in the one form that is accepted: a line."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False) + "\n"


def parse(text: bytes, where: str) -> object:
    """Read one line of canonical JSON; `ProofBroken` if it is something else."""
    try:
        value: object = json.loads(text.decode())
        again = canonical(value).encode()
    except (ValueError, RecursionError) as error:
        raise ProofBroken(where, "one line of JSON", str(error)) from error
    if again != text:
        raise ProofBroken(where, "canonical JSON: one line, sorted keys, no spaces", "another form")
    return value


def seal_of(value: object, where: str) -> Seal:
    """Read a seal from its JSON map.

    Raises:
        ProofBroken: It has another form.
    """
    found = _Fields(value, _SEAL, where)
    first, last = found.whole("first"), found.whole("last")
    if found.text("format") != SEAL_FORMAT or not 1 <= first <= last < 1 << 63:
        raise found.wrong("format", f"{SEAL_FORMAT}, and positions from `first` to `last`")
    root, previous, key = (found.hex(name, HASH_BYTES) for name in ("merkle_root", "previous", "key_id"))
    time, signature = found.time("time"), found.hex("signature", 2 * HASH_BYTES)
    return Seal(found.hex("log_id", _ID_BYTES), first, last, root, previous, time, key, signature)


def leaf(page: bytes) -> bytes:
    """Give the leaf of a page of event hashes."""
    return sha256(b"\0" + page).digest()


def node(left: bytes, right: bytes) -> bytes:
    """Give the node above two others."""
    return sha256(b"\1" + left + right).digest()


def _root_by(start: bytes, place: int, count: int, neighbours: Sequence[bytes]) -> bytes | None:
    """Give the root to which a leaf at a place of so many leads; None if its neighbours are too few or too many."""
    left = list(reversed(neighbours))
    while count > 1:
        if place ^ 1 < count:
            if not left:
                return None
            start = node(left.pop(), start) if place % 2 else node(start, left.pop())
        place, count = place // 2, (count + 1) // 2
    return None if left else start


def check(text: bytes, keys: Collection[str] = ()) -> Checked:
    """Check a proof.

    Args:
        text: The file.
        keys: Ids of the keys that may have signed, as hexadecimal digits; none for any key.

    Raises:
        ProofBroken: The first thing that is not what was sealed.
        Unusable: The library `cryptography` is missing.
    """
    proof = _Fields(parse(text, "proof"), _PROOF, "proof")
    if proof.text("format") != FORMAT:
        raise proof.wrong("format", FORMAT)
    log_id, stream = proof.hex("log_id", _ID_BYTES), _Fields(proof.values["stream"], _STREAM, "stream")
    events = [_Fields(one, _EVENT, f"event {number}") for number, one in enumerate(proof.list("events"), 1)]
    hashes = _check_chain(log_id, stream, events)
    _check_payloads(events)
    seals = _check_seals(log_id, proof.list("seals"), hashes, keys)
    namespace, name, version = (stream.text(one) for one in _NAMES)
    return Checked(
        str(UUID(bytes=stream.hex("stream_id"))),
        f"{namespace}.{name}@{version}",
        len(events),
        max(hashes),
        _rfc3339(seals[-1].time),
        tuple(sorted({seal.key_id.hex() for seal in seals})),
    )


def _check_chain(log_id: bytes, stream: _Fields, events: list[_Fields]) -> dict[int, bytes]:
    """Check that each hash follows from the columns and what stands before; give the hashes by their positions."""
    stream_id, named = stream.hex("stream_id", _ID_BYTES), [stream.text(name).encode() for name in _NAMES]
    row = (*named, stream.hex("definition_digest"), stream.stored("correlation_id"), stream.maybe_hex("identity"))
    last, at, hashes = sha256(log_id + stream_id + b"".join(map(_field, row))).digest(), 0, dict[int, bytes]()
    for number, event in enumerate(events, 1):
        position = event.whole("position")
        if position <= at or event.whole("version") != number:
            raise event.wrong("version", f"version {number}, behind position {at}")
        try:
            last = _event_hash(last, stream_id, event)
        except struct.error as error:
            raise ProofBroken(f"position {position}", "columns of a log", str(error), position) from error
        if last.hex() != event.text("hash"):
            raise ProofBroken(f"position {position}", f"the hash {last.hex()}", event.text("hash"), position)
        hashes[position], at = last, position
    return hashes


def _field(value: bytes | None) -> bytes:
    return _ABSENT.to_bytes(4, "big") if value is None else len(value).to_bytes(4, "big") + value


def _event_hash(previous: bytes, stream_id: bytes, event: _Fields) -> bytes:
    """Give the hash of an event from its columns as they are stored."""
    event_id, kind, actor = event.hex("event_id"), event.text("type").encode(), event.stored("actor")
    causation, metadata, payload = event.maybe_hex("causation_id"), event.stored("metadata"), event.maybe_hex(_HIDDEN)
    step, attempt, due = (event.maybe_whole(name) for name in ("step", "attempt", "due"))
    flags = (step is not None) | (attempt is not None) << 1 | (due is not None) << 2 | (payload is not None) << 3
    fixed = _pack_event(
        *(1, flags, *(event.whole(name) for name in ("schema_version", "position", "version", "code", "time"))),
        *(step or 0, attempt or 0, due or 0, len(stream_id), len(event_id), len(kind)),
        *(_ABSENT if one is None else len(one) for one in (actor, causation, metadata)),
    )
    own = b"".join((previous, fixed, stream_id, event_id, kind, actor or b"", causation or b"", metadata or b""))
    data = sha256(event.stored("data") or b"").digest()
    return sha256(own + data + (bytes(HASH_BYTES) if payload is None else payload)).digest()


def _check_payloads(events: list[_Fields]) -> None:
    """Check that each payload has its hash; one that is gone needs a task.erased behind it."""
    erased = max((number for number, event in enumerate(events) if event.values["code"] == _ERASED), default=-1)
    for number, event in enumerate(events):
        payload, salt, expected = event.stored("payload"), event.maybe_hex("salt"), event.maybe_hex(_HIDDEN)
        if payload is None and salt is None and (expected is None or number < erased):
            continue
        if payload is None or salt is None or sha256(salt + payload).digest() != expected:
            position = event.whole("position")
            shown = "no payload" if expected is None else f"a payload with the hash {expected.hex()}"
            raise ProofBroken(f"position {position}", shown, "none" if payload is None else "another", position)


def _check_seals(log_id: bytes, values: list[object], hashes: dict[int, bytes], keys: Collection[str]) -> list[Seal]:
    """Check that seals, in their order, cover all events, and that the last event under each is in its tree."""
    seals: list[Seal] = []
    for number, value in enumerate(values, 1):
        where = f"seal {number}"
        entry = _Fields(value, {"seal", "inclusion"}, where)
        seal = seal_of(entry.values["seal"], where)
        before = seals[-1].last if seals else 0
        linked = not seals or seal.first > before + 1 or seal.previous == seals[-1].digest
        if seal.log_id != log_id or seal.first <= before or not linked:
            raise ProofBroken(where, "a later seal of the same log", "another")
        if keys and seal.key_id.hex() not in keys:
            raise ProofBroken(where, f"a signature by {' or '.join(sorted(keys))}", f"one by {seal.key_id.hex()}")
        check_signature(seal, where)
        below = [position for position in hashes if seal.first <= position <= seal.last]
        if not below:
            raise ProofBroken(where, "an event of this stream", f"none from {seal.first} to {seal.last}")
        _check_inclusion(seal, _Fields(entry.values["inclusion"], _INCLUSION, where), below[-1], hashes[below[-1]])
        seals.append(seal)
    for position in hashes:
        if not any(seal.first <= position <= seal.last for seal in seals):
            raise ProofBroken(f"position {position}", "a seal over it", "none", position)
    if not hashes:
        raise ProofBroken("proof", "events", "none")
    return seals


def _check_inclusion(seal: Seal, found: _Fields, position: int, event_hash: bytes) -> None:
    """Check that the hash of an event stands in a page that leads to the root of a seal."""
    place, at = divmod(position - seal.first, PAGE)
    count = seal.last - seal.first + 1
    page, size = found.hex("page"), min(PAGE, count - place * PAGE) * HASH_BYTES
    here = page[at * HASH_BYTES : (at + 1) * HASH_BYTES]
    if found.whole("position") != position or len(page) != size or here != event_hash:
        raise ProofBroken(found.where, f"the hash of position {position} in its page", "another", position)
    path = found.hex("path")
    neighbours = [path[start : start + HASH_BYTES] for start in range(0, len(path), HASH_BYTES)]
    if _root_by(leaf(page), place, -(-count // PAGE), neighbours) != seal.merkle_root:
        raise ProofBroken(found.where, f"a path from position {position} to the signed root", "another", position)


def check_signature(seal: Seal, where: str) -> None:
    """Check that the key of a seal signed it.

    Raises:
        ProofBroken: It did not.
        Unusable: The library `cryptography` is missing.
    """
    try:
        from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - said with what to do
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey  # noqa: PLC0415 - the same
    except ImportError as error:
        raise Unusable(f"signatures need the library cryptography ({error}). Run: pip install cryptography") from error
    try:
        Ed25519PublicKey.from_public_bytes(seal.key_id).verify(seal.signature, seal.statement)
    except (InvalidSignature, ValueError) as error:
        raise ProofBroken(where, f"a signature by the key {seal.key_id.hex()}", "another") from error


def main(arguments: Sequence[str] | None = None) -> int:
    """Check the file that is named; 0 it holds, 1 it does not, 2 nothing could be checked."""
    parser = argparse.ArgumentParser(description="Check a proof that `tasker audit prove` wrote.")
    parser.add_argument("file", type=Path)
    parser.add_argument("--key", action="append", default=[], metavar="ID", help="the id of a key that may have signed")
    given = parser.parse_args(arguments)
    try:
        found = check(given.file.read_bytes(), given.key)
    except ProofBroken as error:
        sys.stderr.write(f"The proof does not hold: {error}\n")
        return 1
    except (Unusable, OSError) as error:
        sys.stderr.write(f"Nothing was checked: {error}\n")
        return 2
    sys.stdout.write(f"The proof holds: {said(found, trusted=bool(given.key))}\n")
    return 0


def said(found: Checked, *, trusted: bool) -> str:
    """Say what a proof proves; `trusted` where who asks has named the keys."""
    keys = ", ".join(found.key_ids)
    whose = f"signed by {keys}" if trusted else f"signed by {keys} (compare: that this key is theirs is not checked)"
    events = f"{found.events} events of task {found.task_id} ({found.task}), the last at position {found.last}"
    return f"{events}, sealed {found.sealed_at}, {whose}"


if __name__ == "__main__":
    sys.exit(main())
