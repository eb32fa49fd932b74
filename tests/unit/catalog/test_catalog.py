"""The catalogue: declaring, finding and checking custom events."""

from __future__ import annotations

import logging
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from tasker.catalog.catalog import MOST_UNDECLARED, RESERVED, Catalog
from tasker.catalog.schema import Schema
from tasker.errors import InvalidDefinition, InvalidRequest

ORDER = {
    "type": "object",
    "required": ["order_id"],
    "properties": {"order_id": {"type": "integer"}, "items": {"type": "array", "items": {"type": "string"}}},
}


@pytest.fixture
def catalog() -> Catalog:
    """Give a catalogue with one custom event."""
    found = Catalog()
    found.register("order.fulfilled", description="All parcels left", schema=ORDER, example={"order_id": 7})
    return found


def test_custom_entry(catalog):
    """A declared event is found with what was declared."""
    entry = catalog.info("order.fulfilled")
    assert (entry.category, entry.description, entry.schema) == ("custom", "All parcels left", ORDER)
    assert (entry.example, entry.emitted_by, entry.declared) == ({"order_id": 7}, "step handlers", True)


def test_finding(catalog):
    """Names and descriptions are searched without regard to case; a namespace is the first words of a name."""
    assert [entry.name for entry in catalog.search("PARCEL")] == ["order.fulfilled"]
    assert [entry.name for entry in catalog.search("Order.Ful")] == ["order.fulfilled"]
    assert [entry.name for entry in catalog.by_namespace("order")] == ["order.fulfilled"]
    assert {entry.category for entry in catalog.by_namespace("step")} == {"step"}
    assert catalog.by_namespace("ord") == []
    names = [entry.name for entry in catalog.all()]
    assert names == sorted(names)
    assert {entry.category for entry in catalog.all()} == {"task", "step", "control", "custom"}


def test_copies(catalog):
    """Whoever changes what the catalogue gave, or what it was given, does not change the catalogue."""
    schema = {"type": "object", "properties": {}}
    catalog.register("cart.emptied", schema=schema)
    schema["properties"]["a"] = {"type": "null"}
    catalog.info("cart.emptied").schema["type"] = "null"
    catalog.info("task.created").example.clear()
    assert catalog.info("cart.emptied").schema == {"type": "object", "properties": {}}
    assert catalog.info("task.created").example
    assert Catalog().info("task.created").example


def test_unknown(catalog):
    """An unknown name is answered with near ones."""
    with pytest.raises(InvalidRequest, match=r"no event 'order\.fulfiled'.*'order\.fulfilled'"):
        catalog.info("order.fulfiled")


@pytest.mark.parametrize(
    "name", ["order", "Order.done", "order..done", "order.", ".done", "order-a.done", "", 7, None, "ä.b"]
)
def test_wrong_names(catalog, name):
    """A name has two or more words of a-z, 0-9 and _; else it is refused, declared or published."""
    with pytest.raises(InvalidDefinition, match="two or more words"):
        catalog.register(name)
    with pytest.raises(InvalidRequest, match="two or more words"):
        catalog.check(name, {})


@pytest.mark.parametrize("first", sorted(RESERVED))
def test_reserved(catalog, first):
    """First words of the system's own are refused."""
    with pytest.raises(InvalidDefinition, match="system's own"):
        catalog.register(f"{first}.mine")
    with pytest.raises(InvalidRequest, match="system's own"):
        catalog.check(f"{first}.mine", {})


def test_system_events_are_not_published(catalog):
    """A system event's own name cannot be published either."""
    with pytest.raises(InvalidRequest, match="system's own"):
        catalog.check("task.completed", {})


def test_again(catalog):
    """The same declaration again is fine; another schema needs `replace`."""
    catalog.register("order.fulfilled", description="All gone", schema=dict(ORDER))
    assert catalog.info("order.fulfilled").description == "All gone"
    with pytest.raises(InvalidDefinition, match="another schema"):
        catalog.register("order.fulfilled")
    catalog.check("order.fulfilled", {"order_id": 1})
    catalog.register("order.fulfilled", replace=True)
    catalog.check("order.fulfilled", {"order_id": "not checked any more"})


