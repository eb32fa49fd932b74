"""Native and typed steps in declarations: what is refused at load, and which compiled functions are handlers."""

from __future__ import annotations

import math

import pytest

from tasker.definitions.resolve import resolve
from tasker.definitions.yaml_file import load_file
from tasker.domain.definition import StepTemplate, TaskDefinition
from tasker.errors import InvalidDefinition
from tasker.handlers.native_typed import TypedStepHandler
from tasker.handlers.registry import HandlerRegistry
from tests.unit.definitions import steps

TEXT = """\
name: price
step_templates:
  - name: price
    handler_class: tasker.NativeStepHandler
    handler_config:
      {config}
"""


def load(folder, config):
    """Load a definition with this handler_config."""
    file = folder / "price.yaml"
    file.write_text(TEXT.format(config=config))
    return load_file(file, environ={}, environment=None)


@pytest.mark.parametrize("config", ["library: libprice", "{type: native, library: libprice, symbol: p, input: step}"])
def test_what_names_a_library_is_loaded(tmp_path, config):
    """The library alone is needed; it is looked for at the first attempt."""
    (step,) = load(tmp_path, config).step_templates
    assert step.handler_config["library"] == "libprice"


def test_placeholders_wait_for_the_attempt(tmp_path):
    """What the environment gives is not known at load."""
    assert load(tmp_path, "{library: '${LIBRARY}', input: '${INPUT}'}").step_templates


@pytest.mark.parametrize(
    ("config", "line", "word"),
    [
        ("type: native", 5, "library"),
        ("library: 7", 6, "library"),
        ("library: ''", 6, "library"),
        ("{library: x, symbol: [p]}", 6, "symbol"),
        ("{library: x, input: everything}", 6, "input"),
    ],
)
def test_what_no_attempt_could_use_is_refused(tmp_path, config, line, word):
    """A wrong key is refused at load, with file and line."""
    with pytest.raises(InvalidDefinition, match=word) as refused:
        load(tmp_path, config)
    assert refused.value.where == f"{tmp_path / 'price.yaml'}:{line}"


def test_the_type_alone_makes_a_step_native():
    """A class of the user's with `type: native` is held to the same keys; without it the config is its own."""
    own = StepTemplate(name="own", handler_class=steps.Look, handler_config={"library": 7})
    resolve(TaskDefinition(name="plan", step_templates=[own]), environment=None)
    typed = StepTemplate(name="own", handler_class=steps.Look, handler_config={"library": 7, "type": "native"})
    with pytest.raises(InvalidDefinition, match="library") as refused:
        resolve(TaskDefinition(name="plan", step_templates=[typed]), environment=None)
    assert refused.value.path == ("step_templates", 0, "handler_config", "library")


def test_a_compiled_function_of_one_argument_is_a_typed_handler():
    """It is registered under its own name, resolved twice it is the same; one of three arguments is a plain handler."""
    names = {"one": "math:sqrt", "same": "math.sqrt", "other": "builtins:pow"}
    templates = [StepTemplate(name=name, handler_class=handler) for name, handler in names.items()]
    definition = resolve(TaskDefinition(name="plan", step_templates=templates), environment=None)
    assert resolve(definition, environment=None) == definition
    one, same, other = (step.handler_class for step in definition.step_templates)
    assert isinstance(one, TypedStepHandler)
    assert (one, one.function) == (same, math.sqrt)
    assert other is pow
    registry = HandlerRegistry()
    registry.register_all(definition)
    assert registry.find("math:sqrt") == one
    assert registry.find(definition.step_templates[2].handler) is other
