"""Everything that is wrong in a file is refused with `file:line` and the word that is wrong or was meant."""

from __future__ import annotations

import pytest

from tasker.definitions.yaml_file import load_file
from tasker.errors import InvalidDefinition

STEPS = "tests.unit.definitions.steps"
TEXT = f"""\
name: shop
version: 1.2.0
description: Sell
named_steps: [look, pay, call]
schema:
  type: object
  properties:
    cart: {{type: integer}}
timeout_seconds: 60
step_templates:
  - name: look
    handler_class: {STEPS}:Look
    handler_config:
      greeting: ${{GREETING}}
  - name: pay
    handler_class: {STEPS}.pay
    depends_on_step: look
    default_retry_limit: 2
    skippable: true
    custom_events:
      - name: cart.paid
        schema: {{type: object}}
  - name: call
    handler_class: {STEPS}.Look
    depends_on_steps:
      - look
      - pay
    handler_config:
      type: api
      url: https://shop.example/
      retry_delay: 2
environments:
  test:
    timeout_seconds: 5
    step_templates:
      - name: pay
        timeout_seconds: 5
"""
CASES = {
    "unknown key": ("description: Sell", "descriptoin: Sell", 3, "description"),
    "unknown step key": ("depends_on_step: look", "depends_on: look", 17, "depends_on_step"),
    "unknown event key": ("        schema: {type", "        shema: {type", 22, "schema"),
    "missing name": ("name: shop\n", "\n", 2, "name"),
    "missing handler": (f"    handler_class: {STEPS}.pay\n", "\n", 15, "handler_class"),
    "unknown parent": ("depends_on_step: look", "depends_on_step: lok", 17, "lok"),
    "unknown parent in a list": ("      - pay\n", "      - pey\n", 27, "pey"),
    "self dependency": ("depends_on_step: look", "depends_on_step: pay", 17, "itself"),
    "cycle": (
        "handler_config:\n      greeting",
        "depends_on_step: call\n    handler_config:\n      greeting",
        13,
        "->",
    ),
    "duplicate step": ("name: call", "name: pay", 23, "twice"),
    "missing in named_steps": ("[look, pay, call]", "[look, pay, cal]", 23, "call"),
    "named_steps no list": ("[look, pay, call]", "all", 4, "named_steps"),
    "unknown step overridden": ("      - name: pay\n", "      - name: pey\n", 36, "pay"),
    "unknown key overridden": ("        timeout_seconds: 5", "        timeout: 5", 37, "timeout_seconds"),
    "override without a name": ("      - name: pay\n    ", "      -\n    ", 37, "name"),
    "wrong value overridden": ("        timeout_seconds: 5", "        timeout_seconds: -5", 37, "-5"),
    "environments no map": ("environments:\n  test:", "environments: [test]\nx:\n  test:", 32, "environments"),
    "environment no map": ("    timeout_seconds: 5\n    step", "    - 5\nx:\n    step", 33, "test"),
    "no such module": (".pay\n", ".nothing.pay\n", 16, f"{STEPS}.nothing"),
    "no such class above": (".pay\n", ".Lok.pay\n", 16, "Look"),
    "broken attribute": (f"{STEPS}.pay", "tests.unit.definitions.lazy_steps.pay", 16, "ZeroDivisionError"),
    "no such class": (":Look", ":Lok", 12, "Look"),
    "no module": (f"{STEPS}.pay", "pay", 16, "module_namespace"),
    "broken module": (f"{STEPS}.pay", "tests.unit.definitions.broken_steps.pay", 16, "ZeroDivisionError"),
    "no handler": (".pay\n", ".NoHandler\n", 16, "process"),
    "no function": (".pay\n", ".NUMBER\n", 16, "handler_class"),
    "too few arguments": (".pay\n", ".narrow\n", 16, "sequence"),
    "not a name at all": (f"{STEPS}.pay", "'pay me'", 16, "pay me"),
    "retry limit 0": ("default_retry_limit: 2", "default_retry_limit: 0", 18, "default_retry_limit"),
    "retry limit true": ("default_retry_limit: 2", "default_retry_limit: yes", 18, "True"),
    "flag in quotes": ("skippable: true", "skippable: 'yes'", 19, "skippable"),
    "endless number": ("skippable: true", "max_delay: .inf", 19, "max_delay"),
    "jitter": ("skippable: true", "jitter_factor: 2", 19, "jitter"),
    "two names of one key": ("    skippable: true", "    jitter_factor: 0.2\n    jitter: 0.1", 19, "jitter_factor"),
    "number as version": ("version: 1.2.0", "version: 1.2", 2, "in quotes"),
    "version with a zero": ("version: 1.2.0", "version: 1.02.0", 2, "1.02.0"),
    "bad name": ("name: shop\n", "name: my shop\n", 1, "my shop"),
    "bad namespace": ("description: Sell", "namespace_name: -x", 3, "namespace"),
    "missing variable": ("skippable: true", "skippable: ${SKIP_IT}", 19, "SKIP_IT"),
    "malformed placeholder": ("skippable: true", "skippable: ${SKIP-IT}", 19, "${SKIP-IT}"),
    "malformed pinned placeholder": ("${GREETING}", "${1GREETING}", 14, "${1GREETING}"),
    "unknown type in a schema": ("{type: integer}", "{type: integr}", 8, "integr"),
    "bad pattern in a schema": ("{type: integer}", "{pattern: '('}", 8, "regex"),
    "dangling reference": ("{type: integer}", "{$ref: '#/$defs/x'}", 8, "#/$defs/x"),
    "reference to the network": ("{type: integer}", "{$ref: 'http://127.0.0.1:9/x'}", 8, "127.0.0.1"),
    "unknown draft": ("  type: object\n", "  $schema: http://x/\n", 6, "$schema"),
    "bad schema of an event": ("schema: {type: object}", "schema: {type: objct}", 22, "objct"),
    "reserved event": ("cart.paid", "step.paid", 21, "reserved"),
    "event without a dot": ("cart.paid", "paid", 21, "order.fulfilled"),
    "api url relative": ("https://shop.example/", "shop/things", 30, "absolute"),
    "api url without a port": ("https://shop.example/", "https://shop.example:x/", 30, "absolute"),
    "api url with a user": ("https://shop.example/", "ftp://me:hunter22@shop.example/", 30, "a user in it"),
    "api url missing": ("      url: https://shop.example/\n", "\n", 28, "url"),
    "api delay": ("retry_delay: 2", "retry_delay: -2", 31, "retry_delay"),
    "api delay too late": ("retry_delay: 2", "retry_delay: ${DELAY:-2}", 31, "beside handler_config"),
    "api params": ("retry_delay: 2", "params: 7", 31, "params"),
    "api accept": ("retry_delay: 2", "accept: [404, many]", 31, "many"),
    "api timeout": ("retry_delay: 2", "timeout_seconds: 0", 31, "timeout_seconds"),
    "unknown strategy": ("description: Sell", "identity_strategy: stric", 3, "strict"),
    "strategy no function": ("description: Sell", f"identity_strategy: {STEPS}.NUMBER", 3, "identity_strategy"),
    "hooks no class": ("description: Sell", f"task_handler_class: {STEPS}.pay", 3, "class"),
    "duplicate key": ("description: Sell", "name: other", 3, "'name'"),
    "duplicate key inside": ("greeting: ${GREETING}", "a: 1\n      a: 2", 15, "'a'"),
    "key that is no text": ("greeting: ${GREETING}", "404: x", 14, "404"),
    "no YAML": ("description: Sell", "description: 'Sell", 3, "YAML"),
    "tab": ("description: Sell", "\tdescription: Sell", 3, "YAML"),
    "control character": ("description: Sell", "description: \x01", 3, "YAML"),
    "object": ("description: Sell", "description: !!python/name:os.system", 3, "python/name"),
    "tagged map": ("{type: integer}", "!!set {type}", 8, "set"),
    "impossible date": ("description: Sell", "description: 2026-13-45", 3, "2026-13-45"),
    "unknown alias": ("description: Sell", "description: *text", 3, "text"),
    "alias inside itself": ("  properties:", "  allOf: &a [*a]\n  properties:", 7, "*a"),
    "merge of a text": ("  type: object\n", "  <<: object\n", 6, "<<"),
    "two documents": ("environments:", "---\nenvironments:", 32, "one document"),
}

