"""`tasker catalog` beside a log: which custom events are declared, and which only happened."""

from __future__ import annotations

import sys

import pytest

from tests.integration.test_cli_tasks import prepared

PARCEL = """\
from tasker import StepTemplate, TaskDefinition


def pack(task, sequence, step):
    step.publish("parcel.packed", {})
    step.publish("parcel.lost", {})


def register(app):
    app.catalog.register("parcel.packed", description="It is in its box")
    app.register(TaskDefinition(name="parcel", step_templates=[StepTemplate(name="pack", handler_class=pack)]))
"""


@pytest.fixture
def shell(tmp_path, monkeypatch, capsys):
    """Give a shell in a folder whose task publishes an event that is declared and one that is not."""
    found = prepared(tmp_path, monkeypatch, capsys)
    monkeypatch.delitem(sys.modules, "cli_parcel", raising=False)
    (tmp_path / "cli_parcel.py").write_text(PARCEL)
    (tmp_path / "tasker.yaml").write_text("url: sqlite:///shop.db\napp: cli_parcel:register\n")
    return found


def test_it_tells_what_nobody_declared(shell):
    """Names that the log holds are listed too; a column and a field tell those that nobody declared."""
    assert shell("submit", "parcel", "--wait").code == 0
    done = shell.json("catalog", "parcel")
    assert {one["name"]: one["declared"] for one in done.lines} == {"parcel.packed": True, "parcel.lost": False}
    assert done.err == ""
    rows = [line.split() for line in shell("catalog", "parcel").out.splitlines()]
    told = {row[0]: row[2] for row in rows}
    assert told == {"NAME": "DECLARED", "parcel.packed": "yes", "parcel.lost": "no"}
    assert {one["declared"] for one in shell.json("catalog", "step.").lines} == {True}


def test_it_needs_no_log(shell):
    """Without a log it lists the rest, makes none, and says on stderr what is left out and why."""
    done = shell.json("catalog", "parcel")
    assert [one["name"] for one in done.lines] == ["parcel.packed"]
    assert done.err.startswith("Without names that only the log knows: ")
    assert "there is no log" in done.err
    assert not (shell.folder / "shop.db").exists()
