"""The shape of a definition."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasker.domain.declared import registry_name
from tasker.domain.graph import Graph
from tasker.errors import InvalidDefinition, UnknownStep
from tests.unit.definitions import steps


def test_a_kite():
    """Parents, children, siblings, ends, levels and the order of a kite."""
    graph = Graph({"tail": ["left", "right"], "top": [], "right": ["top"], "left": ["top"]})
    assert (graph.roots, graph.leaves) == (("top",), ("tail",))
    assert (graph.parents("tail"), graph.children("top")) == (("left", "right"), ("right", "left"))
    assert (graph.siblings("left"), graph.siblings("top")) == (("right",), ())
    assert graph.topological_order == ("top", "right", "left", "tail")
    assert dict(graph.levels) == {"top": 0, "right": 1, "left": 1, "tail": 2}
    assert (graph.depth, graph.widest_level) == (3, 2)
    assert graph.descendants(graph.number("top")) == (2, 3, 0)


def test_an_empty_graph():
    """A definition without steps has no levels."""
    graph = Graph({})
    assert (graph.depth, graph.widest_level, graph.roots, graph.topological_order) == (0, 0, (), ())


@pytest.mark.parametrize(
    ("parents", "word", "path"),
    [
        ({"a": ["a"]}, "itself", ("a", "a")),
        ({"a": [], "b": ["c"]}, "'c'", ("b", "c")),
        ({"a": ["c"], "b": ["a"], "c": ["b"], "d": ["c"]}, "a -> b -> c -> a", ("a", "c")),
    ],
)
def test_wrong_shapes(parents, word, path):
    """Unknown parents, self dependencies and cycles are refused, with the step and the parent."""
    with pytest.raises(InvalidDefinition, match=word) as info:
        Graph(parents)
    assert info.value.path == path


def test_unknown_steps():
    """A step that is not there offers near names, and lists at most some of the others."""
    graph = Graph({f"step{number}": [] for number in range(1_000)})
    with pytest.raises(UnknownStep, match="step1") as info:
        graph.parents("step-1")
    assert len(str(info.value)) < 1_000


@given(st.lists(st.lists(st.integers(0, 30), max_size=4), max_size=30))
def test_the_order_takes_the_earliest_declared(drawn):
    """Of the steps whose parents are placed the earliest declared comes next; levels are longest ways from a root."""
    parents = {f"s{n}": [f"s{p % n}" for p in wanted] if n else [] for n, wanted in enumerate(drawn)}
    names = list(parents)[::-1]  # declared backwards, so that the order has something to do
    graph = Graph({name: parents[name] for name in names})
    placed: list[str] = []
    while len(placed) < len(names):
        placed.append(next(n for n in names if n not in placed and set(parents[n]) <= set(placed)))
    assert graph.topological_order == tuple(placed)
    for name in names:
        assert graph.levels[name] == max((graph.levels[p] + 1 for p in parents[name]), default=0)


def test_registry_names():
    """A handler is named by its own `name`, never an inherited one, else by module and qualified name."""

    class Named(steps.Look):
        """Named."""

        name = "named"

    class Below(Named):
        """Not named."""

    instance = steps.Look()
    assert registry_name(Named) == "named"
    assert registry_name(Below).endswith(":test_registry_names.<locals>.Below")
    assert registry_name(steps.Look.Closer) == "tests.unit.definitions.steps:Look.Closer"
    assert (registry_name("x"), registry_name(instance), registry_name(len)) == (
        "x",
        "tests.unit.definitions.steps:Look",
        "builtins:len",
    )
