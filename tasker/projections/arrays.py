"""Rows for PostgreSQL as one array for each column: one short statement to parse and plan, however many rows there are.

Rows written out as VALUES would cost the driver and the server several times as much: each value is a parameter then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import BigInteger, Boolean, Float, Integer, LargeBinary, Text

from tasker.log.postgres_pack import Array, Texts, bigints, byteas, integers, pack, texts

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy import Table

    from tasker.projections.rows import Row


def _booleans(column: Sequence[object]) -> Texts:
    return texts(["t" if one else "f" for one in column])


def _floats(column: Sequence[object]) -> Texts:
    return texts([repr(one) for one in column])


_KINDS: dict[type, tuple[Callable[..., Array], str]] = {
    BigInteger: (bigints, "%s"),
    Integer: (integers, "%s"),
    Text: (texts, "%s"),
    LargeBinary: (byteas, "%s"),
    Boolean: (_booleans, "%s::boolean[]"),
    Float: (_floats, "%s::double precision[]"),
}
"""How the values of a column are packed and how the statement takes them; what has no packing goes as text."""


def given(table: Table, columns: Sequence[str], rows: Sequence[Row]) -> tuple[str, tuple[Array, ...]]:
    """Give rows as a source of a statement, named `given`, and the parameters that it needs.

    Args:
        table: Whose columns they are.
        columns: Their names, in the order of the values.
        rows: One or more.
    """
    kinds = [_KINDS[type(table.c[name].type)] for name in columns]
    arrays = pack([packed for packed, _ in kinds], rows)
    return f"unnest({', '.join(mark for _, mark in kinds)}) AS given ({', '.join(columns)})", tuple(arrays)


def array(values: Sequence[bytes] | Sequence[int]) -> Array:
    """Pack values of one kind, at least one."""
    numbers = [one for one in values if isinstance(one, int)]
    return bigints(numbers) if numbers else byteas([one for one in values if isinstance(one, bytes)])
