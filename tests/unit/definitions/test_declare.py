"""Definitions declared as Python classes and values."""

from __future__ import annotations

import pytest

from tasker.codec.definition import encode
from tasker.definitions.declare import TaskHandler, definition_of, has_hook, task_handler
from tasker.definitions.resolve import resolve
from tasker.domain.definition import StepTemplate, TaskDefinition, precedence
from tasker.errors import InvalidDefinition
from tests.unit.definitions import steps

STEPS = "tests.unit.definitions.steps"


def plan(*templates, **keys):
    """Build a definition as a value."""
    return TaskDefinition(name="plan", step_templates=list(templates), **keys)


def step(**keys):
    """Build a step."""
    return StepTemplate(**{"name": "one", "handler_class": steps.pay, **keys})


def test_a_class_declares_a_definition():
    """Attributes of the class are keys; those of the decorator win; the class itself carries the hook."""

    @task_handler("orders", version="2.0.0")
    class Orders(TaskHandler):
        """Two versions of truth."""

        version = "1.0.0"
        namespace = "shop"
        step_templates = [StepTemplate(name="one", handler_class="Look")]
        module_namespace = STEPS

        def update_annotations(self, task, sequence, steps):
            """Annotate."""

    found = definition_of(Orders)
    assert (found.full_name, found.task_handler_class) == ("shop.orders@2.0.0", Orders)
    assert resolve(found, environment=None).step_templates[0].handler_class is steps.Look
    assert definition_of(found) is found


def test_a_class_without_a_hook_is_no_part_of_the_plan():
    """A hook that is not overridden is not pinned."""

    @task_handler("orders")
    class Orders(TaskHandler):
        """Nothing of its own."""

    assert definition_of(Orders).task_handler_class is None
    assert (has_hook(Orders), has_hook(steps.Hooked), has_hook(steps.Look)) == (False, True, False)
    assert Orders().update_annotations(None, None, ()) is None


def test_what_is_no_declaration_is_refused():
    """An undecorated class, also below a decorated one, and anything else raise `InvalidDefinition`."""

    @task_handler("orders")
    class Orders(TaskHandler):
        """Declared."""

    class More(Orders):
        """Not declared."""

    for wrong in (More, TaskHandler, steps.Look, "orders", None):
        with pytest.raises(InvalidDefinition, match="task_handler"):
            definition_of(wrong)


@pytest.mark.parametrize(
    ("decorator", "body", "word"),
    [
        (lambda: task_handler("a", shema={}), {}, "schema"),
        (lambda: task_handler("a", task_handler_class=steps.Hooked), {}, "task_handler_class"),
        (lambda: task_handler("a b"), {}, "a b"),
        (lambda: task_handler(TaskHandler), {}, "name"),
        (lambda: task_handler("a"), {"step_template": []}, "step_templates"),
        (lambda: task_handler("a"), {"schema": 3}, "schema"),
        (lambda: task_handler("a"), {"step_templates": [{"name": "x"}]}, "handler_class"),
    ],
)
def test_wrong_keys_are_refused(decorator, body, word):
    """Wrong keys of the decorator or of the class raise `InvalidDefinition` when the class is created."""
    with pytest.raises(InvalidDefinition, match=word):
        decorator()(type("Orders", (TaskHandler,), body))


def test_only_task_handlers_are_decorated():
    """The decorator refuses a class that is no `TaskHandler`."""
    with pytest.raises(InvalidDefinition, match="TaskHandler"):
        task_handler("a")(steps.Look)


