"""Maps and lists that remember on which line of a file each of their values stands."""

from __future__ import annotations

from collections.abc import Iterable, Mapping


class Marked(dict[str, object]):
    """A map with the line of each key."""

    def __init__(self, values: Mapping[str, object], lines: dict[str, int], *, line: int) -> None:
        """Take the values, the line of each key, and the line of the map itself (0: unknown)."""
        super().__init__(values)
        self.lines = lines
        self.line = line


class MarkedList(list[object]):
    """A list with the line of each item."""

    def __init__(self, values: Iterable[object], lines: list[int], *, line: int) -> None:
        """Take the values, the line of each, and the line of the list itself (0: unknown)."""
        super().__init__(values)
        self.lines = lines
        self.line = line


def line_of(tree: object, path: Iterable[str | int]) -> int:
    """Give the line to which a path leads, or the deepest one on the way to it that is known."""
    line = tree.line if isinstance(tree, Marked | MarkedList) else 1
    for part in path:
        if isinstance(tree, Marked) and isinstance(part, str) and part in tree.lines:
            line, tree = tree.lines[part], tree.get(part)
        elif isinstance(tree, MarkedList) and isinstance(part, int) and part < len(tree.lines):
            line, tree = tree.lines[part], tree[part]
        else:
            break
    return max(line, 1)
