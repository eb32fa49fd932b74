"""`task-request.json` says what `submit` accepts and refuses."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from tasker import StepTemplate, TaskDefinition, TaskRequest
from tasker.catalog.publish.request import Bounds, task_request
from tasker.clock import from_micros, parse_rfc3339
from tasker.errors import InvalidRequest
from tasker.runtime.request import HIGHEST_PRIORITY, LONGEST_KEY, LONGEST_WORD, request_of
from tasker.testing import app as memory_app

SCHEMA = task_request(Bounds(LONGEST_WORD, LONGEST_KEY, HIGHEST_PRIORITY))
VALIDATOR = Draft202012Validator(SCHEMA)
MOMENTS = ("not_before", "requested_at")
MOMENT = "2026-11-21T14:00:00Z"
PARENT = {"task_id": "01928c5e-7d0a-7c3e-9f00-5b1e6a7d4c21", "step": "a"}
GOOD = {
    "the least": {},
    "everything": {
        "context": {"order_id": 7}, "namespace": "default", "version": "1.2.0", "initiator": "ann", "source_system": "",
        "reason": "x" * 128, "tags": ["vip", "vip"], "bypass_steps": ["a"], "priority": -100, "not_before": MOMENT,
        "idempotency_key": "k" * 1024, "correlation_id": "web-1", "requested_at": "2026-11-21T15:00:00.5+01:00",
        "parent": PARENT,
    },
    "nulls": dict.fromkeys(("version", *MOMENTS, "idempotency_key", "correlation_id", "parent")),
    "a correlation id that is none": {"correlation_id": "with blanks in it"},
    "a correlation id that is no text": {"correlation_id": 7},
    "letters of any language": {"reason": "é 你好 😀", "tags": ["é"]},
    "lower case": {"not_before": "2026-11-21t14:00:00z"},
}  # fmt: skip
BAD = {
    "an unknown field": {"contxt": {}},
    "a name with a blank": {"name": "a b"},
    "a name that is too long": {"name": "a" * 129},
    "an empty name": {"name": ""},
    "no name": {"name": None},
    "a namespace that is null": {"namespace": None},
    "a version that is none": {"version": "1.2"},
    "a version with a leading zero": {"version": "01.2.0"},
    "a version in other digits": {"version": "\u0661.2.0"},
    "a context that is a list": {"context": [1]},
    "a context that is null": {"context": None},
    "a reason that is too long": {"reason": "x" * 129},
    "a reason that is null": {"reason": None},
    "an initiator that is a number": {"initiator": 1},
    "tags that are one text": {"tags": "vip"},
    "a tag that is a number": {"tags": [1]},
    "a tag that is too long": {"tags": ["x" * 129]},
    "a tag that cannot be stored": {"tags": ["a\u0000b"]},
    "steps that are an object": {"bypass_steps": {}},
    "a priority beyond": {"priority": 101},
    "a priority that is true": {"priority": True},
    "a priority with a fraction": {"priority": 1.5},
    "a time without an offset": {"not_before": "2026-11-21T14:00:00"},
    "a date": {"requested_at": "2026-11-21"},
    "a month that is none": {"not_before": "2026-13-21T14:00:00Z"},
    "a time that is a number": {"not_before": 1_795_269_600},
    "an empty key": {"idempotency_key": ""},
    "a key that is too long": {"idempotency_key": "k" * 1025},
    "a key that cannot be stored": {"idempotency_key": "a\u0000"},
    "a parent without a step": {"parent": {"task_id": "t"}},
    "a parent with more": {"parent": {**PARENT, "more": 1}},
    "a parent that is a text": {"parent": "t"},
}
ODD = (
    None, True, 0, -100, 101, 1.5, "", "a", "a b", "x" * 129, "a\u0000b", "1.2.0", MOMENT, "2026-11-21", [], ["a"], [1],
    {}, {"a": 1}, PARENT, {"task_id": "t", "step": 1},
)  # fmt: skip


def decoded(request: dict[str, object]) -> dict[str, object]:
    """Read the times of a request, as every edge does before it calls `submit`."""
    given = dict(request)
    for name in MOMENTS:
        if isinstance(given.get(name), str):
            given[name] = from_micros(parse_rfc3339(given[name]))
    return given


@pytest.fixture(scope="module")
def app():
    """Give an application with one definition."""
    step = StepTemplate(name="a", handler_class=lambda task, sequence, step: {}, skippable=True)
    with memory_app(TaskDefinition(name="plan", version="1.2.0", step_templates=[step])) as made:
        yield made


@pytest.mark.parametrize("case", GOOD)
def test_what_it_accepts_is_accepted(app, case):
    """A request that the schema accepts becomes a task."""
    request = {"name": "plan", **GOOD[case]}
    assert list(VALIDATOR.iter_errors(request)) == []
    assert app.submit(**decoded(request)).created


@pytest.mark.parametrize("case", BAD)
def test_what_it_refuses_is_refused(app, case):
    """A request that the schema refuses is `InvalidRequest`, and appends nothing."""
    request = {"name": "plan", **BAD[case]}
    assert not VALIDATOR.is_valid(request)
    before = len(list(app.events()))
    with pytest.raises(InvalidRequest):
        app.submit(**decoded(request))
    assert len(list(app.events())) == before


@settings(max_examples=400)
@given(st.dictionaries(st.sampled_from([*TaskRequest.__annotations__, "colour"]), st.sampled_from(ODD), max_size=4))
def test_the_schema_and_the_request_agree(fields):
    """Whatever the fields hold, the schema accepts a request exactly where `TaskRequest` does."""
    request = {"name": "plan", **fields}
    try:
        request_of(None, decoded(request))
        accepted = True
    except InvalidRequest:
        accepted = False
    assert VALIDATOR.is_valid(request) == accepted


def test_it_knows_every_field_and_its_default():
    """The fields and defaults of the schema are those of `TaskRequest`."""
    properties = SCHEMA["properties"]
    assert properties.keys() == TaskRequest.__annotations__.keys()
    least = TaskRequest(name="plan")
    defaults = {name: one["default"] for name, one in properties.items() if "default" in one}
    assert defaults.keys() == properties.keys() - {"name"}
    for name, default in defaults.items():
        found = getattr(least, name)
        assert (list(found) if isinstance(found, tuple) else found) == default, name
