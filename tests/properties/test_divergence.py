"""The laws of comparing a history with a definition, on random graphs, random changes of them and random histories."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasker.domain.definition import StepTemplate, TaskDefinition
from tasker.domain.divergence import Divergence, Verdict, alike, first_position, offered, worst
from tasker.domain.events import StepEvent
from tests.properties.histories import Run, runs

if TYPE_CHECKING:
    from tasker.domain.divergence import Difference
    from tasker.domain.task import Task

LAW = settings(max_examples=80, suppress_health_check=[HealthCheck.too_slow])


def revised(definition: TaskDefinition, seed: Random) -> TaskDefinition:
    """Drop, add and rewire a few steps."""
    order = list(definition.graph.topological_order)
    parents = {name: list(definition.graph.parents(name)) for name in order}
    for _ in range(seed.randrange(4)):
        place = seed.randrange(len(order) + 1)
        earlier = order[:place]
        wanted = seed.sample(earlier, min(len(earlier), seed.randrange(3)))
        kind = seed.randrange(3)
        if kind == 0:
            order.insert(place, f"n{len(parents)}")
            parents[order[place]] = wanted
        elif order and kind == 1:
            gone = order.pop(seed.randrange(len(order)))
            parents = {name: [one for one in some if one != gone] for name, some in parents.items()}
        elif place < len(order):
            parents[order[place]] = wanted
    steps = [StepTemplate(name=name, handler_class="h", depends_on_steps=parents[name]) for name in order]
    return TaskDefinition(name="random", step_templates=steps, concurrent=definition.concurrent)


def startable(task: Task) -> set[str]:
    """Name the steps that wait for nothing but their start."""
    return {name for name, state in zip(task.definition.graph.names, task.steps, strict=True) if state.ready}


def compared(run: Run, new: TaskDefinition) -> tuple[Divergence, int | None]:
    """Compare event by event, and note where the states themselves first offer something else."""
    divergence = Divergence("t", run.definition, new)
    parted = None
    for place, event in enumerate(run.history, 1):
        divergence.add(event, place)
        old, other = divergence.old, divergence.new
        unknown = isinstance(event, StepEvent) and event.step not in new.graph.ordinal
        in_line = not new.concurrent and offered(old, event.at) != offered(other, event.at)
        if parted is None and (unknown or in_line or startable(old) != startable(other)):
            parted = place
    return divergence, parted


def found(run: Run, new: TaskDefinition) -> tuple[Difference, ...]:
    """Compare a history with a definition."""
    return compared(run, new)[0].differences()


@LAW
@given(runs(most=24))
def test_a_definition_is_the_same_as_itself(run: Run) -> None:
    """Law 1: whatever has happened, the pinned definition changes nothing."""
    divergence, parted = compared(run, run.definition)
    assert (divergence.differences(), parted) == ((), None)
    assert divergence.old == divergence.new == run.task


@LAW
@given(runs(most=24), st.integers(0, 2**32))
def test_the_first_position_is_where_the_offers_first_differ(run: Run, seed: int) -> None:
    """Law 2: the position told is that of the first event after which both definitions offer other steps."""
    divergence, parted = compared(run, revised(run.definition, Random(seed)))
    differences = divergence.differences()
    stuck = [one for one in differences if one.verdict is Verdict.STUCK]
    assert first_position([one for one in differences if one not in stuck]) == parted
    assert not stuck or parted is not None
    assert [one.position for one in stuck] in ([], [len(run.history)])
    assert not differences or not alike(run.definition, divergence.new.definition)


@LAW
@given(runs(most=24), st.integers(0, 2**32))
def test_the_order_of_declaration_alone_loses_no_step(run: Run, seed: int) -> None:
    """Law 3: other places in the file change nothing, and at most the order where steps run one at a time."""
    steps = list(run.definition.step_templates)
    Random(seed).shuffle(steps)
    other = TaskDefinition(name="random", step_templates=steps, concurrent=run.definition.concurrent)
    verdict = worst(found(run, other))
    assert verdict is Verdict.SAME or not alike(run.definition, other)
    assert verdict in ((Verdict.SAME,) if run.definition.concurrent else (Verdict.SAME, Verdict.REORDERED))
