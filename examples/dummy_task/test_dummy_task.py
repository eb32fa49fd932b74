"""What must be true of dummy_task; TASKER_EXAMPLE_URL names the log, else it is in memory."""

# ruff: noqa: S101 - a test asserts

import os

import pytest
from app import MISSING, register, run

from tasker import Tasker
from tasker.errors import InvalidRequest

URL = os.environ.get("TASKER_EXAMPLE_URL", "memory://")
STEPS = ["step-one", "step-two", "step-three", "step-four"]
pytestmark = pytest.mark.skipif(MISSING is not None, reason=str(MISSING))


def test_it_completes_with_an_annotation_for_each_step():
    """Every step answers, and each has its annotation."""
    status, results, annotations = run(URL)
    assert status == "complete"
    assert results == {name: {"dummy": True} for name in STEPS}
    assert {kind for kind, _ in annotations} == {"dummy-annotation"}
    assert sorted(value["step"] for _, value in annotations) == sorted(STEPS)


def test_its_shape():
    """step-three waits for step-two, step-four for step-three; step-one stands alone."""
    with Tasker("memory://", settings={}) as app:
        register(app)
        graph = app.definition("dummy_task").graph
        assert {name: graph.parents(name) for name in STEPS} == {
            "step-one": (),
            "step-two": (),
            "step-three": ("step-two",),
            "step-four": ("step-three",),
        }


@pytest.mark.parametrize("context", [{}, {"dummy": "yes"}, {"dummy": None}])
def test_the_context_needs_a_boolean(context):
    """A context without a boolean `dummy` is refused."""
    with Tasker("memory://", settings={}) as app:
        register(app)
        with pytest.raises(InvalidRequest, match="dummy"):
            app.submit(name="dummy_task", context=context)
