"""Where the boxes and lines of a graph stand on a page: columns by level, long lines led between the boxes."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tasker.domain.graph import Graph

MOST_STEPS = 150
"""A graph of more steps is a table only: nobody can read the picture."""
WIDTH, HEIGHT = 168, 46
_ACROSS, _DOWN, _THIN, _MARGIN = 42, 18, 6, 12
_MOST_BENDS = 1_500
_SWEEPS = 4
_LONGEST = 20  # characters that fit into a box

_Key = str | tuple[str, str, int]  # a step, or where the line from one to another crosses a level


class Box(NamedTuple):
    """A step.

    Attributes:
        name: Its name.
        label: The name as far as it fits.
        status: Its status; None in a definition.
        x: Of the left upper corner.
        y: The same.
    """

    name: str
    label: str
    status: str | None
    x: int
    y: int


class Picture(NamedTuple):
    """A graph with places.

    Attributes:
        width: Of the whole.
        height: Of the whole.
        boxes: The steps, parents first.
        lines: From parents to children, as paths of SVG.
    """

    width: int
    height: int
    boxes: list[Box]
    lines: list[str]


def picture(graph: Graph, statuses: Mapping[str, str] | None = None) -> Picture | None:
    """Give a place to every step.

    Args:
        graph: The shape.
        statuses: The status of each step; None for a definition.

    Returns:
        The picture; None for no steps, or for more than fit into one.
    """
    if not 0 < len(graph.names) <= MOST_STEPS:
        return None
    ways = _ways(graph)
    columns = _columns(graph, ways)
    places = _places(columns)
    boxes = [
        Box(name, _short(name), None if statuses is None else statuses[name], *places[name])
        for name in graph.topological_order
    ]
    height = max(y for _, y in places.values()) + HEIGHT + _MARGIN
    width = len(columns) * (WIDTH + _ACROSS) - _ACROSS + 2 * _MARGIN
    return Picture(width, height, boxes, [_line(way, places) for way in ways])


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…"


def _ways(graph: Graph) -> list[list[_Key]]:
    """Give for every line what it goes through; where there are too many, lines go straight."""
    pairs = [(parent, name) for name in graph.topological_order for parent in graph.parents(name)]
    bends = sum(graph.levels[child] - graph.levels[parent] - 1 for parent, child in pairs)
    ways: list[list[_Key]] = []
    for parent, child in pairs:
        between = range(graph.levels[parent] + 1, graph.levels[child]) if bends <= _MOST_BENDS else range(0)
        ways.append([parent, *((parent, child, level) for level in between), child])
    return ways


def _columns(graph: Graph, ways: Sequence[Sequence[_Key]]) -> list[list[_Key]]:
    """Order every level so that few lines cross: by the middle of what each is joined with, back and forth."""
    columns: list[list[_Key]] = [[] for _ in range(graph.depth)]
    for name in graph.topological_order:
        columns[graph.levels[name]].append(name)
    for way in ways:
        for key in way[1:-1]:
            columns[int(key[2])].append(key)
    before: dict[_Key, list[_Key]] = {}
    behind: dict[_Key, list[_Key]] = {}
    for way in ways:
        for one, other in pairwise(way):
            before.setdefault(other, []).append(one)
            behind.setdefault(one, []).append(other)
    for sweep in range(_SWEEPS):
        joined, order = (behind, reversed(columns)) if sweep % 2 else (before, iter(columns))
        _sweep(list(order), joined)
    return columns


def _sweep(columns: Sequence[list[_Key]], joined: Mapping[_Key, Sequence[_Key]]) -> None:
    rank: dict[_Key, float] = {}
    for column in columns:
        middle = {key: _middle(joined.get(key, ()), rank, place) for place, key in enumerate(column)}
        column.sort(key=middle.__getitem__)
        rank.update({key: float(place) for place, key in enumerate(column)})


def _middle(joined: Sequence[_Key], rank: Mapping[_Key, float], place: int) -> float:
    known = [rank[key] for key in joined if key in rank]
    return sum(known) / len(known) if known else float(place)


def _places(columns: Sequence[Sequence[_Key]]) -> dict[_Key, tuple[int, int]]:
    heights = [sum(_high(key) + _DOWN for key in column) - _DOWN for column in columns]
    places: dict[_Key, tuple[int, int]] = {}
    for number, column in enumerate(columns):
        y = _MARGIN + (max(heights) - heights[number]) // 2
        for key in column:
            places[key] = (_MARGIN + number * (WIDTH + _ACROSS), y)
            y += _high(key) + _DOWN
    return places


def _high(key: _Key) -> int:
    return HEIGHT if isinstance(key, str) else _THIN


def _line(way: Sequence[_Key], places: Mapping[_Key, tuple[int, int]]) -> str:
    x, y = places[way[0]]
    x, y = x + WIDTH, y + HEIGHT // 2
    path = [f"M{x} {y}"]
    for key in way[1:]:
        to_x, to_y = places[key][0], places[key][1] + _high(key) // 2
        half = (x + to_x) // 2
        path.append(f"C{half} {y} {half} {to_y} {to_x} {to_y}")
        x, y = to_x, to_y
        if not isinstance(key, str):
            x += WIDTH
            path.append(f"H{x}")
    return "".join(path)
