"""The register of definitions and the check of contexts."""

from __future__ import annotations

import threading

import pytest

from tasker.definitions.registry import Definitions
from tasker.definitions.resolve import resolve
from tasker.domain.definition import StepTemplate, TaskDefinition
from tasker.errors import InvalidDefinition, InvalidRequest, UnknownDefinition
from tests.unit.definitions import steps


def plan(name="shop", *, step="one", **keys):
    """Build a resolved definition."""
    template = StepTemplate(name=step, handler_class=steps.pay)
    return resolve(TaskDefinition(name=name, step_templates=[template], **keys), environment=None)


def test_the_same_content_again_is_no_error():
    """The same content is registered once; another under the same version needs `replace`."""
    definitions = Definitions()
    first = definitions.register(plan())
    assert definitions.register(plan()) is first
    with pytest.raises(InvalidDefinition, match="replace"):
        definitions.register(plan(step="two"))
    old = definitions.find("shop")
    second = definitions.register(plan(step="two"), replace=True)
    assert definitions.all() == [second]
    assert definitions.find("shop").definition is second
    assert definitions.pinned(old.digest) is old
    assert definitions.pinned(bytes(32)) is None


@pytest.mark.parametrize(
    "versions",
    [
        ["1.9.0", "1.10.0"],
        ["1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta.2", "1.0.0-beta.11", "1.0.0-rc.1", "1.0.0"],
        ["1.0.0-9", "1.0.0-a"],
    ],
)
def test_the_highest_version_counts(versions):
    """Versions compare by semantic version precedence, pre-releases too, whatever the order of registration."""
    for order in (versions, versions[::-1]):
        definitions = Definitions()
        for version in order:
            definitions.register(plan(version=version))
        assert definitions.find("shop").definition.version == versions[-1]
        assert [one.version for one in definitions.all()] == versions
        assert definitions.find("shop", version=versions[0]).definition.version == versions[0]


def test_unknown_definitions_are_told_apart():
    """An unknown name offers near ones, an unknown version the known ones, another namespace its own."""
    definitions = Definitions()
    definitions.register(plan("order_process", namespace="shop", version="1.0.0"))
    for arguments, word in (
        (("order_proces", "shop"), "order_process"),
        (("order_process",), "'shop'"),
        (("order_process", "shop", "2.0.0"), "1.0.0"),
        (("nothing",), "Register"),
    ):
        with pytest.raises(UnknownDefinition, match=word):
            definitions.find(*arguments)
    for arguments in ((3,), ("a", 3), ("order_process", "shop", "latest"), ("a", "b", 3)):
        with pytest.raises(InvalidRequest):
            definitions.find(*arguments)


SCHEMA = {
    "type": "object",
    "required": ["order_id", "b"],
    "additionalProperties": False,
    "properties": {
        "order_id": {"type": "integer"},
        "b": {},
        "items": {"type": "array", "items": {"type": "object", "properties": {"a price": {"minimum": 1}}}},
        "kind": {"enum": ["x", "y"]},
        "word": {"const": "open sesame"},
        "tree": {"$ref": "#/$defs/tree"},
    },
    "$defs": {"tree": {"type": "object", "additionalProperties": {"$ref": "#/$defs/tree"}}},
}


@pytest.mark.parametrize(
    ("context", "paths"),
    [
        ({"order_id": 1, "b": None}, set()),
        ({}, {"$.order_id", "$.b"}),
        ({"order_id": "1", "b": 1}, {"$.order_id"}),
        ({"order_id": 1, "b": 1, "items": [{}, {"a price": 0}]}, {"$.items[1]['a price']"}),
        ({"order_id": 1, "b": 1, "kind": "z", "word": "w"}, {"$.kind", "$.word"}),
        ({"order_id": 1, "b": 1, "colour": "red"}, {"$"}),
        ({"order_id": 1, "b": 1, "tree": {"a": {"b": 3}}}, {"$.tree.a.b"}),
    ],
)
def test_a_context_is_checked_by_json_path(context, paths):
    """Every wrong place of a context is named by its JSON path; a right context passes."""
    definitions = Definitions()
    definitions.register(plan(schema=SCHEMA))
    entry = definitions.find("shop")
    if not paths:
        entry.validate(context)
        return
    with pytest.raises(InvalidRequest) as info:
        entry.validate(context)
    assert set(info.value.problems) == paths
    assert all(path in str(info.value) for path in paths)


def test_a_context_is_not_shown():
    """The error names places and expectations, never values: they may be secret, and errors reach logs."""
    definitions = Definitions()
    definitions.register(
        plan(schema={"properties": {"pin": {"type": "integer"}, "card": {"pattern": "^4"}}, "maxProperties": 1})
    )
    with pytest.raises(InvalidRequest) as info:
        definitions.find("shop").validate({"pin": "hunter22", "card": "5105"})
    assert not {"hunter22", "5105"} & set(str(info.value).replace("'", " ").split())
    assert "^4" in str(info.value)


def test_at_most_ten_problems_are_told():
    """A context with many problems is refused with ten of them; one without an end of levels is refused too."""
    definitions = Definitions()
    definitions.register(plan(schema={**SCHEMA, "required": [], "additionalProperties": {"type": "integer"}}))
    with pytest.raises(InvalidRequest) as info:
        definitions.find("shop").validate({f"k{number}": "x" for number in range(50)})
    assert len(info.value.problems) == 10
    deep: dict[str, object] = {}
    for _ in range(3_000):
        deep = {"a": deep}
    with pytest.raises(InvalidRequest, match="nested"):
        definitions.find("shop").validate({"tree": deep})


@pytest.mark.parametrize(
    "schema",
    [
        {"$schema": "http://json-schema.org/draft-07/schema#", "type": "object"},
        {"$defs": {"a": {"$anchor": "here"}}, "$ref": "#here"},
        {"$id": "https://a.example/s", "$defs": {"a": {"$id": "b", "type": "object"}}, "$ref": "b"},
        {"allOf": [{"type": "object"}, {"$ref": "#/allOf/0"}], "default": {"$ref": "#/nowhere"}},
        {"$ref": "#"} | {"properties": {"a": {"$ref": "#"}}},
    ],
)
def test_good_schemas(schema):
    """The drafts, anchors, ids and pointers of JSON Schema are taken; data in a schema is no schema."""
    definitions = Definitions()
    registered = definitions.register(plan(schema=schema))
    assert registered.schema == schema


def test_a_reference_that_leads_out_is_an_invalid_request():
    """A reference that only a check could find out to be dangling refuses the context, without a download."""
    definitions = Definitions()
    definitions.register(plan(schema={"$id": "https://a.example/s", "$ref": "https://127.0.0.1:9/else"}))
    with pytest.raises(InvalidRequest, match=r"127\.0\.0\.1"):
        definitions.find("shop").validate({})


def test_an_entry_knows_the_hooks():
    """The class with the hooks is at hand; without one it is None."""
    definitions = Definitions()
    definitions.register(plan(task_handler_class=steps.Hooked))
    assert definitions.find("shop").task_handler_class is steps.Hooked
    definitions.register(plan("bare"))
    assert definitions.find("bare").task_handler_class is None


def test_many_threads_register():
    """Registering from many threads loses nothing."""
    definitions = Definitions()

    def register(number):
        for minor in range(10):
            definitions.register(plan(f"p{number}", version=f"1.{minor}.0"))

    threads = [threading.Thread(target=register, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(definitions.all()) == 80
    assert {definitions.find(f"p{n}").definition.version for n in range(8)} == {"1.9.0"}
