"""Graphs are drawn with every step and line, and names stay text."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from tasker.domain.graph import Graph
from tasker.http.drawing import COLOURS, mermaid, svg

SHAPE = Graph({"a": [], "b": ["a"], "c": ["a"], "d": ["b", "c"]})
STATUSES = {"a": "complete", "b": "error", "c": "waiting", "d": "pending"}


def test_mermaid_has_steps_lines_and_colours():
    """Four steps, four lines, a class for each status that occurs."""
    text = mermaid(SHAPE, STATUSES)
    assert text.count("-->") == 4
    assert ":::error" in text
    assert f"classDef error fill:{COLOURS['error'].fill}" in text
    assert ":::" not in mermaid(SHAPE)


def test_svg_is_well_formed_and_nothing_lies_over_another():
    """Every step has a box of its own; statuses are written, not only coloured."""
    found = ET.fromstring(svg(SHAPE, STATUSES))
    space = "{http://www.w3.org/2000/svg}"
    boxes = {(one.get("x"), one.get("y")) for one in found.iter(f"{space}rect")}
    assert len(boxes) == 4
    assert len(list(found.iter(f"{space}line"))) == 4
    assert "waiting" in "".join(found.itertext())


def test_hostile_names_stay_text():
    """Whatever a name holds, it opens no tag and no node."""
    shape = Graph({'<script>alert(1)</script>"]': []})
    assert "<script>" not in svg(shape)
    assert ET.fromstring(svg(shape)) is not None
    assert '"]"]' not in mermaid(shape)


def test_an_empty_graph_can_be_drawn():
    """A definition without steps is a picture without boxes."""
    assert ET.fromstring(svg(Graph({}))) is not None
    assert mermaid(Graph({})) == "flowchart TD\n"
