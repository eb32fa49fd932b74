"""Seals: signed statements about ranges of the log; one that is kept elsewhere finds what was rewritten or removed."""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING

import orjson

from tasker.audit.keys import SealKey, key_id_of, need_libraries
from tasker.audit.merkle import root_of
from tasker.audit.reading import DO
from tasker.audit.standalone import verify_proof as standalone
from tasker.audit.standalone.verify_proof import ProofBroken, seal_of
from tasker.clock import rfc3339
from tasker.codec.rows import StoredSeal
from tasker.errors import ChainBroken, InvalidRequest, TaskerError

if TYPE_CHECKING:
    from pathlib import Path

    from tasker.log.port import Store

_MALFORMED = (TypeError, ValueError, AttributeError, struct.error, OverflowError)
"""What a column that holds another kind of value raises while a statement is made of it."""


class Seal(standalone.Seal):
    """A seal as people keep it. Attributes: log_id, first, last, merkle_root, previous, time, key_id, signature."""

    __slots__ = ()

    @property
    def line(self) -> str:
        """Give it as one line of JSON, for keeping elsewhere."""
        return orjson.dumps(self.as_json(), option=orjson.OPT_SORT_KEYS).decode()

    def as_json(self) -> dict[str, object]:
        """Give it as a map of JSON values."""
        return {
            "format": standalone.SEAL_FORMAT,
            "log_id": self.log_id.hex(),
            "first": self.first,
            "last": self.last,
            "merkle_root": self.merkle_root.hex(),
            "previous": self.previous.hex(),
            "time": rfc3339(self.time),
            "key_id": self.key_id.hex(),
            "signature": self.signature.hex(),
        }


def read_lines(text: str, where: str) -> list[Seal]:
    """Read seals that were kept, one a line.

    Args:
        text: The lines.
        where: Where they come from, for people.

    Raises:
        InvalidRequest: There is none, or a line is no seal.
    """
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            try:
                found.append(Seal._make(seal_of(orjson.loads(line), f"{where}:{number}")))
            except (ProofBroken, orjson.JSONDecodeError) as error:
                message = f"{where}:{number}: expected a seal as `tasker audit seal` prints it ({error})"
                raise InvalidRequest(message) from error
    if not found:
        raise InvalidRequest(f"{where}: expected seals, one a line, found none")
    return found


class Expected:
    """What the seals of a log are compared with: seals that were kept elsewhere, and whose signatures count.

    Attributes:
        kept: The seals that were kept elsewhere.
    """

    def __init__(self, kept: Iterable[Seal] = (), keys: Iterable[str | Path] = ()) -> None:
        """Take them.

        Args:
            kept: Seals that were kept elsewhere.
            keys: Ids or files of the public keys that may sign; none for any.

        Raises:
            InvalidRequest: A key is none.
            TaskerError: The extra is not installed.
        """
        self.kept = sorted(set(kept), key=lambda seal: seal.first)
        self._keys = {key_id_of(one) for one in keys}

    def check(self, store: Store, rows: Sequence[StoredSeal], head: int) -> None:
        """Check seals against the hashes of a log that has verified.

        Args:
            store: The log.
            rows: Its seals.
            head: The last position that has verified.

        Raises:
            ChainBroken: The first seal that does not hold, or that the log lacks.
            LogUnavailable: The store failed.
        """
        by_first = {row.first: row for row in rows}
        for seal in self.kept:
            _check_signature(seal, self._keys)
            if seal.log_id != store.log.log_id:
                raise _broken(seal, "log_id", store.log.log_id.hex(), seal.log_id.hex())
            if seal.last > head:
                raise _removed(seal.last, head)
            if by_first.get(seal.first) != seal[1:]:
                raise _broken(seal, "row in seals", seal.line, str(by_first.get(seal.first)))
        last, previous = 0, bytes(standalone.HASH_BYTES)
        for row in rows:
            seal = Seal(store.log.log_id, *row)
            try:
                _check_place(seal, last, previous, head)
                _check_signature(seal, self._keys)
                last, previous = seal.last, seal.digest
            except _MALFORMED as error:
                raise _broken(seal, "columns", "values of the kinds that the log writes", str(error)) from error
            root = root_of(store.archive, seal.first, seal.last)
            if root != seal.merkle_root:
                raise _broken(seal, "root of the hashes", seal.merkle_root.hex(), root.hex())


def rows_of(store: Store, kept: Collection[Seal] = ()) -> list[StoredSeal]:
    """Read the seals of a log.

    Raises:
        TaskerError: There are some, or some were kept, and the extra that can check them is not installed.
        LogUnavailable: The store failed.
    """
    rows = store.archive.seals()
    if rows or kept:
        need_libraries()
    return rows


def make(store: Store, key: SealKey, head: int, now: int) -> Seal:
    """Seal what was appended since the last seal; what verified is taken as it is.

    Args:
        store: The log.
        key: Signs.
        head: The last position that has verified.
        now: Microseconds since the epoch.

    Returns:
        The seal; the last one where nothing was appended since.

    Raises:
        InvalidRequest: The log is empty.
        TaskerError: Somebody else sealed at the same time.
        LogUnavailable: The store failed.
    """
    rows, log_id = store.archive.seals(), store.log.log_id
    before = Seal(log_id, *rows[-1]) if rows else None
    first = 1 if before is None else before.last + 1
    if first > head:
        if before is None:
            raise InvalidRequest("seal: expected events, found an empty log. Submit a task first")
        return before
    previous = bytes(standalone.HASH_BYTES) if before is None else before.digest
    root = root_of(store.archive, first, head)
    unsigned = Seal(log_id, first, head, root, previous, now, key.key_id, b"")
    seal = unsigned._replace(signature=key.sign(unsigned.statement))
    if not store.archive.seal(StoredSeal(*seal[1:])):
        raise TaskerError(f"seal: expected no seal from position {first} on, found one made meanwhile. Repeat it")
    return seal


def _check_place(seal: Seal, last: int, previous: bytes, head: int) -> None:
    """Check that a seal follows the one before, and that its events are there."""
    if seal.first != last + 1 or not seal.first <= seal.last:
        raise _broken(seal, "range", f"positions from {last + 1} on", f"{seal.first} to {seal.last}")
    if seal.previous != previous:
        raise _broken(seal, "previous", previous.hex(), seal.previous.hex())
    if seal.last > head:
        raise _removed(seal.last, head)


def _check_signature(seal: Seal, keys: Collection[str]) -> None:
    """Check that a key signed a seal, and one of those that may."""
    if keys and seal.key_id.hex() not in keys:
        raise _broken(seal, "key", " or ".join(sorted(keys)), seal.key_id.hex())
    try:
        standalone.check_signature(seal, "seal")
    except ProofBroken as error:
        raise _broken(seal, "signature", error.expected, error.found) from error


def _broken(seal: Seal, what: str, expected: str, found: str) -> ChainBroken:
    """Say what of a seal is wrong."""
    message = (
        f"seal over the positions {seal.first} to {seal.last}, {what}: expected {expected}, found {found}. The log or"
        f" the seal was changed. {DO}"
    )
    return ChainBroken(message, position=None, expected=expected, found=found)


def _removed(sealed: int, head: int) -> ChainBroken:
    """Say that events were removed that had been sealed."""
    message = (
        f"position {head + 1}: expected events up to position {sealed}, which is sealed, found the end of the log. The"
        f" tail was removed. {DO}"
    )
    return ChainBroken(message, position=head + 1, expected=f"head {sealed}", found=f"head {head}")
