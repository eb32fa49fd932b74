"""Turn what people hand over, a request's context or a handler's results, into what the log can keep: plain JSON.

A value of dicts, lists, text and numbers is encoded once and read back, so that what is returned equals what is stored
and nobody can change it afterwards from outside. Only a value that needs converting, or whose encoding might hide
something (orjson writes NaN as null), is walked node by node; the walk knows the path of everything that is wrong.
"""

from __future__ import annotations

import json
import math
import sys
from dataclasses import fields, is_dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from operator import itemgetter
from typing import TYPE_CHECKING
from uuid import UUID

import orjson

from tasker.clock import micros, rfc3339
from tasker.errors import InvalidRequest, PayloadTooLarge

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import UnionType

    from _typeshed import DataclassInstance

MAX_DEPTH = 200  # levels of lists and objects; orjson itself stops at 254
_MAX_PROBLEMS = 20
_LOWEST, _HIGHEST = -(2**63), 2**63 - 1
_FAST = (
    orjson.OPT_SORT_KEYS
    | orjson.OPT_PASSTHROUGH_SUBCLASS
    | orjson.OPT_PASSTHROUGH_DATACLASS
    | orjson.OPT_PASSTHROUGH_DATETIME
)
_DIGITS = bytes.maketrans(b"123456789", b"000000000")
_LONG_NUMBER = b"0" * 19  # an integer beyond 64 bits signed has at least 19 digits
_NUMBERS = {bool, int, float}
_ORDERED = ({str}, {Decimal}, {UUID}, {date}, {datetime}, _NUMBERS)

_ANY = -1  # stands for the index of a member of a set, which has none
_Path = tuple["_Path", str | int] | None  # the parent's path and the key; None is the whole value


def to_json(value: object, *, limit_bytes: int | None = None, what: str = "results") -> tuple[object, bytes]:
    """Convert a value to plain JSON.

    Aware datetimes become RFC 3339 text in UTC with microseconds, dates, UUIDs and Decimals text, an Enum its value,
    dataclasses and pydantic models objects, tuples and sets lists (a set in sorted order).

    Args:
        value: What a request or a handler gave.
        limit_bytes: The largest size of the canonical bytes, or None for no limit.
        what: What the value is, for the error's text.

    Returns:
        The plain value, sharing nothing with the one given, and its canonical bytes; `orjson.loads` of them equals it.

    Raises:
        InvalidRequest: Something in it cannot be stored; `problems` names each by JSON path.
        PayloadTooLarge: The bytes are over the limit.
    """
    plain, encoded = _encode_plain(value) or _Walk(what).encode(value)
    if limit_bytes is not None and len(encoded) > limit_bytes:
        msg = (
            f"{what} too large: expected at most {limit_bytes} bytes of JSON, found {len(encoded)}; "
            "keep large data elsewhere and pass a reference to it, or raise the limit in the settings (sizes)"
        )
        raise PayloadTooLarge(msg)
    return plain, encoded


def from_json(text: bytes | str) -> object:
    """Read JSON that somebody else wrote; an integer stays one, whatever its size: to store a huge one is refused.

    Raises:
        json.JSONDecodeError: It is no JSON.
    """
    value: object = orjson.loads(text)
    digits = text.encode() if isinstance(text, str) else bytes(text)
    if _LONG_NUMBER not in digits.translate(_DIGITS):
        return value
    try:
        return json.loads(text)
    except (RecursionError, ValueError) as error:  # nested too deeply, or an integer of thousands of digits
        raise json.JSONDecodeError(str(error), digits.decode(), 0) from None


def _encode_plain(value: object) -> tuple[object, bytes] | None:
    """Encode a value that needs no second look; None where it might."""
    try:
        encoded = orjson.dumps(value, option=_FAST)
        plain = orjson.loads(encoded)
    except (ValueError, TypeError):
        return None
    if b"null" in encoded and plain != value:  # equal: every null was a None; a NaN, or what needs converting, is not
        return None
    if b"\\u0000" in encoded or _LONG_NUMBER in encoded.translate(_DIGITS):
        return None
    if encoded.count(b"[") + encoded.count(b"{") > MAX_DEPTH and _deeper_than_allowed(plain):
        return None
    return plain, encoded


