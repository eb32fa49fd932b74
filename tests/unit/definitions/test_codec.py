"""Definitions as canonical bytes."""

from __future__ import annotations

import hashlib

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasker.codec.definition import decode, digest, encode
from tasker.domain.definition import CustomEvent, StepTemplate, TaskDefinition
from tasker.errors import InvalidDefinition
from tests.unit.definitions import steps

NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,20}", fullmatch=True)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
NUMBERS = st.integers(1, 10**9) | st.floats(0.001, 10**9)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
MAPS = st.dictionaries(TEXT, JSON, max_size=3)
EVENTS = st.builds(CustomEvent, name=TEXT, description=TEXT, schema=st.none() | MAPS)


@st.composite
def definitions(draw):
    """Draw a definition with up to six steps."""
    names = draw(st.lists(NAMES, max_size=6, unique=True))
    templates = []
    for number, name in enumerate(names):
        parents = draw(st.lists(st.sampled_from(names[:number]), max_size=3)) if number else []
        templates.append(
            StepTemplate(
                name=name,
                handler_class=draw(st.sampled_from([steps.Look, steps.pay, "tasker.Manual", "a:b"])),
                description=draw(TEXT),
                dependent_system=draw(TEXT),
                depends_on_step=parents[0] if parents else None,
                depends_on_steps=parents[1:],
                default_retryable=draw(st.booleans()),
                default_retry_limit=draw(st.integers(1, 9)),
                skippable=draw(st.booleans()),
                timeout_seconds=draw(st.none() | NUMBERS),
                retry_delay=draw(NUMBERS),
                heartbeat_timeout_seconds=draw(st.none() | NUMBERS),
                jitter=draw(st.floats(0, 1)),
                handler_config=draw(MAPS),
                custom_events=draw(st.lists(EVENTS, max_size=2)),
            )
        )
    return TaskDefinition(
        name=draw(NAMES),
        namespace=draw(NAMES),
        description=draw(TEXT),
        concurrent=draw(st.booleans()),
        schema=draw(st.none() | MAPS),
        timeout_seconds=draw(st.none() | NUMBERS),
        step_templates=templates,
        default_dependent_system=draw(TEXT),
        identity_strategy=draw(st.sampled_from([None, "strict", steps.identify])),
        task_handler_class=draw(st.sampled_from([None, steps.Hooked])),
        environments={"x": {}},
        module_namespace="a.b",
    )


@given(definitions())
def test_reading_what_was_written(definition):
    """decode(encode(d)) encodes to the same bytes, has the same shape, and names handlers by registry name."""
    encoded = encode(definition)
    back = decode(encoded)
    assert encode(back) == encoded
    assert back.graph.parent_ordinals == definition.graph.parent_ordinals
    assert [one.handler_class for one in back.step_templates] == [one.handler for one in definition.step_templates]
    assert back.task_handler_class == definition.task_handler
    assert encoded == orjson.dumps(orjson.loads(encoded), option=orjson.OPT_SORT_KEYS)
    assert digest(encoded) == hashlib.sha256(encoded).digest()


def test_the_same_plan_has_the_same_bytes():
    """How parents and numbers are spelled, or where handlers come from, does not matter; everything else does."""

    def plan(**keys):
        one = StepTemplate(name="one", handler_class=steps.pay)
        two = StepTemplate(**{"name": "two", "handler_class": steps.pay, "depends_on_step": "one", **keys})
        return encode(TaskDefinition(name="plan", step_templates=[one, two]))

    same = [
        {"depends_on_step": None, "depends_on_steps": ["one"]},
        {"timeout_seconds": 3600.0},
        {"handler_class": "tests.unit.definitions.steps:pay"},
        {"description": "two"},
    ]
    other = [
        {"timeout_seconds": 3600.5},
        {"handler_class": "a:b"},
        {"handler_config": {"a": 1}},
        {"depends_on_step": None},
    ]
    assert {plan(**keys) for keys in same} == {plan()}
    assert len({plan(), *(plan(**keys) for keys in other)}) == len(other) + 1


def test_what_is_no_json_is_refused():
    """Values that JSON does not have are refused when a definition is written, and other bytes when one is read."""
    for wrong in (object(), {1: 2}, 2**70):
        step = StepTemplate(name="one", handler_class=steps.pay, handler_config={"a": wrong})
        with pytest.raises(InvalidDefinition, match="JSON"):
            encode(TaskDefinition(name="plan", step_templates=[step]))
    for wrong in (b"", b"[]", b"\xff"):
        with pytest.raises(InvalidDefinition, match="expected"):
            decode(wrong)
    with pytest.raises(InvalidDefinition, match="colour"):
        decode(b'{"name":"a","colour":1}')
