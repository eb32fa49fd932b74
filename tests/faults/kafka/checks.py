"""What must be true when a history is over, from the log, the topics and the outside world alone."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from tasker.kafka.reading import Reason
from tests.faults.kafka.script import Script
from tests.faults.kafka.shop import PARENTS

Event = Mapping[str, object]


class Made(NamedTuple):
    """A task: its id, its definition, the number of its request, its status."""

    id: str
    name: str
    number: int
    status: str


class Letter(NamedTuple):
    """A dead letter: the number of its request, and why it is one."""

    number: int
    reason: Reason


class Evidence(NamedTuple):
    """What was found.

    Attributes:
        tasks: All tasks of the log.
        events: All events of the log, as CloudEvents, in order.
        published: All messages of the topic of events, in order per partition.
        letters: All dead letters.
        effects: Task and step of every line that a handler left.
    """

    tasks: Sequence[Made]
    events: Sequence[Event]
    published: Sequence[Event]
    letters: Sequence[Letter]
    effects: frozenset[tuple[str, str]]


def one_task_each(script: Script, found: Evidence) -> Iterator[str]:
    """Every acknowledged request is exactly one task, and nothing else is one."""
    counts = Counter(one.number for one in found.tasks)
    for number, count in counts.items():
        if count != 1:
            yield f"request {number} became {count} tasks"
    paired = {number for pair in script.rivals for number in pair}
    yield from (f"request {number} was lost" for number in script.tasks if number not in counts)
    yield from (f"request {number} is a task" for number in counts if number not in script.tasks.keys() | paired)
    for pair in script.rivals:
        if sum(counts[number] for number in pair) != 1:
            yield f"of the requests {pair}, which have one key, {sum(counts[number] for number in pair)} are tasks"


def everything_completes(_: Script, found: Evidence) -> Iterator[str]:
    """Every task completes: no step is lost."""
    yield from (f"task {one.id} is {one.status}" for one in found.tasks if one.status != "complete")


def each_step_once(_: Script, found: Evidence) -> Iterator[str]:
    """Every step of every task completes once, and its handler has run."""
    done = Counter(
        (str(one["subject"]), str(one["step"])) for one in found.events if one["type"] == "tasker.step.completed"
    )
    for task in found.tasks:
        for step in PARENTS[task.name]:
            count = done.pop((task.id, step), 0)
            if count != 1:
                yield f"step {step} of task {task.id} completed {count} times"
            if count and (task.id, step) not in found.effects:
                yield f"step {step} of task {task.id} completed, and its handler never ran"
    yield from (f"step {step} of {task} completed, which is unknown" for task, step in done)


def everything_is_published(_: Script, found: Evidence) -> Iterator[str]:
    """Every event is on the topic at least once, word for word, and nothing else is."""
    known = {one["id"]: one for one in found.events}
    seen = {one["id"] for one in found.published}
    yield from (f"event {one['id']} ({one['type']}) was not published" for one in found.events if one["id"] not in seen)
    for one in found.published:
        if known.get(one["id"]) != one:
            yield f"what was published as {one['id']} is not in the log"


def published_in_order(_: Script, found: Evidence) -> Iterator[str]:
    """Within a task, an event is published first only after all before it."""
    versions: defaultdict[object, int] = defaultdict(int)
    for one in found.published:
        version = int(str(one["streamversion"]))
        if version > versions[one["subject"]] + 1:
            yield f"event {version} of {one['subject']} was published before event {versions[one['subject']] + 1}"
        versions[one["subject"]] = max(versions[one["subject"]], version)


def letters_are_right(script: Script, found: Evidence) -> Iterator[str]:
    """What cannot be accepted is a dead letter with its reason, and nothing else is one."""
    reasons: defaultdict[int, set[Reason]] = defaultdict(set)
    for one in found.letters:
        reasons[one.number].add(one.reason)
    made = {one.number for one in found.tasks}
    losers = {number for pair in script.rivals for number in pair if number not in made}
    expected = {number: {reason} for number, reason in script.poison.items()}
    expected |= {number: {Reason.CONFLICT} for number in losers}
    for number in sorted(expected.keys() | reasons.keys()):
        if expected.get(number) != reasons.get(number):
            yield f"request {number}: expected letters {expected.get(number)}, found {reasons.get(number)}"


CHECKS: tuple[Callable[[Script, Evidence], Iterator[str]], ...] = (
    one_task_each, everything_completes, each_step_once, everything_is_published, published_in_order, letters_are_right,
)  # fmt: skip


def violations(script: Script, found: Evidence) -> list[str]:
    """Give a sentence for everything that is not as it must be."""
    return [f"{check.__name__}: {text}" for check in CHECKS for text in check(script, found)]