def _deeper_than_allowed(plain: object) -> bool:
    level: list[dict[str, object] | list[object]] = [plain] if isinstance(plain, dict | list) else []
    for _ in range(MAX_DEPTH):
        children = (parent.values() if type(parent) is dict else parent for parent in level)
        level = [child for some in children for child in some if type(child) is dict or type(child) is list]
        if not level:
            return False
    return True


class _Walk:
    """One careful pass over a value: converts what it can and notes, by path, what it cannot."""

    def __init__(self, what: str) -> None:
        """Start with nothing noted; `what` is what the value is, for the error's text."""
        self._what = what
        self._problems: dict[str, str] = {}
        self._open: set[int] = set()  # ids of the containers around the present value: meeting one again is a cycle

    def encode(self, value: object) -> tuple[object, bytes]:
        """Return the plain value and its canonical bytes, or raise InvalidRequest with all that was noted."""
        plain = self._convert(value, None, 0)
        if self._problems:
            first, text = next(iter(self._problems.items()))
            more = f" (and {len(self._problems) - 1} more)" if len(self._problems) > 1 else ""
            msg = f"{self._what} cannot be stored as JSON: at {first}: {text}{more}"
            raise InvalidRequest(msg, problems=self._problems)
        return plain, orjson.dumps(plain, option=orjson.OPT_SORT_KEYS)

    def _convert(self, value: object, path: _Path, depth: int) -> object:
        if value is None or value is True or value is False:
            return value
        exact = _EXACT.get(type(value))
        if exact is not None:
            return exact(self, value, path, depth)
        for kind, convert in _KINDS:
            if isinstance(value, kind):
                return convert(self, value, path, depth)
        if is_dataclass(value) and not isinstance(value, type):
            return self._dataclass(value, path, depth)
        return self._model(value, path, depth)

    def text(self, value: str, path: _Path, _depth: int = 0) -> str:
        text = str.__str__(value)  # the base's method: a subclass may print itself differently
        if "\0" in text:
            self._refuse(path, "expected text without the character U+0000, found one; remove it")
        elif not text.isascii() and any("\ud800" <= char <= "\udfff" for char in text):
            self._refuse(path, "expected Unicode text, found a lone surrogate; decode the text with its real encoding")
        return text

    def integer(self, value: int, path: _Path, _depth: int) -> int:
        number = int.__int__(value)
        if not _LOWEST <= number <= _HIGHEST:
            found = f"one of {number.bit_length()} bits"
            self._refuse(path, f"expected an integer of 64 bits with sign, found {found}; pass it as text")
        return number

    def float_(self, value: float, path: _Path, _depth: int) -> float:
        number = float.__float__(value)
        if not math.isfinite(number):
            self._refuse(path, f"expected a finite number, found {number}; JSON has no word for it, use null or text")
        return number

    def decimal(self, value: Decimal, path: _Path, _depth: int) -> str:
        if not value.is_finite():
            self._refuse(path, f"expected a finite number, found {value}; JSON has no word for it, use null or text")
        return str(value)

    def datetime_(self, value: datetime, path: _Path, _depth: int) -> str | None:
        try:
            return rfc3339(micros(value))
        except InvalidRequest as error:
            self._refuse(path, str(error))
            return None

    def enum(self, value: Enum, path: _Path, depth: int) -> object:
        return self._convert(value.value, path, depth)

    def object_(self, value: dict[object, object], path: _Path, depth: int) -> dict[str, object]:
        plain: dict[str, object] = {}
        if self._enter(value, path, depth):
            for key, child in value.items():
                if isinstance(key, str):
                    inside = (path, key)
                    plain[self.text(key, inside)] = self._convert(child, inside, depth + 1)
                else:
                    self._refuse(path, f"expected text as every key, found {_named(key)}; turn the keys into text")
            self._open.discard(id(value))
        return plain

    def array(self, value: list[object] | tuple[object, ...], path: _Path, depth: int) -> list[object]:
        plain: list[object] = []
        if self._enter(value, path, depth):
            for index, child in enumerate(value):
                plain.append(self._convert(child, (path, index), depth + 1))
            self._open.discard(id(value))
        return plain

    def set_(self, value: set[object] | frozenset[object], path: _Path, depth: int) -> list[object]:
        if not self._enter(value, path, depth):
            return []
        pairs = [(child, self._convert(child, (path, _ANY), depth + 1)) for child in value]
        self._open.discard(id(value))
        return [] if self._problems else _in_order(pairs)

    def _dataclass(self, value: DataclassInstance, path: _Path, depth: int) -> dict[str, object] | None:
        if not self._enter(value, path, depth):
            return None
        content: dict[object, object] = {field.name: getattr(value, field.name) for field in fields(value)}
        plain = self.object_(content, path, depth)
        self._open.discard(id(value))
        return plain

    def _model(self, value: object, path: _Path, depth: int) -> object:
        module = sys.modules.get("pydantic")  # a value can only be a model where somebody has imported pydantic
        if module is None or not isinstance(value, module.BaseModel):
            hint = "encode it as base64 text" if isinstance(value, bytes | bytearray | memoryview) else _HINT
            self._refuse(path, f"expected a JSON value, found {_named(value)}; {hint}")
            return None
        try:
            dumped = value.model_dump(mode="json")
        except Exception as error:  # noqa: BLE001 - serializers of a model are user code and raise what they like
            self._refuse(
                path,
                f"expected a model that dumps as JSON, found {_named(value)}, whose model_dump raised "
                f"{type(error).__qualname__}; mend its serializers",
            )
            return None
        return self._convert(dumped, path, depth)

    def _enter(self, value: object, path: _Path, depth: int) -> bool:
        if id(value) in self._open:
            self._refuse(path, "expected a tree, found a value that contains itself; break the cycle")
        elif depth >= MAX_DEPTH:
            self._refuse(path, f"expected at most {MAX_DEPTH} levels of nesting, found more; flatten the value")
        else:
            self._open.add(id(value))
            return True
        return False

    def _refuse(self, path: _Path, text: str) -> None:
        if len(self._problems) < _MAX_PROBLEMS:
            self._problems.setdefault(_written(path), text)


