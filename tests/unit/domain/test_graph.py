"""The shape of a definition."""

from __future__ import annotations

import pytest

from tasker.domain.graph import Graph
from tasker.errors import InvalidDefinition, UnknownStep

DIAMOND = {"d": ("b", "c"), "c": ("a",), "b": ("a",), "a": (), "lone": ()}


def test_the_order_takes_the_earliest_declared() -> None:
    """Topological order: of the steps whose parents are placed, the earliest declared."""
    assert Graph(DIAMOND).topological_order == ("a", "c", "b", "d", "lone")
    assert Graph({"x": ("z",), "y": (), "z": ()}).topological_order == ("y", "z", "x")


def test_relations() -> None:
    """Parents as declared, children in declared order; siblings share the set of parents, roots each other's."""
    graph = Graph(DIAMOND)
    assert (graph.parents("d"), graph.children("a")) == (("b", "c"), ("c", "b"))
    assert (graph.siblings("b"), graph.siblings("a"), graph.siblings("d")) == (("c",), ("lone",), ())
    assert (graph.roots, graph.leaves) == (("a", "lone"), ("d", "lone"))
    assert graph.descendants(graph.number("a")) == tuple(map(graph.number, ("c", "b", "d")))


def test_levels() -> None:
    """A level is the longest way from a root; depth counts levels; the widest level counts its steps."""
    graph = Graph({**DIAMOND, "e": ("a", "d")})
    assert graph.levels == {"a": 0, "c": 1, "b": 1, "d": 2, "e": 3, "lone": 0}
    assert (graph.depth, graph.widest_level) == (4, 2)
    assert (Graph({}).depth, Graph({}).widest_level, Graph({}).topological_order) == (0, 0, ())


@pytest.mark.parametrize(
    ("parents", "match"),
    [
        ({"a": ("a",)}, "'a' depends on itself"),
        ({"charge": (), "b": ("chrge",)}, "depends on 'chrge'.*Did you mean 'charge'"),
        ({"a": ("c",), "b": ("a",), "c": ("b",), "d": ()}, "in a circle: .*a.* -> .*b.* -> .*c"),
    ],
)
def test_wrong_shapes_are_refused(parents: dict[str, tuple[str, ...]], match: str) -> None:
    """A step on itself, an unknown parent and a circle are refused, and the error shows where."""
    with pytest.raises(InvalidDefinition, match=match):
        Graph(parents)


def test_unknown_names_are_refused() -> None:
    """Asking for a step that is none offers near names."""
    with pytest.raises(UnknownStep, match="Did you mean 'lone'"):
        Graph(DIAMOND).parents("loan")
