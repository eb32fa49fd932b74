"""Graphs as pictures: Mermaid text and SVG, coloured by status. Nothing here needs more than the domain."""

from __future__ import annotations

import re
from html import escape
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tasker.domain.graph import Graph


class Colours(NamedTuple):
    """Of a step in one status."""

    fill: str
    stroke: str
    text: str


_PLAIN = Colours("#f4f4f5", "#71717a", "#18181b")
COLOURS = {
    "pending": _PLAIN,
    "in_progress": Colours("#dbeafe", "#1d4ed8", "#172554"),
    "waiting_for_retry": Colours("#fef3c7", "#b45309", "#451a03"),
    "waiting": Colours("#fef9c3", "#a16207", "#422006"),
    "complete": Colours("#dcfce7", "#15803d", "#052e16"),
    "error": Colours("#fee2e2", "#b91c1c", "#450a0a"),
    "cancelled": Colours("#e4e4e7", "#52525b", "#27272a"),
    "skipped": Colours("#f4f4f5", "#a1a1aa", "#52525b"),
    "resolved_manually": Colours("#ede9fe", "#6d28d9", "#2e1065"),
}
_WIDTH, _HEIGHT, _GAP, _MARGIN = 200, 48, 32, 16
_LONGEST = 26  # characters that fit into a box


def mermaid(graph: Graph, statuses: Mapping[str, str] | None = None) -> str:
    """Draw a graph as a Mermaid flow chart.

    Args:
        graph: The shape.
        statuses: The status of each step, by which it is coloured; None for a definition.
    """
    known = statuses or {}
    numbers = {name: number for number, name in enumerate(graph.topological_order)}
    lines = ["flowchart TD"]
    for name, number in numbers.items():
        status = known.get(name)
        label = name if status is None else f"{name}<br/>{status}"
        lines.append(f'    s{number}["{_quoted(label)}"]' + (f":::{status}" if status else ""))
    lines += [f"    s{numbers[one]} --> s{numbers[name]}" for name in numbers for one in graph.parents(name)]
    for status in sorted(set(known.values()) & COLOURS.keys()):
        colours = COLOURS[status]
        lines.append(f"    classDef {status} fill:{colours.fill},stroke:{colours.stroke},color:{colours.text}")
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    """Keep a name from being read as Mermaid."""
    return re.sub(r'["\[\]]', "", text)


def svg(graph: Graph, statuses: Mapping[str, str] | None = None) -> str:
    """Draw a graph as SVG: a row for each level, lines from parents to children."""
    places = _places(graph)
    rows = list(places.values())
    wide = max((x for x, _ in rows), default=0) + _WIDTH + _MARGIN
    high = max((y for _, y in rows), default=0) + _HEIGHT + _MARGIN
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{wide}" height="{high}" viewBox="0 0 {wide} {high}" '
        'role="img" font-family="sans-serif" font-size="13">'
    )
    lines = [_line(places[one], places[name]) for name in places for one in graph.parents(name)]
    boxes = [_box(name, place, (statuses or {}).get(name)) for name, place in places.items()]
    return "\n".join([head, f"<title>{len(boxes)} steps</title>", *lines, *boxes, "</svg>\n"])


def _places(graph: Graph) -> dict[str, tuple[int, int]]:
    seen: dict[int, int] = {}
    places = {}
    for name in graph.topological_order:
        level = graph.levels[name]
        column = seen.get(level, 0)
        seen[level] = column + 1
        places[name] = (_MARGIN + column * (_WIDTH + _GAP), _MARGIN + level * (_HEIGHT + _GAP))
    return places


def _line(parent: tuple[int, int], child: tuple[int, int]) -> str:
    half = _WIDTH // 2
    x1, y1, x2, y2 = parent[0] + half, parent[1] + _HEIGHT, child[0] + half, child[1]
    return f'<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" stroke="#71717a"/>'


def _box(name: str, place: tuple[int, int], status: str | None) -> str:
    colours = COLOURS.get(status or "", _PLAIN)
    x, y = place
    shown = name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…"
    below = "" if status is None else f'<tspan x="{x + 10}" dy="16" font-size="11">{escape(status)}</tspan>'
    return (
        f'<g><title>{escape(name)}</title><rect x="{x}" y="{y}" width="{_WIDTH}" height="{_HEIGHT}" rx="6" '
        f'fill="{colours.fill}" stroke="{colours.stroke}"/><text x="{x + 10}" y="{y + 20}" fill="{colours.text}">'
        f"{escape(shown)}{below}</text></g>"
    )
