"""Short words for tests of handlers: a task told by commands, its stream as rows, and one attempt of its last step."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tasker.codec.decode import payload_of
from tasker.codec.encode import encode
from tasker.codec.recorded import RecordedEvent
from tasker.codec.rows import StoredEvent, StreamHeader
from tasker.domain import events as ev
from tasker.handlers.attempt import Attempt, Outcome, is_async
from tasker.handlers.attempt_step import AttemptControl
from tasker.handlers.publishing import DEFAULT_TOOLS, Tools
from tasker.handlers.views import Task
from tests.unit.domain.kit import Story, step

if TYPE_CHECKING:
    from collections.abc import Sequence

HEADER = StreamHeader("default", "plan", "0.1.0", bytes(32), None, None)


class Rows:
    """The stream of a story, as an adapter would read it; counts what is asked of it."""

    def __init__(self, story: Story, *, erased: bool = False) -> None:
        """Write the events of the story as rows."""
        self.asked: list[int] = []
        self.histories = 0
        ordinal = story.definition.graph.ordinal
        self.rows = []
        for version, event in enumerate(story.history, 1):
            number = ordinal[event.step] if isinstance(event, ev.StepEvent | ev.CustomEvent) else None
            new = encode(event, event_id=bytes(16), number=number, status=story.task.status)
            gone = erased and not isinstance(event, ev.TaskErased)
            row = StoredEvent(version, bytes(16), version, *new, None, None, bytes(32), HEADER)
            self.rows.append(row._replace(payload=None) if gone else row)

    def payload(self, version: int) -> object:
        """Give the payload of an event."""
        self.asked.append(version)
        return payload_of(self.rows[version - 1])

    def history(self) -> Sequence[RecordedEvent]:
        """Give the stream."""
        self.histories += 1
        return [RecordedEvent(row) for row in self.rows]


def view(story: Story, *, erased: bool = False, **keys: object) -> Task:
    """Look at the task of a story."""
    return Task(story.task, Rows(story, erased=erased), **keys)


def attempt(
    handler: object,
    *,
    context: object = None,
    config: dict[str, object] | None = None,
    secrets: dict[str, str] | None = None,
    control: AttemptControl | None = None,
    tools: Tools = DEFAULT_TOOLS,
) -> Attempt:
    """Prepare an attempt of a step `b` that follows a completed step `a`."""
    story = Story(step("a"), step("b", "a"), request={"context": {"id": 7} if context is None else context})
    story.start("a")
    story.done("a", results={"n": [1]})
    story.start("b")
    return Attempt(handler, view(story), 1, config or {}, secrets or {}, control or AttemptControl(), tools)


def run(handler: object, **keys: object) -> Outcome:
    """Run a handler as that step, on a loop if it is async."""
    one = attempt(handler, **keys)
    return asyncio.run(one.run_async()) if is_async(handler) else one.run()
