"""Every event type is complete: catalogue, schema, page, `evolve`, both folds, golden sample, a test that emits it."""

from __future__ import annotations

import json
import re

import pytest
from jsonschema import Draft202012Validator

from tasker.catalog.catalog import Catalog, system_entries
from tasker.catalog.original import ORIGINAL
from tasker.catalog.publish.files import ENVELOPE, event_schema, file_name
from tasker.cli.schemas import published
from tasker.codec.decode import decode, decode_control, text_id
from tasker.codec.definition import decode as definition_of
from tasker.codec.encode import encode
from tasker.codec.registry import FIRST_CUSTOM_CODE, SYSTEM_TYPES
from tasker.domain import events as ev
from tasker.domain.control import Control, evolve_control
from tasker.domain.status import TaskStatus
from tasker.domain.task import blank, evolve
from tasker.fold import fold_heads
from tests import emitted
from tests.architecture import everything
from tests.architecture.source import ROOT, read, report
from tests.golden.portable import Golden
from tests.golden.test_golden import NEWEST
from tests.properties.fold_kit import compiled_only, head, reader

NAMES = sorted({kind.name for kind in SYSTEM_TYPES.values()})
TASK_CODES = {code for code, kind in SYSTEM_TYPES.items() if not kind.name.startswith("control.")}
ADVICE = "run `tasker schemas --document docs/EVENTS.md` in the checkout"


def test_what_is_published_is_what_the_code_says() -> None:
    """`schemas/` and `docs/EVENTS.md` are exactly what `tasker schemas` writes, and nothing is left over."""
    wanted = published(Catalog().all(), ROOT / "schemas", ROOT / "docs/EVENTS.md")
    wrong = [f"{path.relative_to(ROOT)}: {ADVICE}" for path, text in wanted.items() if text != _text(path)]
    wrong += [
        f"{path.name}: nothing gives it: {ADVICE}" for path in (ROOT / "schemas").glob("*.json") if path not in wanted
    ]
    assert not wrong, report(wrong)


def test_every_schema_is_one() -> None:
    """Every published schema is valid by the metaschema of 2020-12, and its examples fit it."""
    for path in sorted((ROOT / "schemas").glob("*.json")):
        schema = json.loads(path.read_text("utf-8"))
        Draft202012Validator.check_schema(schema)
        assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
        for example in schema.get("examples", ()):
            assert list(Draft202012Validator(schema).iter_errors(example)) == [], path.name


@pytest.mark.parametrize("name", NAMES)
def test_every_event_has_an_entry_a_schema_and_a_section(name: str) -> None:
    """A system event stands in the catalogue, has a schema of its own, and a section of the page that links to it."""
    entry = system_entries().get(name)
    assert entry is not None, f"{name}: add an entry to tasker/catalog"
    assert (ROOT / "schemas" / file_name(name)).is_file(), ADVICE
    section = read("docs/EVENTS.md").partition(f"### `{name}`\n")[2].partition("\n##")[0]
    for part in (entry.description, f"**When:** {entry.when}", f"**Recorded by:** {entry.emitted_by}", file_name(name)):
        assert part in section, f"{name}: {part!r} is missing: {ADVICE}"
    assert "```json" in section
    assert all(f"| `{field}` |" in section for field in entry.schema["properties"])


def test_every_field_says_what_it_means() -> None:
    """Every field of every published schema has a description."""
    silent: list[str] = []
    for name in [ENVELOPE, *map(file_name, NAMES)]:
        silent += [f"{name}: {path}" for path in _silent(json.loads(read(f"schemas/{name}")), "$")]
    assert not silent, report(silent)


def _silent(schema: dict, path: str) -> list[str]:
    found = []
    for name, inner in schema.get("properties", {}).items():
        found += [] if inner.get("description") else [f"{path}.{name}"]
        found += _silent(inner, f"{path}.{name}") + _silent(inner.get("items", {}), f"{path}.{name}[]")
    return found


def test_every_event_evolves() -> None:
    """Of every type and variant there is a golden sample, which `evolve` takes in as one more version."""
    golden, taken = Golden(NEWEST), set()
    for stream_id, rows in golden.streams().items():
        definition = definition_of(golden.definitions[rows[0].header.definition_digest])
        task = blank(text_id(stream_id), definition)
        for row in rows:
            task = evolve(task, decode(row))
            assert task.version == row.version
            taken.add(row.code)
    control = Control()
    for row in golden.rows:
        if row.header.namespace == "$control":
            control = evolve_control(control, decode_control(row))
            taken.add(row.code)
    missing = [f"{kind.name} (code {code})" for code, kind in SYSTEM_TYPES.items() if code not in taken]
    assert not missing, report([f"{one}: tell it in tests/golden/record.py and record anew" for one in missing])


def test_the_rust_fold_declares_every_event_of_a_task() -> None:
    """The codes that the compiled fold declares are exactly those of the system's events in streams of tasks."""
    declared = re.search(r"matches!\(head\.code, ([^)]+)\)", read("rust_ext/crates/fold/src/fold.rs"))
    assert declared, "rust_ext/crates/fold/src/fold.rs names its codes no more; change this test with it"
    codes: set[int] = set()
    for part in declared[1].split("|"):
        first, _, last = part.strip().partition("..=")
        codes |= set(range(int(first), int(last or first) + 1))
    assert codes == TASK_CODES


@compiled_only
def test_the_rust_fold_takes_every_event() -> None:
    """Of every code that the compiled fold declares it takes in a golden sample, and leaves none to Python."""
    golden, taken = Golden(NEWEST), set()
    for stream_id, rows in golden.streams().items():
        definition = definition_of(golden.definitions[rows[0].header.definition_digest])
        folded = fold_heads(definition, stream_id, [head(row) for row in rows], reader(rows))
        assert folded is not None, f"the stream of {rows[0].header.task_name} came back"
        taken |= {row.code for row in rows}
    assert taken >= TASK_CODES