@pytest.mark.parametrize(
    ("build", "word"),
    [
        (lambda: StepTemplate("one"), "positional"),
        (lambda: StepTemplate(name="one"), "handler_class"),
        (lambda: step(handler_clas=1), "handler_class"),
        (lambda: step(handler_class=3), "handler_class"),
        (lambda: step(handler_class=""), "handler_class"),
        (lambda: step(description=3), "description"),
        (lambda: step(depends_on_steps="two"), "depends_on_steps"),
        (lambda: step(depends_on_steps=[2]), "depends_on_steps"),
        (lambda: step(depends_on_step=2), "depends_on_step"),
        (lambda: step(handler_config=[]), "handler_config"),
        (lambda: step(custom_events=3), "custom_events"),
        (lambda: step(custom_events=[3]), "name"),
        (lambda: step(custom_events=[{"name": "a.b", "description": 3}]), "description"),
        (lambda: step(custom_events=[{"name": "a.b", "schema": 3}]), "schema"),
        (lambda: step(timeout_seconds=0), "timeout_seconds"),
        (lambda: step(timeout_seconds=float("nan")), "timeout_seconds"),
        (lambda: step(retry_delay=10**30), "retry_delay"),
        (lambda: step(jitter=0.1, jitter_factor=0.1), "jitter"),
        (lambda: plan(3), "StepTemplate"),
        (lambda: TaskDefinition(name="a", step_templates="one"), "list"),
        (lambda: TaskDefinition(name="a", step_templates=[{"name": "x"}] * 10_001), "10000"),
        (lambda: plan(environments=[]), "environments"),
        (lambda: plan(identity_strategy=3), "identity_strategy"),
        (lambda: plan(module_namespace=3), "module_namespace"),
        (lambda: plan(named_steps=3), "named_steps"),
        (lambda: resolve(plan(step(handler_config={"a": object()})), environment=None), "object"),
        (lambda: resolve(plan(step(handler_config={1: 1})), environment=None), "handler_config"),
        (lambda: resolve(plan(step(handler_config={"a": "${"})), environment=None), "placeholder"),
        (lambda: resolve(plan(step(handler_class=steps.NoHandler)), environment=None), "process"),
        (lambda: resolve(plan(task_handler_class=steps.pay), environment=None), "class"),
        (lambda: resolve(plan(step(handler_config={"type": "api"})), environment=None), "url"),
        (lambda: resolve(plan(environments={"x": {"nme": 1}}), environment=None), "name"),
        (lambda: resolve(plan(environments={"x": {"step_templates": {}}}), environment=None), "list"),
        (lambda: resolve(plan(environments={"x": {"step_templates": [1]}}), environment=None), "map"),
    ],
)
def test_wrong_values_are_refused(build, word):
    """Whatever is wrong in code raises `InvalidDefinition` that names the key, never another error."""
    with pytest.raises(InvalidDefinition, match=word):
        build()


def test_a_schema_without_an_end_of_levels_is_refused():
    """A schema that is nested deeper than it can be copied or checked is refused."""
    schemas: list[dict[str, object]] = [{"type": "object"}]
    for _ in range(150):
        schemas.append({"properties": {"a": schemas[-1]}})
    with pytest.raises(InvalidDefinition, match="levels"):
        plan(schema=schemas[-1])
    with pytest.raises(InvalidDefinition, match="deep"):
        resolve(plan(schema=schemas[95]), environment=None)


def test_handlers_may_be_objects():
    """An object with the method `process` is a handler, by its own name or that of its class."""
    handler = steps.Look()
    found = resolve(plan(step(handler_class=handler)), environment=None).step_templates[0]
    assert (found.handler_class, found.handler) == (handler, f"{STEPS}:Look")


def test_other_names_of_keys():
    """`jitter_factor` and `namespace_name` are taken in code too."""
    assert step(jitter_factor=0.5).jitter == 0.5
    assert plan(namespace_name="shop").namespace == "shop"


def test_versions_have_precedence():
    """Versions have the precedence of semantic versions; what is no version has none."""
    assert plan(version="2.0.0").precedence > plan(version="2.0.0-rc.1+b").precedence
    with pytest.raises(InvalidDefinition, match="latest"):
        precedence("latest")


def test_a_value_that_contains_itself_is_refused():
    """A configuration without an end is refused, not copied for ever."""
    endless: dict[str, object] = {}
    endless["again"] = endless
    with pytest.raises(InvalidDefinition, match="levels"):
        step(handler_config=endless)


def test_declarations_are_private_copies():
    """Changing a map after it was declared changes no definition."""
    config: dict[str, object] = {"list": [1]}
    template = step(handler_config=config)
    config["list"] = [2]
    assert template.handler_config == {"list": [1]}


def test_environments_apply_to_values():
    """The overrides of a value merge like those of a file; its texts are literal."""
    found = resolve(
        plan(
            step(handler_config={"a": {"x": 1}}, description="${LITERAL}"),
            environments={
                "test": {"version": "9.0.0", "step_templates": [{"name": "one", "handler_config": {"a": {"y": 2}}}]}
            },
        ),
        environment="test",
    )
    assert (found.version, found.environments) == ("9.0.0", {})
    assert found.step_templates[0].handler_config == {"a": {"x": 1, "y": 2}}
    assert found.step_templates[0].description == "${LITERAL}"


def test_resolving_again_changes_nothing():
    """A resolved definition comes back equal, with the same bytes."""
    api = {"type": "api", "url": "https://a.example/", "max_delay": 7}
    first = resolve(
        plan(
            step(name="a", handler_config=api),
            step(name="b", handler_class=f"{STEPS}:Look"),
            default_dependent_system="shop",
            schema={"type": "object"},
        ),
        environment="test",
    )
    again = resolve(first, environment="test")
    assert (again, encode(again)) == (first, encode(first))
    assert [one.dependent_system for one in first.step_templates] == ["shop", "shop"]


def test_the_first_versions_of_errors_lead_to_the_value():
    """`path` of an error leads to the wrong value, through steps and lists."""
    with pytest.raises(InvalidDefinition) as info:
        plan(step(), step(name="two", depends_on_steps=["one", "three"]))
    assert info.value.path == ("step_templates", 1, "depends_on_steps", 1)
