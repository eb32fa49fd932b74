"""Schema files and the page about all events, also with events of the user's own."""

from __future__ import annotations

import json

from jsonschema import Draft202012Validator

from tasker.catalog.catalog import Catalog
from tasker.catalog.publish.document import document
from tasker.catalog.publish.envelope import envelope
from tasker.catalog.publish.files import NOTE, schema_files
from tasker.catalog.publish.tables import fields, kind, table
from tasker.catalog.story import story

SCHEMA = {
    "$comment": "mine",
    "type": "object",
    "properties": {"order_id": {"type": "integer", "description": "Which."}},
}


def catalogue() -> Catalog:
    """Give a catalogue with a declared and an undeclared event."""
    made = Catalog()
    made.register("order.fulfilled", description="All parcels left. Yes.", schema=SCHEMA, example={"order_id": 7})
    made.register("cart.emptied")
    made.observe("cart.filled")
    return made


def test_custom_events_have_files_too():
    """A declared custom event has a schema file, named as its CloudEvents name it; an undeclared one has none."""
    files = schema_files(catalogue().all(), {"$schema": "x"})
    own = json.loads(files["order.fulfilled.v1.json"])
    assert (own["title"], own["examples"], own["properties"]) == (
        "order.fulfilled",
        [{"order_id": 7}],
        SCHEMA["properties"],
    )
    assert json.loads(files["cart.emptied.v1.json"])["description"].startswith("In the append")
    assert "cart.filled.v1.json" not in files
    assert all(json.loads(text)["$comment"] == NOTE and text.endswith("}\n") for text in files.values())


def test_the_files_are_those_that_events_name():
    """`dataschema` of every CloudEvent of the story is the name of a file, if the event is a system's."""
    files = schema_files(Catalog().all(), {"$schema": "x"})
    named = {event.cloudevent()["dataschema"].removeprefix("/schemas/") for event in story()}
    assert named - files.keys() == {"order.charged.v1.json"}


def test_the_envelope_refuses_what_is_none():
    """Every event of the story fits the envelope, and nothing that lacks or changes an attribute does."""
    validator = Draft202012Validator(envelope())
    event = story()[0].cloudevent()
    assert validator.is_valid(event)
    for name in envelope()["required"]:
        assert not validator.is_valid({key: value for key, value in event.items() if key != name})
    for changes in ({"specversion": "0.3"}, {"type": "created"}, {"time": "today"}, {"position": 0}, {"data": []}):
        assert not validator.is_valid(event | changes)
    assert validator.is_valid(event | {"later": 1})


def test_the_page_has_custom_events():
    """Declared custom events have a line and a section with their fields; undeclared ones are no part of the page."""
    page = document(catalogue().all(), "api")
    assert "| [`order.fulfilled`](#orderfulfilled) | All parcels left |" in page
    section = page.partition("### `order.fulfilled`\n")[2].partition("\n## ")[0]
    assert "[order.fulfilled.v1.json](api/order.fulfilled.v1.json)" in section
    assert "| `order_id` | whole number, may be missing | Which. |" in section
    assert "### `cart.emptied`" in page
    assert "cart.filled" not in page


def test_a_table_is_safe():
    """A bar in a cell does not end it."""
    assert table(("a",), [("x|y",)]) == "| a |\n| --- |\n| x\\|y |\n"


def test_types_in_words():
    """Types are named as people do, with bounds and choices; what is inside of objects and lists stands below."""
    assert kind({"type": ["string", "null"]}) == "text or null"
    assert kind({"type": "integer", "minimum": -1, "maximum": 1}) == "whole number from -1 to 1"
    assert kind({"type": "array", "items": {"enum": ["a", "b"]}}) == "list of: one of `a`, `b`"
    assert kind({}) == "any JSON"
    inner = {"type": "object", "required": ["b"], "properties": {"b": {"type": "string"}}}
    shown = fields({"properties": {"a": inner, "c": {"type": "array", "items": inner}, "d": True}})
    assert [line.split(" | ")[0] for line in shown.splitlines()[2:]] == ["| `a`", "| `a.b`", "| `c`", "| `c[].b`"]
    assert fields({}) == ""