def test_the_engine_emits_every_event(tmp_path) -> None:
    """An application in which everything happens records every type and variant, and each fits its schema."""
    recorded = list(everything.events(tmp_path))
    wrong = [problem for event in recorded for problem in emitted.problems(event)]
    assert not wrong, report(wrong)
    codes = {event._stored.code for event in recorded}
    missing = [f"{kind.name} (code {code})" for code, kind in SYSTEM_TYPES.items() if code not in codes]
    assert not missing, report([f"{one}: let it happen in tests/architecture/everything.py" for one in missing])
    assert codes - SYSTEM_TYPES.keys() == {FIRST_CUSTOM_CODE}


def test_the_watch_over_the_suite_sees_what_is_wrong() -> None:
    """What breaks a schema, or stands in none, is found; what fits passes, and so do custom events."""
    good = encode(ev.TaskStarted(at=1, status=TaskStatus.IN_PROGRESS), event_id=bytes(16), number=None, status=None)
    assert emitted.problems(emitted.recorded(good)) == []
    late = emitted.recorded(good._replace(data=b'{"status":"begun","colour":"red"}'))
    assert {problem.split(": ")[2] for problem in emitted.problems(late)} == {"$.status", "$.colour"}
    half = emitted.recorded(good._replace(code=21, type="step.completed", data=b'{"step":"a"}', attempt=1, step=0))
    assert any("'duration' is a required property" in problem for problem in emitted.problems(half))
    custom = good._replace(code=0, type="order.paid", data=b'{"n":1,"step":"a"}', payload=b"[1]", attempt=1, step=0)
    assert emitted.problems(emitted.recorded(custom)) == []


def test_a_complaint_is_made_once() -> None:
    """What was found is told at the next check, and then forgotten."""
    emitted.check()
    emitted._problems.append("task.started: body: $: colourless")
    with pytest.raises(AssertionError, match="colourless"):
        emitted.check()
    emitted.check()


def test_rows_of_other_processes_are_looked_at_too() -> None:
    """Stored rows are checked in the same way, and each shape once."""
    rows = Golden(NEWEST).rows
    assert emitted.complaints(rows) == []
    broken = rows[0]._replace(data=b'{"status":"unheard of"}')
    assert any("$.status" in problem for problem in emitted.complaints([*rows, broken]))
    assert emitted.complaints([broken]) == []


def test_the_original_names_lead_to_ours() -> None:
    """Every name of the original is mapped once: to events that there are, or with the reason why to none."""
    names = [one.name for one in ORIGINAL]
    assert len(set(names)) == len(names)
    for one in ORIGINAL:
        assert set(one.ours) <= set(NAMES), one
        assert one.because.endswith("."), one
    assert {name for name in ORIGINAL_NAMES.split() if name not in names} == set()
    assert len(names) == len(ORIGINAL_NAMES.split()) + 1  # custom.*


def test_every_schema_tells_of_its_event() -> None:
    """A schema of an event carries its name, what it means, and an example."""
    for name, entry in system_entries().items():
        schema = event_schema(entry)
        assert (schema["title"], schema["examples"]) == (name, [entry.example])
        assert entry.description in schema["description"]


def _text(path) -> str | None:
    return path.read_text("utf-8") if path.exists() else None


ORIGINAL_NAMES = """
task.initialize_requested task.start_requested task.completed task.failed task.retry_requested task.cancelled
task.resolved_manually task.before_transition
step.initialize_requested step.execution_requested step.before_handle step.handle step.completed step.failed
step.retry_requested step.cancelled step.resolved_manually step.before_transition
workflow.task_started workflow.task_completed workflow.task_failed workflow.step_completed workflow.step_failed
workflow.viable_steps_discovered workflow.no_viable_steps workflow.orchestration_requested
workflow.task_finalization_started workflow.task_finalization_completed workflow.task_reenqueue_started
workflow.task_reenqueue_requested workflow.task_reenqueue_failed workflow.task_reenqueue_delayed
workflow.task_state_unclear workflow.step_execution_failed workflow.viable_steps_batch_ready
workflow.steps_execution_started workflow.steps_execution_completed
observability.task.handle observability.task.enqueue observability.task.finalize observability.step.handle
observability.step.find_viable observability.step.backoff observability.step.skip
observability.step.max_retries_reached
tasker.telemetry.cache_synced tasker.telemetry.export_requested tasker.telemetry.export_completed
tasker.telemetry.export_failed tasker.telemetry.plugin_registered tasker.telemetry.plugin_unregistered
handler.registered handler.unregistered handler.validation_failed plugin.registered plugin.unregistered
plugin.validation_failed subscriber.registered subscriber.unregistered subscriber.validation_failed
registry.sync_requested registry.health_check registry.stats_collected registry.cross_discovery
registry.coordination_complete
tasker.TaskerTask.Initialize tasker.TaskerTask.Start tasker.TaskerTask.Handle tasker.TaskerTask.Enqueue
tasker.TaskerTask.Finalize tasker.TaskerTask.Error tasker.TaskerTask.Complete
tasker.TaskerStep.FindViable tasker.TaskerStep.Handle tasker.TaskerStep.Complete tasker.TaskerStep.Error
tasker.TaskerStep.Retry tasker.TaskerStep.Backoff tasker.TaskerStep.Skip tasker.TaskerStep.MaxRetriesReached
"""
"""What the original could publish, over all its releases."""
