"""Ids that come with a request: what is recorded, and what is passed over."""

from __future__ import annotations

import json

import pytest

from tasker.runtime.metadata import encoded
from tasker.testing import app

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
ID = {"request_id": "r-1"}


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (None, None),
        ({}, None),
        ({"traceparent": PARENT}, {"traceparent": PARENT}),
        ({"traceparent": PARENT, "tracestate": "a=b"}, {"traceparent": PARENT, "tracestate": "a=b"}),
        ({"tracestate": "a=b"}, None),
        ({"traceparent": PARENT.upper(), "tracestate": "a=b"}, None),
        ({"traceparent": "ff" + PARENT[2:]}, None),
        ({"traceparent": f"00-{'0' * 32}-b7ad6b7169203331-01"}, None),
        ({"traceparent": f"00-0af7651916cd43dd8448eb211c80319c-{'0' * 16}-01"}, None),
        ({"traceparent": PARENT, "tracestate": "x" * 513}, {"traceparent": PARENT}),
        ({"traceparent": PARENT, "tracestate": "a=\n"}, {"traceparent": PARENT}),
        ({**ID, "other": "x"}, ID),
        ({"request_id": "r" * 129}, None),
        ({"request_id": "r\n"}, None),
    ],
)
def test_what_is_kept(given, kept):
    """Valid ids are kept, a trace that is none is passed over with its state, and nothing is refused."""
    found = encoded(given)
    assert (None if found is None else json.loads(found)) == kept


def test_it_is_recorded_with_the_creation_alone():
    """`submit` and `submit_many` record it, each request its own, and only the first event carries it."""
    with app() as shop:
        shop.register(_plan())
        alone = shop.submit(name="order", metadata={"traceparent": PARENT})
        both = shop.submit_many([{"name": "order"}, {"name": "order"}, {"name": "order"}], metadata=[None, ID])
        shop.run_until_idle()
        found = [[dict(event.metadata) for event in shop.events(task.id)] for task in (alone, *both)]
    assert [one[0] for one in found] == [{"traceparent": PARENT}, {}, ID, {}]
    assert not any(any(one[1:]) for one in found)


def _plan():
    from tasker import StepTemplate, TaskDefinition

    return TaskDefinition(name="order", step_templates=[StepTemplate(name="one", handler_class=_nothing)])


def _nothing(task, sequence, step):
    """Do nothing."""
