"""The shape of a definition: who waits for whom, in which order, on which level."""

from __future__ import annotations

import heapq
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING

from tasker.domain.declared import listed
from tasker.errors import InvalidDefinition, UnknownStep, near

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Graph:
    """A directed acyclic graph of step names.

    Ordinals are the places of the steps in the declaration, from 0. The topological order takes, of the steps whose
    parents are placed, the earliest declared (Kahn's algorithm with a heap of ordinals).
    """

    def __init__(self, parents: Mapping[str, Sequence[str]]) -> None:
        """Check and index the shape.

        Args:
            parents: For each step, in declared order, the names of the steps it depends on.

        Raises:
            InvalidDefinition: A parent is unknown, a step depends on itself, or there is a cycle (its path is shown);
                the error's `path` holds the step and the parent.
        """
        self.names = tuple(parents)
        self.ordinal = MappingProxyType({name: number for number, name in enumerate(self.names)})
        self.parent_ordinals = tuple(self._numbers(name, wanted) for name, wanted in parents.items())
        children: list[list[int]] = [[] for _ in self.names]
        for number, wanted in enumerate(self.parent_ordinals):
            for parent in wanted:
                children[parent].append(number)
        self.child_ordinals = tuple(map(tuple, children))
        self.order = self._sorted()
        self.rank = self._ranks()

    def _numbers(self, name: str, parents: Sequence[str]) -> tuple[int, ...]:
        for parent in parents:
            if parent == name:
                message = f"step {name!r} depends on itself; expected the name of another step"
                raise InvalidDefinition(message, path=(name, parent))
            if parent not in self.ordinal:
                message = f"step {name!r} depends on {parent!r}, which is no step of this definition."
                raise InvalidDefinition(message + near(parent, self.names), path=(name, parent))
        return tuple(dict.fromkeys(self.ordinal[parent] for parent in parents))

    def _sorted(self) -> tuple[int, ...]:
        missing = [len(parents) for parents in self.parent_ordinals]
        ready = [number for number, count in enumerate(missing) if not count]
        order: list[int] = []
        while ready:
            order.append(heapq.heappop(ready))
            for child in self.child_ordinals[order[-1]]:
                missing[child] -= 1
                if not missing[child]:
                    heapq.heappush(ready, child)
        if len(order) < len(self.names):
            loop = self._cycle(missing)
            message = f"the steps depend on each other in a circle: {' -> '.join(loop)}; remove one dependency"
            raise InvalidDefinition(message, path=(loop[-1], loop[-2]))
        return tuple(order)

    def _cycle(self, missing: Sequence[int]) -> tuple[str, ...]:
        """Name the steps of one circle, parents first; it begins and ends with the same step."""
        number = next(number for number, count in enumerate(missing) if count)
        path: dict[int, int] = {}
        while number not in path:
            path[number] = len(path)
            number = next(parent for parent in self.parent_ordinals[number] if missing[parent])
        loop = [*list(path)[path[number] :], number]
        return self._named(loop[::-1])

    def _ranks(self) -> tuple[int, ...]:
        ranks = [0] * len(self.names)
        for place, number in enumerate(self.order):
            ranks[number] = place
        return tuple(ranks)

    def number(self, name: str) -> int:
        """Give the ordinal of a step.

        Raises:
            UnknownStep: There is no step of this name; near names are offered.
        """
        try:
            return self.ordinal[name]
        except KeyError:
            known = listed(self.names) or "none"
            message = f"expected the name of a step, found {name!r}; the steps are {known}."
            raise UnknownStep(message + near(name, self.names)) from None

    def _named(self, numbers: Sequence[int]) -> tuple[str, ...]:
        return tuple(self.names[number] for number in numbers)

    def parents(self, name: str) -> tuple[str, ...]:
        """Give the steps that a step depends on, as declared."""
        return self._named(self.parent_ordinals[self.number(name)])

    def children(self, name: str) -> tuple[str, ...]:
        """Give the steps that depend on a step, in declared order."""
        return self._named(self.child_ordinals[self.number(name)])

    def siblings(self, name: str) -> tuple[str, ...]:
        """Give the other steps with the same set of parents, in declared order; roots are siblings of each other."""
        own = self.number(name)
        wanted = frozenset(self.parent_ordinals[own])
        return tuple(
            other
            for number, other in enumerate(self.names)
            if number != own and frozenset(self.parent_ordinals[number]) == wanted
        )

    def descendants(self, number: int) -> tuple[int, ...]:
        """Give the ordinals of all steps behind a step, in topological order."""
        seen: set[int] = set()
        open_ = list(self.child_ordinals[number])
        while open_:
            child = open_.pop()
            if child not in seen:
                seen.add(child)
                open_.extend(self.child_ordinals[child])
        return tuple(sorted(seen, key=self.rank.__getitem__))

    @cached_property
    def roots(self) -> tuple[str, ...]:
        """Name the steps without parents."""
        return self._named([number for number, parents in enumerate(self.parent_ordinals) if not parents])

    @cached_property
    def leaves(self) -> tuple[str, ...]:
        """Name the steps that no step depends on."""
        return self._named([number for number, children in enumerate(self.child_ordinals) if not children])

    @cached_property
    def topological_order(self) -> tuple[str, ...]:
        """Name all steps, parents first."""
        return self._named(self.order)

    @cached_property
    def levels(self) -> Mapping[str, int]:
        """Map each step to the length of the longest way from a root, from 0, in topological order."""
        found: dict[int, int] = {}
        for number in self.order:
            found[number] = max((found[parent] + 1 for parent in self.parent_ordinals[number]), default=0)
        return MappingProxyType({self.names[number]: level for number, level in found.items()})

    @property
    def depth(self) -> int:
        """Count the levels."""
        return max(self.levels.values(), default=-1) + 1

    @property
    def widest_level(self) -> int:
        """Count the steps of the widest level."""
        sizes = [0] * self.depth
        for level in self.levels.values():
            sizes[level] += 1
        return max(sizes, default=0)
