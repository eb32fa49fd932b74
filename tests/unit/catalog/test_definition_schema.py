"""`task-definition.json` says what may stand in a file of YAML."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from tasker.catalog.publish.definition import task_definition
from tasker.definitions.yaml_file import load_file
from tasker.definitions.yaml_tree import read
from tasker.domain.declared import keys_of
from tasker.domain.definition import StepTemplate, TaskDefinition
from tasker.errors import InvalidDefinition

ROOT = Path(__file__).resolve().parents[3]
VALIDATOR = Draft202012Validator(task_definition())
STEPS = "tests.unit.definitions.steps"
FULL = f"""\
name: shop
namespace_name: sales
version: 1.2.0
description: Sell
module_namespace: {STEPS}
concurrent: no
schema: {{type: object}}
default_dependent_system: warehouse
named_steps: [look, pay]
timeout_seconds: ${{SECONDS:-60}}
identity_strategy: strict
step_templates:
  - name: look
    handler_class: Look
    timeout_seconds: none
    heartbeat_timeout_seconds:
    handler_config: {{greeting: "${{GREETING:-hello}}", more: [1, {{a: b}}]}}
  - name: pay
    handler_class: pay
    description: Take the money
    dependent_system: bank
    depends_on_step: look
    depends_on_steps: [look]
    default_retryable: true
    default_retry_limit: ${{LIMIT:-5}}
    skippable: ${{SKIPPABLE:-false}}
    retry_delay: 0.5
    max_delay: 10
    jitter_factor: 0
    enable_exponential_backoff: false
    custom_events:
      - name: cart.paid
        description: The money is there
        schema: {{type: object}}
environments:
  test:
    timeout_seconds: none
    step_templates:
      - {{name: pay, timeout_seconds: 5}}
  nowhere:
