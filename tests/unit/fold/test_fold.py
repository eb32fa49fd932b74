"""The door to folding and verifying: what passes through it unchanged, and what stops it."""

from __future__ import annotations

import pytest

from tasker import fold
from tasker.codec.decode import text_id
from tasker.codec.definition import decode
from tasker.errors import ChainBroken, UnsupportedEvent
from tasker.fold.columns import LinkPage
from tasker.fold.native import native
from tests.golden.portable import Golden
from tests.golden.test_golden import NEWEST
from tests.properties.fold_kit import by_python, compiled_only, link


@pytest.fixture(scope="module")
def golden():
    """Give the newest recorded log."""
    return Golden(NEWEST)


def test_implementation(monkeypatch):
    """The implementation in use has a name."""
    assert fold.implementation() == ("python" if native() is None else "rust")
    by_python(monkeypatch)
    assert fold.implementation() == "python"


def test_nothing_folds_to_the_blank_state(golden):
    """Without rows the state is that before the first event."""
    plan = decode(next(iter(golden.definitions.values())))
    assert fold.fold_stream(plan, "t", []).version == 0


@pytest.mark.parametrize("change", [{"schema_version": 99}, {"code": 999, "type": "task.migrated"}])
def test_newer_events_are_refused(golden, change):
    """An event of a newer release raises `UnsupportedEvent` with its position."""
    stream_id, rows = next(iter(golden.streams().items()))
    plan = decode(golden.definitions[rows[0].header.definition_digest])
    newer = rows[-1]._replace(**change)
    with pytest.raises(UnsupportedEvent) as refused:
        fold.fold_stream(plan, text_id(stream_id), [*rows[:-1], newer])
    assert refused.value.position == newer.position


@pytest.fixture(params=["as installed", "python"])
def engine(request, monkeypatch):
    """Verify with what is installed, and in Python."""
    if request.param == "python":
        by_python(monkeypatch)


@pytest.mark.usefixtures("engine")
def test_pages_may_be_cut_anywhere(golden):
    """Feeding row by row verifies as feeding at once does."""
    verifier = fold.Verifier(golden.log_id)
    for row in golden.rows:
        verifier.feed([row])
    assert verifier.position == golden.head
    assert verifier.streams == len(golden.streams()) + 1
    assert verifier.knows(golden.rows[0].stream_id)
    assert not verifier.knows(bytes(16))


@pytest.mark.parametrize(
    "change",
    [
        {"time": 1},
        {"hash": bytes(32)},
        {"actor": 5},
        {"data": "text"},
        {"salt": None},
        {"payload": b"other"},
        {"payload_hash": bytes(32)},
        {"position": 3},
        {"version": 9},
        {"version": "1"},
        {"step": 2**40},
    ],
)
def test_a_changed_row_is_named(golden, change):
    """A row whose columns differ from what was hashed is named by its position, and what stood before it counts."""
    verifier = fold.Verifier(golden.log_id)
    with pytest.raises(ChainBroken) as broken:
        verifier.feed([golden.rows[0]._replace(**change), *golden.rows[1:]])
    assert broken.value.position == 1
    assert verifier.position == 0


def test_another_log_id_breaks_the_first_row(golden):
    """Chains begin at the name of the log."""
    with pytest.raises(ChainBroken, match="position 1"):
        fold.Verifier(bytes(16)).feed(golden.rows)


@pytest.mark.usefixtures("engine")
def test_what_is_gone_is_remembered_until_it_is_explained(golden):
    """A payload that is NULL is kept in mind until `task.erased` of the same stream explains it."""
    verifier = fold.Verifier(golden.log_id)
    erased = next(row for row in golden.rows if row.type == "task.erased")
    verifier.feed(golden.rows[: erased.position - 1])
    [gone] = verifier.gone()
    assert gone.stream_id == erased.stream_id
    verifier.feed(golden.rows[erased.position - 1 :])
    assert list(verifier.gone()) == []


@compiled_only
@pytest.mark.parametrize("by_rows", [(), (5, 40), range(0, 97, 3)])
def test_links_and_rows_take_turns(golden, by_rows):
    """A verifier that is fed links and whole rows in turns ends as one that is fed rows alone."""
    plain, mixed = fold.Verifier(golden.log_id), fold.Verifier(golden.log_id)
    plain.feed(golden.rows)
    for place, row in enumerate(golden.rows):
        if place in by_rows:
            mixed.feed([row])
        else:
            assert mixed.feed_links(page([row]))
    assert (mixed.position, mixed.streams, mixed.codes) == (plain.position, plain.streams, plain.codes)
    assert list(mixed.gone()) == list(plain.gone())


@compiled_only
def test_links_stop_where_rows_say_why(golden):
    """Links verify as far as they can; the next row, fed whole, raises the exact error or is taken in."""
    rows = [*golden.rows[:20], golden.rows[20]._replace(time=1), *golden.rows[21:]]
    verifier = fold.Verifier(golden.log_id)
    assert not verifier.feed_links(page(rows))
    assert verifier.position == 20
    with pytest.raises(ChainBroken, match="position 21"):
        verifier.feed([rows[20]])
    verifier.feed([golden.rows[20]])
    assert verifier.feed_links(page(rows[21:]))


def test_python_takes_no_links(golden, monkeypatch):
    """Without a compiled verifier links verify nothing."""
    by_python(monkeypatch)
    verifier = fold.Verifier(golden.log_id)
    assert (verifier.takes_links, verifier.feed_links(page(golden.rows)), verifier.position) == (False, False, 0)


def page(rows):
    """Give the links of some rows."""
    headers = list({(row.stream_id, *row.header) for row in rows})
    return LinkPage([link(row) for row in rows], headers, {row.code: row.type.encode() for row in rows})
