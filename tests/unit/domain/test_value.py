"""Values: frozen dataclasses with an `__init__` of their own."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, field, replace

import pytest

from tasker.domain.value import value


@value
class Base:
    """A value with a field that takes no part in comparison, and a default."""

    at: int = field(compare=False)
    name: str = "none"


@value
class Derived(Base):
    """One more field; it is required although one before it is not."""

    size: int


def test_a_value_is_built_by_name():
    """Fields are given by name, defaults are filled in, inherited fields count."""
    made = Derived(at=1, size=2)
    assert (made.at, made.name, made.size) == (1, "none", 2)
    assert repr(made) == "Derived(at=1, name='none', size=2)"


def test_a_value_is_equal_by_content():
    """Values with equal fields are equal and hash alike; a field with compare=False does not count."""
    assert Derived(at=1, size=2) == Derived(at=9, size=2)
    assert hash(Derived(at=1, size=2)) == hash(Derived(at=9, size=2))
    assert Derived(at=1, size=2) != Derived(at=1, size=3)


def test_a_value_cannot_be_changed():
    """Nothing can be assigned; `replace` gives another value."""
    made = Base(at=1)
    with pytest.raises(FrozenInstanceError):
        made.name = "other"
    assert replace(made, name="other").name == "other"
    assert made.name == "none"


@pytest.mark.parametrize("given", [{}, {"at": 1}, {"at": 1, "size": 2, "colour": 3}])
def test_a_value_needs_exactly_its_fields(given):
    """A missing or an unknown field is a TypeError that names the class, and so is a positional one."""
    with pytest.raises(TypeError, match=r"Derived\.__init__"):
        Derived(**given)
    with pytest.raises(TypeError, match=r"Derived\.__init__"):
        Derived(1, 2)
