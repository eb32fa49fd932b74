"""The compiled fold gives what `evolve` gives: on every history, every prefix of it, and every recorded log."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasker.codec import definition as plans
from tasker.codec.decode import decode, text_id
from tasker.codec.registry import UPCASTERS
from tasker.domain.definition import StepTemplate, TaskDefinition
from tasker.errors import ChainBroken, UnsupportedEvent
from tasker.fold import fold_heads, fold_stream
from tasker.fold.bulk import Bulk
from tasker.fold.columns import HeadPage, pack
from tasker.projections import rows as models
from tasker.projections.folding import _with
from tests.golden.portable import Golden
from tests.golden.test_golden import FOLDERS
from tests.properties.fold_kit import STREAM, compiled_only, head, reader, stored
from tests.properties.histories import Run, runs

pytestmark = compiled_only
LAW = settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
GOLDEN = [(folder, name) for folder in FOLDERS for name in sorted(Golden(folder).streams())]


def from_heads(definition, rows, heads, read, **bounds):
    """Fold with the compiled fold; give the task and the position of its last event."""
    return fold_heads(definition, rows[0].stream_id, heads, read, **bounds)


def same_rows(definition, task, rows, heads):
    """Check that the rows of the read models are those of the task."""
    page = HeadPage([(rows[0].stream_id, rows[0].header)], heads, len(rows))
    sums = Bulk(lambda _: definition).sums(page)
    assert (list(sums.returned), len(sums.tasks)) == ([], 1)
    row = models.task(rows[0].stream_id, rows[0].header, sums.tasks[0], task.request)
    assert row == models.fixed(task, rows[0].header, rows[0].stream_id, rows[0].position) + models.changing(
        task, rows[-1].position
    )
    steps = list(sums.steps)
    for need in sums.needs:
        steps[need.row] = _with(steps[need.row], need, [decode(rows[version - 1]) for version in need.versions])
    assert steps == [models.step(task, rows[0].position, number) for number in range(len(task.steps))]


def check(definition, rows):
    """Check every prefix of a history: its state, from tuples and from a buffer, and its rows."""
    task_id, heads, read = text_id(rows[0].stream_id), [head(row) for row in rows], reader(rows)
    task = None
    for cut, row in enumerate(rows, start=1):
        task = fold_stream(definition, task_id, [row], initial=task)
        assert from_heads(definition, rows, heads[:cut], read) == (task, row.position)
        same_rows(definition, task, rows[:cut], heads[:cut])
    assert from_heads(definition, rows, pack(heads), read) == (task, rows[-1].position)
    same_rows(definition, task, rows, pack(heads))


@LAW
@given(runs())
def test_every_history_and_every_prefix(run: Run) -> None:
    """State and rows are those of `evolve` after each event."""
    check(run.definition, stored(run))


@pytest.mark.parametrize(
    ("folder", "stream_id"), GOLDEN, ids=lambda one: one.hex()[:8] if isinstance(one, bytes) else ""
)
def test_every_recorded_log_and_every_prefix(folder, stream_id):
    """State and rows of recorded logs are those of `evolve`, and their last states those recorded with them."""
    golden = Golden(folder)
    rows = golden.streams()[stream_id]
    check(plans.decode(golden.definitions[rows[0].header.definition_digest]), rows)


@LAW
@given(runs(), st.data())
def test_any_point_of_the_past(run: Run, data: st.DataObject) -> None:
    """As of a position, and as of a time, only events up to it count; before the first there is nothing."""
    rows = stored(run)
    heads, read, task_id = [head(row) for row in rows], reader(rows), text_id(STREAM)
    for form in (heads, pack(heads)):
        position = data.draw(st.integers(0, rows[-1].position + 3))
        past = [row for row in rows if row.position <= position]
        wanted = (fold_stream(run.definition, task_id, past), past[-1].position) if past else None
        assert from_heads(run.definition, rows, form, read, position=position) == wanted
        time = data.draw(st.sampled_from(rows)).time + data.draw(st.integers(-1, 1))
        past = [row for row in rows if row.time <= time]
        wanted = (fold_stream(run.definition, task_id, past), past[-1].position) if past else None
        assert from_heads(run.definition, rows, form, read, time=time) == wanted


def told() -> tuple[TaskDefinition, list]:
    """Tell a short history."""
    steps = [
        StepTemplate(name="a", handler_class="h"),
        StepTemplate(name="b", handler_class="h", depends_on_steps=["a"]),
    ]
    run = Run(TaskDefinition(name="told", step_templates=steps))
    for code in (0, 16 << 2, 0, 16 << 2):
        run.move(code)
    return run.definition, stored(run)


def test_a_clock_that_went_back_is_left_to_python():
    """Where an event within a time stands behind one beyond it, the stream is not folded from heads."""
    definition, rows = told()
    rows[1] = rows[1]._replace(time=rows[-1].time + 5)
    assert from_heads(definition, rows, [head(row) for row in rows], reader(rows), time=rows[-1].time) is None


@pytest.mark.parametrize("change", [{"schema_version": 0}, {"schema_version": 2}, {"code": 999}, {"code": 41}])
def test_what_is_not_declared_comes_back(change, monkeypatch):
    """A stream with an event that the compiled fold does not declare is left to Python, which upcasts or refuses it."""
    definition, rows = told()
    monkeypatch.setitem(UPCASTERS, ("step.started", 0), lambda data: {**data, "worker_id": "upcast"})
    rows[2] = rows[2]._replace(**change)
    heads = [head(row) for row in rows]
    assert from_heads(definition, rows, heads, reader(rows)) is None
    before = from_heads(definition, rows, heads, reader(rows), position=rows[2].position - 1)
    assert before == (fold_stream(definition, text_id(STREAM), rows[:2]), rows[1].position)
    if change == {"schema_version": 0}:
        assert fold_stream(definition, text_id(STREAM), rows).steps[0].worker_id == "upcast"
    elif "code" not in change or change["code"] == 999:
        with pytest.raises(UnsupportedEvent):
            fold_stream(definition, text_id(STREAM), rows)


def test_custom_events_only_count():
    """Custom events of any code and schema version move nothing but version and time."""
    definition, rows = told()
    columns = {"step": 0, "attempt": 1, "type": "order.paid", "time": rows[-1].time + 9, "data": b'{"n":1,"step":"a"}'}
    late = [
        rows[-1]._replace(code=code, version=len(rows) + place, position=1000 + place, schema_version=place, **columns)
        for place, code in enumerate((1000, 65_535, 70_000, 2**31 - 1), start=1)
    ]
    check(definition, rows + late)


MALFORMED = {
    "a stream id that is too short": lambda heads: [(heads[0][0][:-1], *heads[0][1:]), *heads[1:]],
    "a version that is missing": lambda heads: heads[:1] + heads[2:],
    "a first event that is no creation": lambda heads: [(*heads[1][:2], 1 << 32 | 2 << 16 | 1, *heads[1][3:])],
    "a second creation": lambda heads: [*heads[:1], (*heads[1][:2], 2 << 32 | 1 << 16 | 1, *heads[0][3:])],
    "a step that the plan has not": lambda heads: [*heads[:2], (*heads[2][:3], 9 << 32 | 1, *heads[2][4:])],
    "a step event without a step": lambda heads: [*heads[:2], (*heads[2][:3], 0, *heads[2][4:])],
    "positions that fall": lambda heads: [heads[0], (heads[1][0], 0, *heads[1][2:])],
    "another stream": lambda heads: [*heads, (bytes(16), *heads[-1][1:])],
    "a time that is no number": lambda heads: [(*heads[0][:4], "x", None)],
    "no tuple": lambda heads: [None],
    "too few columns": lambda heads: [heads[0][:4]],
    "a cut buffer": lambda heads: pack(heads)[:-1],
}


@pytest.mark.parametrize("kind", MALFORMED)
def test_malformed_heads_are_refused(kind):
    """Heads that no history has raise `ChainBroken`, with position and reason; never a state."""
    definition, rows = told()
    heads = MALFORMED[kind]([head(row) for row in rows])
    with pytest.raises(ChainBroken, match="expected the columns of a history") as broken:
        from_heads(definition, rows, heads, reader(rows))
    assert broken.value.found
    assert broken.value.position is None or broken.value.position in {row.position for row in rows} | {0}


def test_nothing_folds_to_nothing():
    """Without heads there is no task."""
    definition, rows = told()
    assert from_heads(definition, rows, [], reader(rows)) is None
    assert from_heads(definition, rows, b"", reader(rows)) is None
