"""Random tasks in a log: their histories are decided, encoded and appended, a few events at a time."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from random import Random

from tasker.codec import definition as plans
from tasker.codec.decode import text_id
from tasker.codec.encode import encode
from tasker.codec.rows import NewEvent, StoredEvent, StreamHeader
from tasker.domain import commands as cmd
from tasker.domain import events as ev
from tasker.domain.definition import StepTemplate, TaskDefinition
from tasker.domain.status import LIVE
from tasker.domain.task import Task, blank, evolve
from tasker.fold import fold_stream
from tasker.log.port import Append, Appended, EventLog, Store
from tasker.projections.rebuild import definition_of
from tests.contracts.kit import new_id
from tests.properties.histories import Run

SYSTEMS = ("shop", "bank", "unknown")


@cache
def plan(number: int) -> tuple[TaskDefinition, bytes, bytes]:
    """Give one of a few definitions, with its bytes and its digest."""
    steps = [
        StepTemplate(
            name=f"s{place}",
            handler_class="h",
            depends_on_steps=[f"s{parent}" for parent in range(place) if (place + parent) % 3 == number % 3],
            dependent_system=SYSTEMS[(place + number) % 3],
            skippable=place % 2 == 0,
            default_retry_limit=1 + place % 3,
        )
        for place in range(number)
    ]
    definition = TaskDefinition(name=f"plan{number % 3}", namespace=f"ns{number % 2}", step_templates=steps)
    stored = plans.encode(definition)
    return definition, stored, plans.digest(stored)


def encoded(task: Task, event: ev.TaskStreamEvent) -> tuple[NewEvent, Task]:
    """Write an event of a task; give its row and the task after it."""
    after = evolve(task, event)
    step = getattr(event, "step", None)
    number = None if step is None else task.definition.graph.ordinal[step]
    return encode(event, event_id=new_id(), number=number, status=after.status), after


class Life:
    """One random task: what is decided, and what of it is in the log already."""

    def __init__(self, seed: Random) -> None:
        """Create it; nothing is appended yet."""
        self.seed = seed
        self.definition, self.plan, self.digest = plan(seed.choice((0, 1, 2, 3, 5, 40)))
        self.stream_id = new_id()
        self.run = Run(self.definition)
        self.task = blank(text_id(self.stream_id), self.definition)
        self.appended = 0

    def live(self, moves: int) -> None:
        """Let something happen to it."""
        for _ in range(moves):
            self.run.move(self.seed.getrandbits(40))
        choice = self.seed.randrange(8)
        now = self.run.now
        if choice < 3:
            value = self.seed.choice(({"n": 1}, {"n": 1.0, "deep": {"x": [1]}}, {}, {"n": True}))
            self.run.give(cmd.AnnotateTask(now=now, annotation_type=f"note{choice % 2}", annotation=value))
        elif choice == 3:
            tags = tuple(self.seed.sample(("a", "b", "c"), self.seed.randrange(4)))
            self.run.give(cmd.UpdateTask(now=now, reason=self.seed.choice((None, "other")), tags=tags))
        elif choice == 4 and self.run.task.status not in LIVE:
            self.run.give(cmd.EraseTask(now=now, reason="gdpr"))

    def append(self, most: int) -> Append | None:
        """Give the append of its next few events; None if all are in the log."""
        news: list[NewEvent] = []
        expected, erases = self.appended, False
        for event in self.run.history[expected : expected + most]:
            # An erasure is appended on its own, as the command that asks for it has no other event.
            if erases or (isinstance(event, ev.TaskErased) and news):
                break
            erases = isinstance(event, ev.TaskErased)
            row, self.task = encoded(self.task, event)
            news.append(row)
        self.appended += len(news)
        if not news:
            return None
        header = StreamHeader(
            self.definition.namespace, self.definition.name, self.definition.version, self.digest, "c", None
        )
        first = expected == 0
        plan_bytes = (self.digest, self.plan) if first else None
        return Append(self.stream_id, expected, news, header if first else None, plan_bytes, erase=erases)


def populate(log: EventLog, seed: Random, lives: list[Life], *, rounds: int = 10) -> None:
    """Let random tasks live for a while, in the log, side by side; new ones join them."""
    for _ in range(rounds):
        if seed.random() < 0.4 or not lives:
            lives.append(Life(seed))
        life = seed.choice(lives)
        life.live(seed.randrange(6))
        append = life.append(seed.randrange(1, 12))
        if append is not None:
            assert isinstance(log.append([append])[0], Appended)


def control(log: EventLog) -> None:
    """Append the first event of the stream of controls."""
    event = ev.ControlPaused(at=1, scope="all")
    row = encode(event, event_id=new_id(), number=None, status=ev.TaskStatus.PENDING)
    header = StreamHeader("$control", "$control", "1", bytes(32), None, None)
    log.append([Append(b"\x00" * 6 + b"\x80" + b"\x00" * 9, 0, [row], header)])


def states(store: Store):
    """Give a function that folds the states of streams as of versions, as the runtime does."""

    def state_at(stream_id: bytes, version: int) -> Task:
        rows: list[StoredEvent] = store.log.stream(stream_id, limit=version)
        definition = definition_of(store.log, rows[0].header.definition_digest)
        return fold_stream(definition, text_id(stream_id), rows)

    def states_at(wanted: Mapping[bytes, int]) -> dict[bytes, Task]:
        return {stream_id: state_at(stream_id, version) for stream_id, version in wanted.items()}

    return states_at
