"""The tree over the hashes of a range of the log: its root is what a seal signs, a path in it is what a proof shows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from tasker.audit.reading import DO
from tasker.audit.standalone.verify_proof import HASH_BYTES, PAGE, leaf, node
from tasker.errors import ChainBroken

if TYPE_CHECKING:
    from tasker.log.port import Archive

_READ = 1_000 * PAGE
_LEAF_BYTES = PAGE * HASH_BYTES


class Inclusion(NamedTuple):
    """Where an event stands in the tree of a seal: the hashes of its page, and the neighbours up to the root."""

    page: bytes
    path: list[bytes]


def root_of(archive: Archive, first: int, last: int) -> bytes:
    """Give the root of the tree over the stored hashes of the events `first` to `last`.

    Raises:
        ChainBroken: They are not all there.
        LogUnavailable: The store failed.
    """
    return _tree([leaf(page) for page in _pages(archive, first, last)])[-1][0]


def inclusion(archive: Archive, first: int, last: int, position: int) -> Inclusion:
    """Show that the stored hash of an event stands in the tree over the events `first` to `last`.

    Raises:
        ChainBroken: They are not all there.
        LogUnavailable: The store failed.
    """
    place, mine, leaves = (position - first) // PAGE, b"", []
    for number, page in enumerate(_pages(archive, first, last)):
        leaves.append(leaf(page))
        mine = page if number == place else mine
    return Inclusion(mine, _path(_tree(leaves), place))


def _pages(archive: Archive, first: int, last: int) -> Iterator[bytes]:
    """Read the hashes of a range in the pages that are leaves of its tree."""
    after = first - 1
    while after < last:
        limit = min(_READ, last - after)
        found = archive.hashes(after, limit=limit)
        if len(found) != limit * HASH_BYTES:
            raise _lacking(after + 1, after + limit, len(found))
        yield from (found[start : start + _LEAF_BYTES] for start in range(0, len(found), _LEAF_BYTES))
        after += limit


def _tree(leaves: Sequence[bytes]) -> list[list[bytes]]:
    """Give all levels over some leaves, from themselves up to the root."""
    levels = [list(leaves)]
    while len(levels[-1]) > 1:
        below = levels[-1]
        above = list(map(node, below[::2], below[1::2]))
        levels.append(above + below[len(above) * 2 :])
    return levels


def _path(levels: Sequence[Sequence[bytes]], place: int) -> list[bytes]:
    """Give the neighbours that lead from the leaf at a place to the root."""
    found = []
    for level in levels[:-1]:
        if place ^ 1 < len(level):
            found.append(level[place ^ 1])
        place //= 2
    return found


def _lacking(first: int, last: int, found: int) -> ChainBroken:
    expected = f"{last - first + 1} hashes"
    message = f"positions {first} to {last}: expected {expected} of 32 bytes, found {found} bytes in all. {DO}"
    return ChainBroken(message, position=first, expected=expected, found=f"{found} bytes")
