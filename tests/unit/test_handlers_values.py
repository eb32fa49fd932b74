"""Rules of what can be stored: conversion to plain JSON and canonical bytes."""

from __future__ import annotations

import enum
import json
import math
import uuid
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from types import MappingProxyType
from typing import NamedTuple

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, RootModel, field_serializer

from tasker.errors import InvalidRequest, PayloadTooLarge
from tasker.handlers.values import MAX_DEPTH, from_json, to_json

ID = uuid.UUID("01a1fe76-8d1b-7264-98a0-64e2014662df")
TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT
    | st.decimals(allow_nan=False, allow_infinity=False)
    | st.uuids()
    | st.dates()
    | st.datetimes(timezones=st.just(UTC))
)
VALUES = st.recursive(
    LEAVES | st.sets(TEXT, max_size=4) | st.frozensets(st.integers(0, 99) | TEXT, max_size=4),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4) | st.tuples(inner, inner),
    max_leaves=20,
)


class Colour(enum.Enum):
    """An enum as users write one."""

    RED = "red"
    SIZES = (1, 2)


class Level(enum.IntEnum):
    """An enum that is a number."""

    HIGH = 3


class Text(str):
    """Text that prints itself differently."""

    __slots__ = ()

    def __str__(self) -> str:
        """Lie."""
        return "another"


class Number(int):
    """A number of its own class."""


class Money(NamedTuple):
    """A named tuple."""

    amount: Decimal
    currency: str


@dataclass
class Order:
    """A dataclass that holds values of every sort."""

    id: uuid.UUID
    placed: datetime
    tags: set[str] = field(default_factory=set)
    next: object = None


class Line(BaseModel):
    """A pydantic model."""

    price: Decimal
    when: date


class Broken(BaseModel):
    """A model whose serializer raises."""

    price: int = 1

    @field_serializer("price")
    def dump_price(self, _value: int) -> int:
        """Raise, as user code may."""
        raise RuntimeError


def problems(value: object) -> dict[str, str]:
    """Return what to_json has against a value, by path."""
    with pytest.raises(InvalidRequest) as caught:
        to_json(value)
    return caught.value.problems


@given(VALUES)
def test_the_plain_value_is_what_the_bytes_say_and_converting_again_changes_nothing(value: object) -> None:
    """The value returned always equals the decoded bytes, and is a fixed point of to_json, bytes included."""
    plain, encoded = to_json(value)
    assert orjson.loads(encoded) == plain
    assert to_json(plain) == (plain, encoded)
    assert orjson.dumps(plain, option=orjson.OPT_SORT_KEYS) == encoded


@given(st.recursive(LEAVES | st.floats() | st.text() | st.binary(), lambda inner: st.lists(inner) | st.sets(st.text())))
def test_any_value_is_stored_or_refused_by_path(value: object) -> None:
    """Whatever the value, to_json returns or raises InvalidRequest whose paths begin at the root."""
    try:
        to_json(value)
    except InvalidRequest as error:
        paths = list(error.problems)
    else:
        paths = ["$"]
    assert paths
    assert all(path.startswith("$") for path in paths)


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (None, None),
        ({"a": None, "b": [True, 1, 1.5, "x"]}, {"a": None, "b": [True, 1, 1.5, "x"]}),
        (datetime(2026, 11, 21, 16, tzinfo=timezone(timedelta(hours=2))), "2026-11-21T14:00:00.000000Z"),
        (date(2026, 11, 21), "2026-11-21"),
        (ID, str(ID)),
        (Decimal("12.50"), "12.50"),
        ([Colour.RED, Colour.SIZES, Level.HIGH], ["red", [1, 2], 3]),
        ((1, (2,)), [1, [2]]),
        (Money(Decimal("1.10"), "EUR"), ["1.10", "EUR"]),
        ({"b", "a"}, ["a", "b"]),
        ({Decimal(10), Decimal(9)}, ["9", "10"]),
        (frozenset({1, "a", 2.5, None}), ["a", 1, 2.5, None]),
        ({frozenset({2}), frozenset({1})}, [[1], [2]]),
        ({Text("k"): Text("v")}, {"k": "v"}),
        ([Number(7), Line(price=Decimal("1.0"), when=date(2026, 1, 2))], [7, {"price": "1.0", "when": "2026-01-02"}]),
        (RootModel[list[int]]([1, 2]), [1, 2]),
        (
            {"null": "null \\u0000", "n": 2**63 - 1, "m": -(2**63)},
            {"null": "null \\u0000", "n": 2**63 - 1, "m": -(2**63)},
        ),
    ],
)
def test_what_is_converted(value: object, plain: object) -> None:
    """Each convertible kind has one plain form, exact types included."""
    found, encoded = to_json(value)
    assert found == plain
    assert orjson.dumps(found, option=orjson.OPT_SORT_KEYS) == encoded


def test_a_dataclass_is_converted_at_every_depth() -> None:
    """A dataclass becomes an object of its fields, with everything in it converted."""
    order = Order(ID, datetime(2026, 1, 1, tzinfo=UTC), {"b", "a"}, [Order(ID, datetime(2026, 1, 2, tzinfo=UTC))])
    assert to_json({"order": order})[0] == {
        "order": {
            "id": str(ID),
            "placed": "2026-01-01T00:00:00.000000Z",
            "tags": ["a", "b"],
            "next": [{"id": str(ID), "placed": "2026-01-02T00:00:00.000000Z", "tags": [], "next": None}],
        }
    }