"""
BAD = {
    "no name": ("name: shop\n", ""),
    "an empty name": ("name: shop\n", "name:\n"),
    "a name with a blank": ("name: shop", "name: a shop"),
    "an unknown key": ("description: Sell", "descriptoin: Sell"),
    "both names of a key": ("namespace_name: sales", "namespace_name: sales\nnamespace: sales"),
    "a version that is a number": ("version: 1.2.0", "version: 1.2"),
    "a flag that is a text": ("concurrent: no", "concurrent: never"),
    "a schema that is a list": ("\nschema: {type: object}", "\nschema: [object]"),
    "names that are a text": ("named_steps: [look, pay]", "named_steps: all"),
    "a timeout of 0": ("timeout_seconds: ${SECONDS:-60}", "timeout_seconds: 0"),
    "a timeout in words": ("timeout_seconds: ${SECONDS:-60}", "timeout_seconds: never"),
    "no handler": ("    handler_class: Look\n", ""),
    "an empty handler": ("    handler_class: Look\n", "    handler_class:\n"),
    "an unknown key of a step": ("depends_on_step: look", "depends_on: look"),
    "no attempt": ("default_retry_limit: ${LIMIT:-5}", "default_retry_limit: 0"),
    "half an attempt": ("default_retry_limit: ${LIMIT:-5}", "default_retry_limit: 1.5"),
    "a delay below 0": ("retry_delay: 0.5", "retry_delay: -1"),
    "a delay of ages": ("max_delay: 10", "max_delay: 1e12"),
    "too much jitter": ("jitter_factor: 0", "jitter_factor: 1.5"),
    "jitter twice": ("jitter_factor: 0", "jitter_factor: 0\n    jitter: 0"),
    "a config that is a text": (
        'handler_config: {greeting: "${GREETING:-hello}", more: [1, {a: b}]}',
        "handler_config: a",
    ),
    "events that are a map": ("    custom_events:\n      - name:", "    custom_events:\n        name:"),
    "an event without a dot": ("name: cart.paid", "name: paid"),
    "a reserved event": ("name: cart.paid", "name: task.paid"),
    "an unknown key of an event": ("        schema: {type", "        shema: {type"),
    "an unknown key of an override": ("pay, timeout_seconds: 5", "pay, timeout: 5"),
    "an override without a name": ("{name: pay, timeout_seconds: 5}", "{timeout_seconds: 5}"),
    "an override that is a list": ("  nowhere:\n", "  nowhere: []\n"),
}
LOOKED_UP = {
    "handler_class", "task_handler_class", "identity_strategy", "module_namespace", "named_steps", "depends_on_step",
    "depends_on_steps", "schema",
}  # fmt: skip
"""Keys whose texts have to lead somewhere, which a schema cannot tell."""
LENIENT = {("environments", value) for value in ("0", '""', "[]")}
"""What the loader lets pass as if nothing stood there."""
ODD = ("~", "true", "0", "1", "-1", "1.5", '""', "x", "none", "'1.2.0'", "${ODD:-5}", "${ODD:-true}", "[]", "[1]", "{}")


@pytest.fixture
def loads(tmp_path):
    """Give a function that tells whether a text loads."""

    def loads(text: str) -> bool:
        path = tmp_path / "plan.yaml"
        path.write_text(text)
        try:
            load_file(path, environ={}, environment="nowhere")
        except InvalidDefinition:
            return False
        return True

    return loads


def test_a_full_definition_is_accepted(loads):
    """A file that uses every key loads, and fits the schema."""
    assert loads(FULL)
    assert list(VALIDATOR.iter_errors(read(FULL))) == []


@pytest.mark.parametrize("case", BAD)
def test_what_it_refuses_does_not_load(loads, case):
    """What the schema refuses is refused when it is loaded."""
    old, new = BAD[case]
    assert FULL.count(old) == 1
    text = FULL.replace(old, new)
    assert not VALIDATOR.is_valid(read(text))
    assert not loads(text)


@pytest.mark.parametrize("key", sorted(keys_of(TaskDefinition) | keys_of(StepTemplate)))
def test_the_schema_and_the_loader_agree(loads, key):
    """Whatever a key holds: what loads fits the schema; what does not load breaks it, but for what it cannot know."""
    for value, text in [(odd, text) for odd in ODD for text in texts(key, odd)]:
        fits, loaded = VALIDATOR.is_valid(read(text)), loads(text)
        assert fits or not loaded or (key, value) in LENIENT, text
        if not value.startswith("$") and key not in LOOKED_UP and (key, value) not in LENIENT:
            assert fits == loaded, text


def texts(key: str, value: str):
    """Give a definition with this key, and one with a step that has it."""
    if key in keys_of(TaskDefinition):
        yield f"{key}: {value}\n" + ("" if key == "name" else "name: plan\n")
    if key in keys_of(StepTemplate):
        others = {"name": "a", "handler_class": f"{STEPS}:Look"} | {key: value}
        yield "name: plan\nstep_templates:\n- " + "\n  ".join(f"{name}: {one}" for name, one in others.items())


def test_it_knows_every_key():
    """The keys of the schema are those of the declarations, under both of their names."""
    schema = task_definition()
    assert schema["properties"].keys() == keys_of(TaskDefinition) | {"namespace_name"}
    for step in ("step", "changed_step"):
        assert schema["$defs"][step]["properties"].keys() == keys_of(StepTemplate) | {"jitter_factor"}
    assert schema["$defs"]["override"]["properties"].keys() == schema["properties"].keys() - {"environments"}


def test_every_definition_of_the_project_fits():
    """Every definition in YAML that comes with the project fits the schema."""
    found = [path for folder in ("tasker", "examples") for path in (ROOT / folder).rglob("*.yaml")]
    plans = [path for path in found if "step_templates" in (yaml.safe_load(path.read_text("utf-8")) or {})]
    assert plans
    for path in plans:
        assert list(VALIDATOR.iter_errors(read(path.read_text("utf-8")))) == [], path