_HINT = "convert it to text, a number, a list or an object"
_KINDS: tuple[tuple[type | UnionType, Callable[..., object]], ...] = (
    (Enum, _Walk.enum),
    (str, _Walk.text),
    (int, _Walk.integer),
    (float, _Walk.float_),
    (dict, _Walk.object_),
    (list | tuple, _Walk.array),
    (set | frozenset, _Walk.set_),
    (datetime, _Walk.datetime_),  # before date, of which it is a subclass
    (date, lambda _walk, value, _path, _depth: value.isoformat()),
    (UUID, lambda _walk, value, _path, _depth: str(value)),
    (Decimal, _Walk.decimal),
)
_EXACT: dict[type, Callable[..., object]] = {
    str: _Walk.text,
    int: _Walk.integer,
    float: _Walk.float_,
    dict: _Walk.object_,
    list: _Walk.array,
}  # what nearly every node is, found without trying the kinds one by one


def _in_order(pairs: list[tuple[object, object]]) -> list[object]:
    """Sort the members of a set, given as (member, plain value), alike in every process.

    Only kinds with a total order are compared as they are; `sorted` of sets or of mixed lists may depend on the order
    it meets them in, which changes from process to process.
    """
    kinds = {type(member) for member, _ in pairs}
    if any(kinds <= ordered for ordered in _ORDERED):
        pairs.sort(key=itemgetter(0))
    else:
        pairs.sort(key=lambda pair: orjson.dumps(pair[1], option=orjson.OPT_SORT_KEYS))
    return [plain for _, plain in pairs]


def _named(value: object) -> str:
    return f"a value of type {type(value).__module__}.{type(value).__qualname__}"


def _written(path: _Path) -> str:
    """Write a path as `$.items[3].price`; a key that is no plain name in quotes, `$["unit price"]`."""
    parts: list[str] = []
    while path is not None:
        path, part = path
        if isinstance(part, int):
            parts.append("[*]" if part == _ANY else f"[{part}]")
        else:
            parts.append(f".{part}" if part.isidentifier() and part.isascii() else f"[{json.dumps(part)}]")
    return "$" + "".join(reversed(parts))
