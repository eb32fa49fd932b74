"""What a log says about a history: its rows, and every event with the state before and after it, folded anew."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from tasker.clock import rfc3339
from tasker.codec.decode import decode, text_id
from tasker.codec.recorded import CONTROL_NAMESPACE
from tasker.codec.rows import StoredEvent
from tasker.domain.task import Task, blank, evolve
from tasker.domain.work import WorkItem
from tasker.log.port import Store
from tasker.projections.rebuild import definition_of


class Move(NamedTuple):
    """One event of a task in the order of the log, with the states around it."""

    row: StoredEvent
    before: Task
    after: Task

    @property
    def step(self) -> str | None:
        """Give the name of its step."""
        number = self.row.step
        return None if number is None else self.before.definition.step_templates[number].name

    @property
    def where(self) -> str:
        """Say which event it is, for people."""
        return f"{self.row.type} of {self.before.id} {self.step or ''} at position {self.row.position}"


@dataclass(frozen=True)
class Evidence:
    """A log as it was read.

    Attributes:
        rows: All its events in order.
        moves: Those of tasks, with the states around them.
        states: The last state of each task, by its id.
        work: The live work as it is stored.
    """

    rows: list[StoredEvent]
    moves: list[Move]
    states: dict[str, Task]
    work: dict[str, dict[int, WorkItem]]


def read(store: Store) -> Evidence:
    """Read a log that nobody writes at the moment."""
    rows = store.log.tail(0, limit=10_000_000)
    moves: list[Move] = []
    states: dict[str, Task] = {}
    for row in rows:
        if row.header.namespace == CONTROL_NAMESPACE:
            continue
        task_id = text_id(row.stream_id)
        if task_id not in states:
            states[task_id] = blank(task_id, definition_of(store.log, row.header.definition_digest))
        before = states[task_id]
        states[task_id] = evolve(before, decode(row))
        moves.append(Move(row, before, states[task_id]))
    work: dict[str, dict[int, WorkItem]] = {}
    for stream_id, item in store.work.all():
        work.setdefault(text_id(stream_id), {})[item.step] = item
    return Evidence(rows, moves, states, work)


def show(evidence: Evidence) -> Iterator[str]:
    """Write a log as text, a line for each event."""
    moves = {move.row.position: move for move in evidence.moves}
    for row in evidence.rows:
        move = moves.get(row.position)
        whose = "$control" if move is None else f"{move.after.id}/{row.version} {move.step or '-'} {row.attempt or ''}"
        yield f"{row.position} {rfc3339(row.time)} {row.type} {whose} {row.actor or ''} {row.data.decode()}"
