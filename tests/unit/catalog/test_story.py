"""The story from which the examples are taken is what the engine would have recorded."""

from __future__ import annotations

from tasker.catalog.catalog import system_entries
from tasker.catalog.story import CUSTOM_EXAMPLE, examples, story
from tasker.codec.decode import decode, decode_control
from tasker.codec.registry import SYSTEM_TYPES
from tasker.domain.task import blank, evolve
from tests import emitted

CONTROL = {"control.paused", "control.resumed"}


def test_everything_happens_in_it():
    """Every system event occurs, and a custom one."""
    assert {event.type for event in story()} == {kind.name for kind in SYSTEM_TYPES.values()} | {CUSTOM_EXAMPLE}
    assert [event.position for event in story()] == list(range(1, len(story()) + 1))


def test_every_event_of_it_fits_its_schemas():
    """Envelope and body of each event fit, and hold no field that stands in no schema."""
    assert [problem for event in story() for problem in emitted.problems(event)] == []


def test_its_streams_fold():
    """Each stream of it is one that `evolve` takes in, with versions and times that never go back."""
    from tasker.catalog.story import _definition

    tasks = {}
    for event in story():
        if event.type in CONTROL:
            decode_control(event._stored)
            continue
        before = tasks.get(event.stream_id) or blank(event.stream_id, _definition())
        decoded = decode(event._stored)
        assert decoded.at >= before.last_at
        tasks[event.stream_id] = evolve(before, decoded)
        assert tasks[event.stream_id].version == event.version
    assert sorted(str(task.status) for task in tasks.values()) == ["cancelled", "complete", "resolved_manually"]


def test_an_example_is_one_of_its_events():
    """The example of an entry is the body of the first such event, with its fields in the order of the schema."""
    for name, entry in system_entries().items():
        assert entry.example == dict(examples()[name].body)
        known = list(entry.schema["properties"])
        assert list(entry.example) == [field for field in known if field in entry.example]
