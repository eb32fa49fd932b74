"""What would become of a task under a changed definition: where its history and another plan part.

A history is folded under the definition that the task is pinned to and, beside it, under the other one. They part at
the first event after which the two offer other steps to be started, or that is about a step which the other one lacks.
Nothing here moves a task: it keeps its definition whatever is found.
"""

from __future__ import annotations

from enum import StrEnum
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from tasker.domain.declared import listed
from tasker.domain.events import StepEvent
from tasker.domain.revision import behind
from tasker.domain.status import ACTIVE, FINISHED, SATISFIED, StepStatus, TaskStatus
from tasker.domain.task import blank, evolve
from tasker.domain.work import next_in_line, obstacle

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tasker.domain.definition import TaskDefinition
    from tasker.domain.events import Instant, TaskStreamEvent
    from tasker.domain.task import Task

_NAMED = 5


class Verdict(StrEnum):
    """What a definition would do to a task, from the least to the worst."""

    SAME = "same"
    """Every step was, is and will be offered at the same places."""
    REORDERED = "reordered"
    """A step that both have would be offered earlier or later."""
    NEW_STEP = "new_step"
    """A step would be added."""
    ORPHANED_STEP = "orphaned_step"
    """The task has a step that would be gone, with what it did."""
    STUCK = "stuck"
    """Nothing would be left that runs, waits or can start: the task would stand as it is for ever."""


class Difference(NamedTuple):
    """One way in which a history and a definition part.

    Attributes:
        verdict: What kind.
        step: The step that it is about, None for the task as a whole.
        position: Position in the log of the event at which they part; None where all of that lies ahead.
        text: The sentence shown to people.
    """

    verdict: Verdict
    step: str | None
    position: int | None
    text: str


def worst(found: Sequence[Difference]) -> Verdict:
    """Give the verdict on a task with such differences: the worst of theirs."""
    order = list(Verdict)
    return max((one.verdict for one in found), key=order.index, default=Verdict.SAME)


def first_position(found: Sequence[Difference]) -> int | None:
    """Give the position of the earliest difference; None where there is none, or all of them lie ahead."""
    return min((one.position for one in found if one.position is not None), default=None)


def alike(old: TaskDefinition, new: TaskDefinition) -> bool:
    """Say whether no history can part under two definitions, since at most their settings differ."""
    if old.concurrent is not new.concurrent:
        return False
    if not old.concurrent and old.graph.topological_order != new.graph.topological_order:
        return False
    before, after = ({name: {*one.graph.parents(name)} for name in one.graph.names} for one in (old, new))
    return before == after


def offered(task: Task, now: Instant) -> tuple[str, ...]:
    """Name the steps that may start, in topological order, as if neither the task were paused nor had it ended.

    Args:
        task: The state.
        now: The present time.
    """
    graph = task.definition.graph
    going = task._replace(pause=None, status=TaskStatus.IN_PROGRESS)
    if not task.definition.concurrent:
        number = next_in_line(going, now)
        return () if number is None else (graph.names[number],)
    return tuple(graph.names[number] for number in graph.order if obstacle(going, number, now) is None)


