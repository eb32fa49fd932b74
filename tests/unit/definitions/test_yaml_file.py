"""What a file of YAML means."""

from __future__ import annotations

import time

import pytest

from tasker.definitions.registry import Definitions
from tasker.definitions.yaml_file import find_files, load_file
from tasker.errors import InvalidDefinition
from tasker.handlers.step_handler import Manual
from tests.unit.definitions import steps

STEPS = "tests.unit.definitions.steps"


@pytest.fixture
def load(tmp_path):
    """Give a function that loads a text."""

    def from_text(text, environ=None, environment=None):
        path = tmp_path / "shop.yaml"
        path.write_text(text)
        return load_file(path, environ=environ or {}, environment=environment)

    return from_text


def test_a_file_without_steps(load):
    """Only a name is needed; omitted keys and keys without a value mean their defaults."""
    plan = load("name: bare\nschema:\nnamespace: ~\nstep_templates:\n")
    assert (plan.full_name, plan.schema, plan.step_templates) == ("default.bare@0.1.0", None, ())


def test_keys_without_a_value_mean_their_default(load):
    """An empty `timeout_seconds` is the default; only the word none switches a timeout off."""
    start = f"name: a\nstep_templates:\n- name: b\n  handler_class: {STEPS}:Look\n  timeout_seconds:"
    assert load(start).step_templates[0].timeout_seconds == 3600
    assert load(f"{start} none").step_templates[0].timeout_seconds is None


@pytest.mark.parametrize(
    ("namespace", "name", "found"),
    [
        (None, f"{STEPS}:Look", steps.Look),
        (None, f"{STEPS}.Look", steps.Look),
        (None, f"{STEPS}.Look.Closer", steps.Look.Closer),
        (None, f"{STEPS}:Look.Closer", steps.Look.Closer),
        (STEPS, "Look", steps.Look),
        (STEPS, ".Look", steps.Look),
        (STEPS, "Look.Closer", steps.Look.Closer),
        (STEPS, "Look::Closer", steps.Look.Closer),
        ("tests::unit::definitions", "steps::Look", steps.Look),
        ("tests.unit.definitions", "steps:Look", steps.Look),
        ("tests.unit.definitions", f"{STEPS}.pay", steps.pay),
        (None, "tests::unit::definitions::steps::pay", steps.pay),
        (None, "tasker.Manual", Manual),
    ],
)
def test_class_names(load, namespace, name, found):
    """A class is named with a colon, with dots, in the original's way, or relative to `module_namespace`."""
    keys = f"module_namespace: '{namespace}'\n" if namespace else ""
    plan = load(f"name: a\n{keys}step_templates:\n- name: b\n  handler_class: '{name}'")
    assert plan.step_templates[0].handler_class is found


def test_a_manual_step_waits_without_end(load):
    """`tasker.Manual` has no timeout unless one is written."""
    start = "name: a\nstep_templates:\n- name: b\n  handler_class: tasker.Manual\n"
    assert load(start).step_templates[0].timeout_seconds is None
    assert load(f"{start}  timeout_seconds: 9").step_templates[0].timeout_seconds == 9


def test_hooks_and_identity(load):
    """`task_handler_class` and `identity_strategy` become objects; the named strategies stay words."""
    plan = load(f"name: a\nmodule_namespace: {STEPS}\ntask_handler_class: Hooked\nidentity_strategy: identify")
    assert (plan.task_handler_class, plan.identity_strategy) == (steps.Hooked, steps.identify)
    assert load("name: a\nidentity_strategy: strict").identity_strategy == "strict"


def test_anchors_and_merge_keys(load):
    """Anchors, aliases and `<<` work; what is written wins over what is merged."""
    plan = load(
        f"name: a\nstep_templates:\n- &one\n  name: b\n  handler_class: {STEPS}:Look\n  jitter: 0\n"
        "- <<: [*one]\n  name: c\n  depends_on_step: b\n"
    )
    assert [(step.name, step.jitter, step.parents) for step in plan.step_templates] == [("b", 0, ()), ("c", 0, ("b",))]


def test_other_names_of_keys(load):
    """`namespace_name` and `jitter_factor` are the original's words for namespace and jitter."""
    step = f"{{name: b, handler_class: '{STEPS}:Look', jitter_factor: 0.5}}"
    plan = load(f"name: a\nnamespace_name: shop\nstep_templates: [{step}]")
    assert (plan.namespace, plan.step_templates[0].jitter) == ("shop", 0.5)


