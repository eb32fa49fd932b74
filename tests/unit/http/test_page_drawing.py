"""Graphs and attempts on pages: where things stand."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest

from tasker.clock import micros
from tasker.domain.graph import Graph
from tasker.http.page.picture import HEIGHT, MOST_STEPS, WIDTH, picture
from tasker.http.page.showing import LONGEST, as_json, as_seconds
from tasker.http.page.task import cut
from tasker.http.page.timeline import MOST, timeline
from tasker.http.page.timeline import WIDTH as SPAN
from tests.integration.http_kit import application, create
from tests.unit.http.page_kit import browser

SHAPES = {
    "one": Graph({"a": []}),
    "diamond": Graph({"a": [], "b": ["a"], "c": ["a"], "d": ["b", "c"]}),
    "skipping": Graph({"a": [], "b": ["a"], "c": ["b"], "d": ["a", "c"], "e": ["a", "b", "d"]}),
    "wide": Graph({f"s{n}": [] for n in range(40)} | {"end": [f"s{n}" for n in range(40)]}),
    "dense": Graph({f"s{n}": [f"s{p}" for p in range(n)] for n in range(60)}),
}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_no_box_lies_over_another_and_every_line_is_drawn(shape):
    """Boxes stand apart and inside the picture, parents to the left, and each dependency is one line."""
    found = picture(shape, dict.fromkeys(shape.names, "pending"))
    places = {box.name: box for box in found.boxes}
    assert set(places) == set(shape.names)
    for one in found.boxes:
        assert one.x >= 0
        assert one.y >= 0
        assert one.x + WIDTH <= found.width
        assert one.y + HEIGHT <= found.height
        for other in found.boxes:
            apart = abs(one.x - other.x) >= WIDTH or abs(one.y - other.y) >= HEIGHT
            assert one is other or apart
    pairs = [(parent, name) for name in shape.names for parent in shape.parents(name)]
    assert len(found.lines) == len(pairs)
    assert all(places[parent].x + WIDTH <= places[child].x for parent, child in pairs)


def test_a_long_line_goes_between_the_boxes():
    """A dependency that skips a level crosses it where no box stands."""
    shape = Graph({"a": [], "b": ["a"], "c": ["a", "b"]})
    found = picture(shape)
    middle = next(box for box in found.boxes if box.name == "b")
    bent = next(line for line in found.lines if "H" in line)
    heights = [float(y) for y in re.findall(r" (\d+)H", bent)]
    assert heights
    assert all(not middle.y <= y <= middle.y + HEIGHT for y in heights)


def test_what_cannot_be_read_is_not_drawn():
    """There is no picture of no steps, nor of too many; a name that does not fit is cut."""
    assert picture(Graph({})) is None
    assert picture(Graph({f"s{n}": [] for n in range(MOST_STEPS + 1)})) is None
    assert picture(Graph({"x" * 128: []})).boxes[0].label.endswith("…")


def test_attempts_are_bars_over_one_span():
    """Each attempt begins where it began, is as long as it took, and never leaves the picture."""
    with application() as app:
        task = create(browser(app), "failing")["id"]
        app.run_until_idle()
        shown = app.task(task)
        now = micros(shown.created_at + timedelta(seconds=30))
        found = timeline(list(shown.sequence), now)
        assert [(bar.step, bar.number, bar.outcome) for bar in found.bars] == [("pay", 1, "failed")]
        assert all(bar.x >= 0 and bar.width > 0 and bar.x + bar.width <= SPAN for bar in found.bars)
        assert timeline([], now).bars == []


def test_of_too_many_attempts_the_latest_are_shown():
    """The number of bars is bounded, and what is left out is said."""
    with application() as app:
        task = create(browser(app), "failing")["id"]
        app.run_until_idle()
        step = app.task(task).step("pay")
        found = timeline([step] * (MOST + 5), micros(step.history[0].started_at))
        assert (len(found.bars), found.left_out) == (MOST, 5)


@pytest.mark.parametrize(
    ("total", "start", "shown"),
    [(0, 1, (0, 0, None, None)), (5, 1, (1, 5, None, None)), (25, 1, (1, 10, None, 11)), (25, 11, (11, 20, 1, 21)),
     (25, 21, (21, 25, 11, None)), (25, 99, (25, 25, 15, None)), (25, 0, (1, 10, None, 11)), (25, 5, (5, 14, 1, 15))],
)  # fmt: skip
def test_long_lists_are_cut(total, start, shown):
    """A page of a list says what it shows and what lies before and behind."""
    part = cut(total, 10, start)
    assert (part.first, part.last, part.before, part.behind) == shown


def test_values_are_written_for_people():
    """JSON is indented, bounded, and cannot be turned around; durations have the unit that fits."""
    assert as_json({"a": "\u202eb"}) == '{\n  "a": "\\u202eb"\n}'
    assert as_json({"a": 1}) == '{\n  "a": 1\n}'
    assert len(as_json("x" * 100_000)) < LONGEST + 100
    written = [as_seconds(seconds) for seconds in (None, 0.0123, 1.26, 75, 3_720)]
    assert written == ["none", "12 ms", "1.3 s", "1 min 15 s", "1 h 2 min"]