class Divergence:
    """Folds one history under two definitions, event by event, and then says how they part.

    It costs by the event and the degree of its step; where one of the definitions is not concurrent, by the size of the
    graph, as everything about such a definition does.
    """

    def __init__(self, task_id: str, old: TaskDefinition, new: TaskDefinition) -> None:
        """Begin before the first event.

        Args:
            task_id: The task.
            old: The definition that it is pinned to.
            new: The definition to be compared with.
        """
        self.old = blank(task_id, old)
        self.new = blank(task_id, new)
        self._in_line = not (old.concurrent and new.concurrent)
        self._begun: int | None = None
        self._last: int | None = None
        self._met: dict[str, int] = {}
        self._left: dict[str, int] = {}
        self._satisfied: dict[str, int] = {}
        self._turned: int | None = None

    def add(self, event: TaskStreamEvent, position: int) -> None:
        """Take in the next event of the stream.

        Args:
            event: The event.
            position: Its position in the log.
        """
        self._begun = position if self._begun is None else self._begun
        self._last = position
        self.old = evolve(self.old, event)
        if isinstance(event, StepEvent):
            self._note(event.step, position)
        if isinstance(event, StepEvent) and event.step not in self.new.definition.graph.ordinal:
            self.new = self.new._replace(version=self.old.version, last_at=event.at)
        else:
            self.new = evolve(self.new, event)
        if self._in_line and self._turned is None and offered(self.old, event.at) != offered(self.new, event.at):
            self._turned = position

    def _note(self, step: str, position: int) -> None:
        """Remember where a step was first met, where it first left pending, and where it was satisfied."""
        self._met.setdefault(step, position)
        status = self.old.step(step).status
        if status is not StepStatus.PENDING:
            self._left.setdefault(step, position)
        if status in SATISFIED:
            self._satisfied.setdefault(step, position)

    def differences(self) -> tuple[Difference, ...]:
        """Say how they part: the earliest first, what lies ahead last.

        Returns:
            The differences; none where the task would go on just the same.
        """
        found = [*self._of_steps(), *self._of_line(), *self._standing()]
        return tuple(sorted(found, key=lambda one: (one.position is None, one.position or 0)))

    def _of_steps(self) -> Iterator[Difference]:
        old, new = self.old.definition.graph, self.new.definition.graph
        for step in new.topological_order:
            if step not in old.ordinal:
                yield self._added(step, new.parents(step))
            elif set(old.parents(step)) != set(new.parents(step)):
                yield from self._rewired(step, old.parents(step), new.parents(step))
        for step in old.topological_order:
            if step not in new.ordinal:
                yield self._removed(step, old.parents(step))

    def _offered_at(self, parents: Sequence[str]) -> int | None:
        """Give the position from which a step with such parents is offered; None where it has not come to that."""
        places = [self._satisfied.get(parent) for parent in parents]
        known = [place for place in places if place is not None]
        return max(known, default=self._begun) if len(known) == len(places) else None

    def _added(self, step: str, parents: Sequence[str]) -> Difference:
        text = f"{step} would be added {behind(parents)}"
        return Difference(Verdict.NEW_STEP, step, self._offered_at(parents), text)

    def _removed(self, step: str, parents: Sequence[str]) -> Difference:
        places = [place for place in (self._offered_at(parents), self._met.get(step)) if place is not None]
        text = f"{step}, which is {self.old.step(step).status}, would be gone"
        return Difference(Verdict.ORPHANED_STEP, step, min(places, default=None), text)

    def _rewired(self, step: str, old: Sequence[str], new: Sequence[str]) -> Iterator[Difference]:
        before, after = self._offered_at(old), self._offered_at(new)
        left = self._left.get(step)
        places = [place for place in (before, after) if place is not None]
        place = min(places, default=None)
        parted = before != after or place is None
        if parted and (left is None or (place is not None and place < left)):
            ahead = "" if place is not None else ", to which it has not come yet"
            text = f"{step} would stand {behind(new)} and not {behind(old)}{ahead}"
            yield Difference(Verdict.REORDERED, step, place, text)

    def _of_line(self) -> Iterator[Difference]:
        """Tell of the order in which a definition that is not concurrent takes its steps."""
        if not self._in_line:
            return
        old, new = self.old.definition, self.new.definition
        manner = "in another order"
        if old.concurrent is not new.concurrent:
            manner = "side by side and not one at a time" if new.concurrent else "one at a time and not side by side"
        text = f"its steps would run {manner}"
        if self._turned is not None:
            known = first_position(tuple(self._of_steps()))
            if known is None or self._turned < known:
                yield Difference(Verdict.REORDERED, None, self._turned, text)
        elif self._turns_ahead():
            yield Difference(Verdict.REORDERED, None, None, f"{text}, to which it has not come yet")

    def _turns_ahead(self) -> bool:
        """Say whether the steps that both still have to do would be taken in another order, or not one by one."""
        old, new = self._left_to_do(self.old), self._left_to_do(self.new)
        common = set(old) & set(new)
        first, second = ([step for step in some if step in common] for some in (old, new))
        if self.old.definition.concurrent is self.new.definition.concurrent:
            return first != second
        steps, free = (first, self.old) if self.old.definition.concurrent else (second, self.new)
        return any(one not in free.definition.graph.parents(other) for one, other in pairwise(steps))

    @staticmethod
    def _left_to_do(task: Task) -> list[str]:
        graph = task.definition.graph
        return [graph.names[number] for number in graph.order if task.steps[number].status not in FINISHED]

    def _standing(self) -> Iterator[Difference]:
        if not _moves(self.old) or _moves(self.new):
            return
        names = self._left_to_do(self.new)
        if names:
            text = f"nothing of it could run any more: {listed(names, _NAMED)} would wait for ever"
        else:
            text = "nothing of it would be left to run, and no outcome would come that ends it"
        yield Difference(Verdict.STUCK, None, self._last, text)


def _moves(task: Task) -> bool:
    """Say whether something of a task runs, waits for its time or for somebody, or may start."""
    return bool(task.ready or any(task.count(status) for status in ACTIVE))