def test_placeholders_are_filled_in_outside_handler_config(load):
    """A whole placeholder takes the type of its value; inside `handler_config` it is pinned as it is."""
    plan = load(
        f"name: ${{APP}}-shop\ntimeout_seconds: '${{LIMIT}}'\ndescription: $${{x}} ${{TEXT:-of all}}\nstep_templates:\n"
        f"- name: b\n  handler_class: {STEPS}:${{CLASS:-Look}}\n  skippable: ${{SKIP:-true}}\n"
        "  handler_config: {key: '${KEY}', more: ['$${x}']}",
        {"APP": "my", "LIMIT": "2.5"},
    )
    step = plan.step_templates[0]
    assert (plan.name, plan.timeout_seconds, plan.description) == ("my-shop", 2.5, "${x} of all")
    assert (step.skippable, step.handler_config) == (True, {"key": "${KEY}", "more": ["$${x}"]})


def test_environments(load):
    """Maps merge, lists replace, steps merge by name; variables of another environment need not exist."""
    text = f"""
name: a
schema: {{type: object, required: [x], properties: {{x: {{type: integer}}}}}}
step_templates:
  - {{name: b, handler_class: {STEPS}:Look, handler_config: {{url: u, params: {{cart: 1}}}}}}
  - {{name: c, handler_class: {STEPS}:Look, depends_on_steps: [b], jitter_factor: 0.2}}
environments:
  test:
    schema: {{required: [y]}}
    step_templates:
      - {{name: c, depends_on_steps: [], jitter: 0}}
      - {{name: b, handler_config: {{url: v, params: {{test: true}}}}}}
  production:
    timeout_seconds: ${{SECONDS}}
  empty:
"""
    plan = load(text, environment="test")
    first, second = plan.step_templates
    assert (first.name, first.handler_config) == ("b", {"url": "v", "params": {"cart": 1, "test": True}})
    assert (second.parents, second.jitter) == ((), 0)
    assert plan.schema == {"type": "object", "required": ["y"], "properties": {"x": {"type": "integer"}}}
    assert load(text, {"SECONDS": "7"}, "production").timeout_seconds == 7
    assert load(text, environment="empty") == load(text, environment="unheard-of") == load(text)


def test_api_steps(load):
    """The backoff keys of an API step's `handler_config` win; a url with a placeholder is checked at the attempt."""
    plan = load(
        f"name: a\nstep_templates:\n- name: b\n  handler_class: {STEPS}:Look\n  retry_delay: 9\n  max_delay: 10\n"
        "  handler_config: {type: api, url: '${BASE}/x', retry_delay: 2, jitter_factor: 0, "
        "enable_exponential_backoff: false, accept: [404], params: {a: 1}, timeout_seconds: 3}"
    )
    step = plan.step_templates[0]
    assert (step.retry_delay, step.max_delay, step.jitter) == (2, 10, 0)
    assert step.enable_exponential_backoff is False


def test_find_files(tmp_path):
    """A directory means its *.yaml and *.yml, in sub-directories too, in a stable order and without hidden ones."""
    for name in ("b.yaml", "a/c.yml", "a/x.txt", ".git/d.yaml", ".e.yaml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert [str(file.relative_to(tmp_path)) for file in find_files(tmp_path)] == ["a/c.yml", "b.yaml"]
    assert find_files(tmp_path / "a" / "x.txt") == [tmp_path / "a" / "x.txt"]
    with pytest.raises(InvalidDefinition, match="none"):
        find_files(tmp_path / "none")


def test_ten_thousand_steps_load(tmp_path):
    """The largest definition loads and registers without quadratic work."""
    path = tmp_path / "large.yaml"
    lines = ["name: large", "step_templates:"]
    for number in range(10_000):
        lines.append(f"- name: s{number}\n  handler_class: {STEPS}:pay")
        lines += [f"  depends_on_steps: [s{number - 1}, s{number // 2}]"] if number else []
    path.write_text("\n".join(lines))
    start = time.monotonic()
    Definitions().register(load_file(path, environ={}, environment=None))
    assert time.monotonic() - start < 20
