"""`value`: frozen dataclasses whose construction costs a third, for what is built several times per step."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeVar, dataclass_transform

_T = TypeVar("_T")


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(field,))
def value(cls: type[_T]) -> type[_T]:
    """Make a frozen dataclass with slots and keyword-only fields.

    The `__init__` of `dataclass(frozen=True)` calls `object.__setattr__` for every field. This one writes through the
    slots themselves: 0.5 instead of 1.3 microseconds for five fields. Everything else is the dataclass's.
    """
    made = dataclass(frozen=True, slots=True, kw_only=True)(cls)
    given = made.__init__
    code = given.__code__
    names = code.co_varnames[1 : 1 + code.co_kwonlyargcount]
    scope = {f"set_{name}": getattr(made, name).__set__ for name in names}
    body = "; ".join(f"set_{name}(self, {name})" for name in names) or "pass"
    exec(f"def __init__(self, *, {', '.join(names)}): {body}", scope)  # noqa: S102 - dataclasses does the same
    fast = scope["__init__"]
    fast.__kwdefaults__ = given.__kwdefaults__
    fast.__annotations__ = given.__annotations__
    fast.__qualname__ = given.__qualname__
    type.__setattr__(made, "__init__", fast)
    return made