BOMB = b"a0: &a0 [x]\n" + b"".join(
    b"a%d: &a%d [%s]\n" % (number, number, b",".join([b"*a%d" % (number - 1)] * 9)) for number in range(1, 12)
)


@pytest.mark.parametrize(("old", "new", "line", "word"), CASES.values(), ids=CASES)
def test_a_wrong_file_is_refused_with_its_line(tmp_path, old, new, line, word):
    """What is wrong raises `InvalidDefinition` with the path as given, the line, and the wrong or meant word."""
    path = tmp_path / "shop.yaml"
    assert old in TEXT
    path.write_text(TEXT.replace(old, new))
    with pytest.raises(InvalidDefinition) as info:
        load_file(path, environ={}, environment="test")
    assert (info.value.where, word in str(info.value)) == (f"{path}:{line}", True), str(info.value)


def test_the_file_of_this_table_is_right(tmp_path):
    """Unchanged, the file of the table loads: each case above is wrong for its own reason."""
    path = tmp_path / "shop.yaml"
    path.write_text(TEXT)
    assert load_file(path, environ={}, environment="test").timeout_seconds == 5


@pytest.mark.parametrize(
    ("content", "line", "word"),
    [
        (b"", 1, "nothing"),
        (b"# only a comment\n", 1, "nothing"),
        (b"- a\n- b\n", 1, "keys"),
        (b"name: a\ndescription: \xff\n", 2, "0xff"),
        (b"name: a\nstep_templates:\n  look: 1\n", 2, "list"),
        (b"name: a\n\nschema: []\n", 3, "map"),
        (b"a: " + b"[" * 300 + b"]" * 300, 1, "levels"),
        (b"- " * 50_000 + b"a", 1, "levels"),
        (b"x" * (8 * 1024 * 1024 + 1), 1, "bytes"),
        (BOMB, 7, "aliases"),
    ],
    ids=[
        "empty",
        "comment",
        "list",
        "not UTF-8",
        "steps no list",
        "schema no map",
        "deep",
        "deeper",
        "large",
        "alias bomb",
    ],
)
def test_a_strange_file_is_refused(tmp_path, content, line, word):
    """Files that are empty, binary, too large, too deep, or grow by aliases are refused quickly, with their line."""
    path = tmp_path / "odd.yaml"
    path.write_bytes(content)
    with pytest.raises(InvalidDefinition, match=word) as info:
        load_file(path, environ={}, environment=None)
    assert info.value.where == f"{path}:{line}"


def test_an_unreadable_file_is_refused(tmp_path):
    """A path without a file raises `InvalidDefinition` naming it."""
    with pytest.raises(InvalidDefinition, match="FileNotFoundError") as info:
        load_file(tmp_path / "none.yaml", environ={}, environment=None)
    assert info.value.where == str(tmp_path / "none.yaml")
