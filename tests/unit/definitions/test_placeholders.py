"""Placeholders: `${NAME}`, `${NAME:-default}`, `$${`."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasker.definitions.placeholders import filled
from tasker.definitions.secrets import placeholders, resolve_config
from tasker.errors import InvalidDefinition

ENVIRON = {
    "A": "one",
    "N": "7",
    "EMPTY": "",
    "DATE": "2026-11-21",
    "ZERO": "0123",
    "LIST": "[1, 2]",
    "T": "12:30",
    "B": "off",
}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("${A}", "one"),
        ("${N}", 7),
        ("x${N}", "x7"),
        ("${N}${N}", "77"),
        ("${F:-1.5}", 1.5),
        ("${F:-true}", True),
        ("${B}", False),
        ("${F:-null}", None),
        ("${F:-~}", None),
        ("${F:-}", ""),
        ("${EMPTY}", ""),
        ("${EMPTY:-d}", "d"),
        ("${A:-d}", "one"),
        ("${DATE}", "2026-11-21"),
        ("${ZERO}", "0123"),
        ("${LIST}", "[1, 2]"),
        ("${T}", "12:30"),
        ("$${A}", "${A}"),
        ("$$${A}", "$${A}"),
        ("$A", "$A"),
        ("cost: 5$", "cost: 5$"),
        ("${F:-a:-b}", "a:-b"),
        ("${F:-x y}", "x y"),
        ("a $${A} ${A}", "a ${A} one"),
    ],
)
def test_filling_in(text, value):
    """A placeholder is replaced; one that is the whole text takes the YAML type of its value, plain numbers only."""
    found = filled(text, ENVIRON).value
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize("text", ["${", "${}", "${A", "${1A}", "${A-b}", "${A:?x}", "${ A }", "x ${a.b}", "$${A} ${"])
def test_malformed_placeholders_are_refused(text):
    """What begins like a placeholder and is none is refused, with the way to write it and its path."""
    with pytest.raises(InvalidDefinition, match=r"\$\{NAME"):
        filled(text, ENVIRON)
    with pytest.raises(InvalidDefinition) as info:
        placeholders({"a": [{"b": text}]})
    assert info.value.path == ("a", 0, "b")


def test_numbers_without_end_stay_text():
    """A value of more digits than Python reads as a number is text."""
    digits = "9" * 5_000
    assert filled("${A}", {"A": digits}).value == digits


def test_missing_variables_are_named():
    """A missing variable without a default is an error that names it; the values of others are not shown."""
    with pytest.raises(InvalidDefinition, match="MISSING") as info:
        filled("${A}${MISSING}", {"A": "hunter22"}, "step_templates", 0)
    assert "hunter22" not in str(info.value)
    assert info.value.path == ("step_templates", 0)


def test_a_configuration_is_resolved_in_memory():
    """The resolved configuration is new, the pinned one unchanged; each variable read is told with its value."""
    config = {"url": "https://${HOST}/x", "list": [{"n": "${N}"}, 3], "default": "${D:-none of it}", "literal": "$${A}"}
    before = repr(config)
    resolved, secrets = resolve_config(config, {"HOST": "a.example", "N": "12"})
    assert resolved == {
        "url": "https://a.example/x",
        "list": [{"n": 12}, 3],
        "default": "none of it",
        "literal": "${A}",
    }
    assert secrets == {"HOST": "a.example", "N": "12"}
    assert repr(config) == before
    assert placeholders(config) == {"HOST", "N"}
    with pytest.raises(InvalidDefinition, match="HOST"):
        resolve_config(config, {"N": "1"})


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text().filter(lambda text: "${" not in text),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(st.text(max_size=5), PLAIN, max_size=4))
def test_a_configuration_without_placeholders_stays_the_same_object(config):
    """Nothing is copied where nothing is replaced, and nothing is required."""
    resolved, secrets = resolve_config(config, {})
    assert resolved is config
    assert (secrets, placeholders(config)) == ({}, frozenset())