def test_the_bytes_are_canonical() -> None:
    """Keys are sorted, without spaces, in UTF-8; equal values give equal bytes however they were built."""
    assert to_json({"b": 1, "a": "é"})[1] == '{"a":"é","b":1}'.encode()
    assert to_json({"b": (1,), "a": "é"})[1] == to_json({"a": "é", "b": [1]})[1]


def test_the_plain_value_shares_nothing_with_the_given_one() -> None:
    """Changing the given value afterwards changes nothing that was stored."""
    for other in (0, None, Decimal(1)):
        inner = [1]
        plain, _ = to_json({"a": inner, "b": other})
        inner.append(2)
        assert isinstance(plain, dict)
        assert plain["a"] == [1]


@pytest.mark.parametrize(
    ("value", "path", "text"),
    [
        ({"items": [0, 1, 2, {"price": math.nan}]}, "$.items[3].price", "finite number, found nan"),
        ([-math.inf], "$[0]", "finite number, found -inf"),
        (Decimal("NaN"), "$", "finite number"),
        ({"unit price": 2**63}, '$["unit price"]', "found one of 64 bits"),
        ({"*": -(2**63) - 1}, '$["*"]', "64 bits"),
        (10**400, "$", "64 bits"),
        ({"at": datetime(2026, 1, 1)}, "$.at", "aware datetime"),  # noqa: DTZ001 - the very thing that is refused
        ({"at": time(1, 2)}, "$.at", "datetime.time"),
        ({1: "a"}, "$", "expected text as every key, found a value of type builtins.int"),
        ({"a": "x\0y"}, "$.a", "U+0000"),
        ({"a\0": 1}, '$["a\\u0000"]', "U+0000"),
        ({"a": "\ud800"}, "$.a", "lone surrogate"),
        ({"\udfff": 1}, '$["\\udfff"]', "lone surrogate"),
        ({"raw": b"abc"}, "$.raw", "base64"),
        ([{1, b"x"}], "$[0][*]", "base64"),
        (object(), "$", "builtins.object"),
        (Order, "$", "builtins.type"),
        (MappingProxyType({}), "$", "mappingproxy"),
        ({"m": Broken()}, "$.m", "model_dump raised"),
    ],
)
def test_what_is_refused(value: object, path: str, text: str) -> None:
    """What JSON or a database cannot keep is refused under its path, with what was expected and found."""
    assert text in problems(value)[path]


def test_every_wrong_value_is_named_at_once() -> None:
    """One error names all wrong values (at most 20), its message the first and their number."""
    assert list(problems({"a": b"", "b": 1, "c": [math.nan]})) == ["$.a", "$.c[0]"]
    assert len(problems([b""] * 50)) == 20
    with pytest.raises(InvalidRequest, match=r"context cannot be stored as JSON: at \$\.a: .* \(and 1 more\)"):
        to_json({"a": b"", "b": b""}, what="context")


def test_a_cycle_is_refused_and_a_shared_value_is_not() -> None:
    """A value inside itself is refused; the same value in two places is stored twice."""
    shared = {"x": [1, None]}
    assert to_json([shared, shared])[0] == [{"x": [1, None]}] * 2
    loop: dict[str, object] = {}
    loop["self"] = [loop]
    assert "contains itself" in problems(loop)["$.self[0]"]
    order = Order(ID, datetime(2026, 1, 1, tzinfo=UTC))
    order.next = order
    assert "contains itself" in problems(order)["$.next"]


@pytest.mark.parametrize("leaf", ["plain", None])
def test_nesting_ends_at_the_limit(leaf: object) -> None:
    """200 levels are stored and 201 refused, by the fast way and by the careful one; so are 100,000."""

    def nested(levels: int) -> object:
        value: object = [leaf] * 300 if leaf else [leaf]
        for _ in range(levels - 1):
            value = [value]
        return value

    to_json(nested(MAX_DEPTH))
    for levels in (MAX_DEPTH + 1, 100_000):
        assert "levels of nesting" in problems(nested(levels))["$" + "[0]" * MAX_DEPTH]


def test_many_containers_side_by_side_are_no_depth() -> None:
    """A wide value of more than 200 objects is stored."""
    wide: list[object] = [{"a": []}] * 500
    assert to_json(wide)[0] == wide


def test_the_size_limit_counts_canonical_bytes() -> None:
    """Exactly the limit is stored; one byte more is PayloadTooLarge and names what, size and limit."""
    value = {"a": "x" * 10}
    size = len(to_json(value)[1])
    to_json(value, limit_bytes=size)
    with pytest.raises(PayloadTooLarge, match=rf"context too large: expected at most {size - 1} .* found {size}"):
        to_json(value, limit_bytes=size - 1, what="context")


@pytest.mark.parametrize("number", [0, -7, 2**53 + 1, 2**63 - 1, -(2**63), 2**64 - 1, 2**64, -(10**30)])
def test_an_integer_that_is_read_stays_one(number: int) -> None:
    """A number of somebody else's JSON is not rounded without a word, however large it is."""
    for text in (f'{{"id": {number}}}', f'{{"id": {number}}}'.encode()):
        read = from_json(text)
        assert read == {"id": number}
        assert type(read["id"]) is int


@pytest.mark.parametrize(
    "text", ["", "{", '{"id": NaN}', "[" * 2000, f"[{'9' * 5000}]", f"{'[' * 1000}{2**70}{']' * 1000}"]
)
def test_what_is_no_json_is_told(text: str) -> None:
    """What cannot be read as JSON, or no Python can hold, is one kind of error."""
    with pytest.raises(json.JSONDecodeError):
        from_json(text)
