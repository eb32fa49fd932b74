"""`writeOnly` is found wherever a schema can say it, and what cannot be followed is masked."""

from __future__ import annotations

import pytest

from tasker.http.masking import Mask
from tasker.redaction import Redactor

HIDDEN = {"writeOnly": True}
CASES = {
    "properties": ({"properties": {"a": HIDDEN}}, {"a": 1, "b": 2}, {"a": "***", "b": 2}),
    "whole": (HIDDEN, {"a": 1}, "***"),
    "items": ({"items": HIDDEN}, [1, 2], ["***", "***"]),
    "prefixItems": ({"prefixItems": [HIDDEN], "items": {}}, [1, 2], ["***", 2]),
    "items as a list": ({"items": [HIDDEN], "additionalItems": {}}, [1, 2], ["***", 2]),
    "patternProperties": ({"patternProperties": {"^x": HIDDEN}}, {"xa": 1, "a": 2}, {"xa": "***", "a": 2}),
    "additionalProperties": (
        {"properties": {"a": {}}, "additionalProperties": HIDDEN}, {"a": 1, "b": 2}, {"a": 1, "b": "***"},
    ),
    "allOf": ({"allOf": [{"properties": {"a": HIDDEN}}]}, {"a": 1}, {"a": "***"}),
    "anyOf": ({"anyOf": [{}, {"properties": {"a": HIDDEN}}]}, {"a": 1}, {"a": "***"}),
    "then": ({"if": {}, "then": {"properties": {"a": HIDDEN}}}, {"a": 1}, {"a": "***"}),
    "dependentSchemas": ({"dependentSchemas": {"b": {"properties": {"a": HIDDEN}}}}, {"a": 1}, {"a": "***"}),
    "$ref": ({"$defs": {"s": HIDDEN}, "properties": {"a": {"$ref": "#/$defs/s"}}}, {"a": 1}, {"a": "***"}),
    "a reference elsewhere": ({"properties": {"a": {"$ref": "#anchor"}}}, {"a": 1, "b": 2}, {"a": "***", "b": 2}),
    "a reference to nothing": ({"properties": {"a": {"$ref": "#/$defs/no"}}}, {"a": 1}, {"a": "***"}),
    "a reference to itself": ({"$ref": "#"}, {"a": 1}, "***"),
    "a tree": (
        {"properties": {"s": HIDDEN, "kids": {"items": {"$ref": "#"}}}},
        {"kids": [{"s": 1, "kids": [{"s": 2}]}]},
        {"kids": [{"s": "***", "kids": [{"s": "***"}]}]},
    ),
    "true": ({"properties": {"a": True}}, {"a": 1}, {"a": 1}),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_write_only_is_masked(name):
    """Whatever keyword leads to it."""
    schema, value, shown = CASES[name]
    assert Mask(Redactor(), "***", whole=False).described(value, schema) == shown


def test_a_permitted_reader_sees_everything():
    """With context:read nothing is masked, neither by schema nor by key."""
    mask = Mask(Redactor(), "***", whole=True)
    assert mask.described({"a": 1}, HIDDEN) == {"a": 1}
    assert mask.value({"password": "x"}) == {"password": "x"}
    assert mask.text("https://a?token=abc") == "https://a?token=abc"


def test_telling_keys_are_masked_for_others():
    """At every depth, and in URLs."""
    mask = Mask(Redactor(), "***", whole=False)
    assert mask.value([{"password": "x"}]) == [{"password": "[FILTERED]"}]
    assert "abc" not in mask.text("https://a?token=abc")