@pytest.mark.parametrize(
    "schema", [{"type": "nonsense"}, {"properties": {"a": {"minimum": "x"}}}, {"type": {1, 2}}, {"required": "a"}]
)
def test_bad_schema(catalog, schema):
    """What is no JSON Schema is refused when it is declared."""
    with pytest.raises(InvalidDefinition, match=r"event 'a\.b'"):
        catalog.register("a.b", schema=schema)


def test_bad_example(catalog):
    """An example must fit."""
    with pytest.raises(InvalidDefinition, match=r"example.*\$\.order_id"):
        catalog.register("a.b", schema=ORDER, example={"order_id": "x"})


def test_bodies(catalog):
    """A body that breaks the schema is refused with the JSON path of everything wrong."""
    catalog.check("order.fulfilled", {"order_id": 7})
    with pytest.raises(InvalidRequest) as caught:
        catalog.check("order.fulfilled", {"order_id": "7", "items": ["a", 2]})
    assert set(caught.value.problems) == {"$.order_id", "$.items[1]"}
    assert "$.items[1]" in str(caught.value)


def test_many_problems(catalog):
    """The problems of one body are bounded, and so is the text of each."""
    catalog.register("a.list", schema={"items": {"type": "integer"}})
    with pytest.raises(InvalidRequest) as caught:
        catalog.check("a.list", ["x" * 1_000] * 100)
    assert len(caught.value.problems) == 20
    assert max(map(len, caught.value.problems.values())) == 300


def test_no_object(catalog):
    """A schema is a JSON object."""
    with pytest.raises(InvalidDefinition, match="JSON Schema"):
        catalog.register("a.b", schema=[1])
    with pytest.raises(InvalidDefinition, match="JSON Schema"):
        Schema(True, "x")


def test_drafts_and_references(catalog):
    """`$schema` chooses the draft; references are followed inside the schema and never fetched."""
    draft = {"$schema": "http://json-schema.org/draft-04/schema#", "minimum": 3, "exclusiveMinimum": True}
    catalog.register("a.old", schema=draft)
    catalog.register("a.inside", schema={"$ref": "#/$defs/x", "$defs": {"x": {"type": "null"}}})
    catalog.register("a.outside", schema={"$ref": "http://localhost:1/x.json"})
    for name in ("a.old", "a.inside"):
        with pytest.raises(InvalidRequest):
            catalog.check(name, 3)
    with pytest.raises(InvalidDefinition, match="not in it"):
        catalog.check("a.outside", 3)


def test_undeclared(catalog, caplog):
    """An undeclared name is listed as such with one warning, until it is declared."""
    with caplog.at_level(logging.WARNING, logger="tasker"):
        catalog.check("cart.filled", {"n": 1})
        catalog.check("cart.filled", {"n": 2})
    assert len(caplog.records) == 1
    assert (catalog.info("cart.filled").declared, catalog.info("cart.filled").category) == (False, "custom")
    catalog.register("cart.filled", schema={"type": "null"})
    assert catalog.info("cart.filled").declared
    assert not catalog.observe("cart.filled")


def test_undeclared_names_are_bounded():
    """Names made from data do not fill the memory."""
    catalog = Catalog()
    assert all(catalog.observe(f"n.n{number}") for number in range(MOST_UNDECLARED))
    assert not catalog.observe("n.more")
    catalog.check("n.more", {})


def test_threads():
    """Many threads declare and publish at once."""
    catalog = Catalog()

    def work(number: int) -> None:
        catalog.register(f"n.n{number % 10}", schema=ORDER)
        catalog.check(f"n.n{number % 10}", {"order_id": 1})
        catalog.check(f"u.n{number % 10}", {})
        catalog.all()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(80)))
    assert len(catalog.by_namespace("n")) == len(catalog.by_namespace("u")) == 10


def test_jsonschema_is_imported_late():
    """A catalogue without a schema does not pay for jsonschema."""
    code = (
        "import sys; from tasker.catalog.catalog import Catalog; Catalog().all(); sys.exit('jsonschema' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
