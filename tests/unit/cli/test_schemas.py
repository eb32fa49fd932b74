"""`tasker schemas`: what it writes, what it finds, and what it leaves alone."""

from __future__ import annotations

import json

import pytest

from tasker.catalog.publish.files import NOTE
from tasker.cli import run

PLAN = """\
name: plan
step_templates:
  - name: a
    handler_class: tasker.Manual
    custom_events: [{name: order.signed, description: Signed, schema: {type: object}}]
"""


@pytest.fixture
def call(tmp_path, monkeypatch, capsys):
    """Give a way to call the command in an empty folder, without settings from outside."""
    import os

    for name in [name for name in os.environ if name.startswith("TASKER_") and name != "TASKER_NATIVE"]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)

    def called(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = run(["schemas", *arguments])
        return (code, *capsys.readouterr())

    return called


def test_it_writes_once(call, tmp_path):
    """The first call writes all, the next finds nothing to do, and a check agrees."""
    code, out, _ = call("--document", "docs/EVENTS.md")
    assert (code, "wrote schemas/task-request.json" in out) == (0, True)
    page = (tmp_path / "docs/EVENTS.md").read_text("utf-8")
    assert "(../schemas/task.created.v1.json)" in page
    for file in (tmp_path / "schemas").glob("*.json"):
        assert json.loads(file.read_text("utf-8"))["$comment"] == NOTE
    assert call("--document", "docs/EVENTS.md")[1].endswith(" files, 0 written, 0 deleted\n")
    assert call("--check", "--document", "docs/EVENTS.md")[0] == 0


def test_a_check_says_what_differs(call, tmp_path):
    """A check names each file that is missing, differs or is left over, shows lines, writes nothing, exits with 1."""
    call("--into", "api")
    (tmp_path / "api/event.json").unlink()
    changed = tmp_path / "api/task-request.json"
    changed.write_text(changed.read_text("utf-8").replace('"TaskRequest"', '"Request"'), "utf-8")
    (tmp_path / "api/task.gone.v1.json").write_text(json.dumps({"$comment": NOTE}))
    (tmp_path / "api/mine.json").write_text("{}")
    before = {file: file.read_bytes() for file in (tmp_path / "api").iterdir()}
    code, out, err = call("--check", "--into", "api")
    assert code == 1
    assert "api/event.json: is missing" in out
    assert '-  "title": "Request",' in out
    assert '+  "title": "TaskRequest",' in out
    assert "api/task.gone.v1.json: there is no such event any more" in out
    assert "mine.json" not in out
    assert err.startswith("3 of ")
    assert {file: file.read_bytes() for file in (tmp_path / "api").iterdir()} == before


def test_what_is_left_over_goes(call, tmp_path):
    """Writing deletes what an earlier call wrote and nothing gives any more, and no file of somebody else."""
    call()
    (tmp_path / "schemas/task.gone.v1.json").write_text(json.dumps({"$comment": NOTE}))
    (tmp_path / "schemas/mine.json").write_bytes(b"\xff")
    assert "deleted schemas/task.gone.v1.json" in call()[1]
    assert (tmp_path / "schemas/mine.json").exists()
    assert call("--check")[0] == 0


def test_json_lines(call):
    """With --json each file is one line."""
    call()
    assert call("--check", "--json") == (0, "", "")
    call("--into", "other", "--json")
    code, out, _ = call("--check", "--into", "third", "--json")
    assert code == 1
    lines = [json.loads(line) for line in out.splitlines()]
    assert {line["problem"] for line in lines} == {"is missing"}
    assert {"file": "third/event.json", "problem": "is missing"} in lines


def test_events_of_definitions_are_among_them(call, tmp_path):
    """The custom events of definitions get their files and sections."""
    (tmp_path / "plan.yaml").write_text(PLAN)
    assert call("--definitions", "plan.yaml", "--document", "EVENTS.md")[0] == 0
    assert json.loads((tmp_path / "schemas/order.signed.v1.json").read_text("utf-8"))["title"] == "order.signed"
    assert "(schemas/order.signed.v1.json)" in (tmp_path / "EVENTS.md").read_text("utf-8")
    assert call("--check")[0] == 1


def test_a_folder_that_is_a_file(call, tmp_path):
    """Where nothing can be written the error says where, and what to do."""
    (tmp_path / "taken").write_text("")
    code, _, err = call("--into", "taken")
    assert code == 1
    assert "--into" in err
    assert "taken" in err
    assert call("--check", "--into", "taken")[0] == 1
