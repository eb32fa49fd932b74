"""Columns as PostgreSQL arrays in its binary format: packed here, they cost a third of what the driver's own do."""

from __future__ import annotations

from itertools import repeat
from struct import Struct
from typing import TYPE_CHECKING, Any

from psycopg.adapt import Dumper
from psycopg.pq import Format

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from psycopg import Connection
    from psycopg.adapt import Buffer
    from psycopg.rows import TupleRow

_NULL = b"\xff\xff\xff\xff"
_REMEMBERED = 65_536
_head = Struct(">iiiii").pack
_small = Struct(">ii").pack
_large = Struct(">iq").pack
_length = Struct(">i").pack

_BYTEA, _INT8, _INT4, _TEXT = 17, 20, 23, 25


class Packed(bytes):
    """A value in the binary format; its subclass says of which type."""

    __slots__ = ()
    oid = 0


class Array(Packed):
    """An array in the binary format; its subclass says of what."""

    __slots__ = ()


class Bytea(Packed):
    """Bytes."""

    __slots__ = ()
    oid = 17


class Bigint(Packed):
    """A 64-bit integer."""

    __slots__ = ()
    oid = 20


class Boolean(Packed):
    """True or false."""

    __slots__ = ()
    oid = 16


class Byteas(Array):
    """An array of bytes."""

    __slots__ = ()
    oid = 1001


class Bigints(Array):
    """An array of 64-bit integers."""

    __slots__ = ()
    oid = 1016


class Integers(Array):
    """An array of 32-bit integers."""

    __slots__ = ()
    oid = 1007


class Texts(Array):
    """An array of texts."""

    __slots__ = ()
    oid = 1009


class _Integers(dict[int | None, bytes]):
    """Small integers as elements, made once: most of them come again and again."""

    def __missing__(self, value: int | None) -> bytes:
        element = _NULL if value is None else _small(4, value)
        if len(self) < _REMEMBERED:
            self[value] = element
        return element


class _Lengths(dict[int, bytes]):
    """Lengths in front of elements, made once."""

    def __missing__(self, value: int) -> bytes:
        length = _length(value)
        if len(self) < _REMEMBERED:
            self[value] = length
        return length


_integers = _Integers()
_lengths = _Lengths()


def bigint(value: int) -> Bigint:
    """Pack one integer."""
    return Bigint(value.to_bytes(8, "big", signed=True))


def byteas(column: Sequence[bytes | None]) -> Byteas:
    """Pack bytes."""
    return Byteas(_head_of(_BYTEA, len(column)) + _variable(column))


def texts(column: Sequence[str | None]) -> Texts:
    """Pack texts."""
    if column.count(None) == len(column):
        return Texts(_head_of(_TEXT, len(column)) + _NULL * len(column))
    return Texts(_head_of(_TEXT, len(column)) + _variable([None if one is None else one.encode() for one in column]))


def integers(column: Sequence[int | None]) -> Integers:
    """Pack 32-bit integers."""
    return Integers(_head_of(_INT4, len(column)) + b"".join(map(_integers.__getitem__, column)))


def bigints(column: Sequence[int | None]) -> Bigints:
    """Pack 64-bit integers."""
    head = _head_of(_INT8, len(column))
    nulls = column.count(None)
    if nulls == len(column):
        return Bigints(head + _NULL * nulls)
    if nulls:
        return Bigints(head + b"".join([_NULL if one is None else _large(8, one) for one in column]))
    return Bigints(head + b"".join(map(_large, repeat(8), column)))


WORK = (byteas, integers, integers, bigints, bigints, integers, texts)
"""The columns of `live_work`."""


def pack(kinds: Sequence[Callable[[Sequence[Any]], Array]], rows: Sequence[Sequence[object]]) -> list[Array]:
    """Pack rows column by column."""
    columns = zip(*rows, strict=True) if rows else [()] * len(kinds)
    return [kind(column) for kind, column in zip(kinds, columns, strict=True)]


def register(connection: Connection[TupleRow]) -> None:
    """Let a connection send packed arrays."""
    for kind in (Byteas, Bigints, Integers, Texts):
        connection.adapters.register_dumper(kind, _DUMPERS[kind])


def _dumper(kind: type[Array]) -> type[Dumper]:
    class _Packed(Dumper):
        """Sends an array as it is."""

        oid = kind.oid
        format = Format.BINARY

        def dump(self, obj: Array) -> Buffer:
            return obj

    return _Packed


_DUMPERS = {kind: _dumper(kind) for kind in (Byteas, Bigints, Integers, Texts)}


def _head_of(element: int, count: int) -> bytes:
    """Give what stands in front of the elements."""
    return _head(1, 0, element, count, 1) if count else _head(0, 0, element, 0, 0)[:12]


def _variable(column: Iterable[bytes | None]) -> bytes:
    """Join elements with their lengths."""
    parts: list[bytes] = []
    add = parts.append
    for one in column:
        if one is None:
            add(_NULL)
        else:
            add(_lengths[len(one)])
            add(one)
    return b"".join(parts)
