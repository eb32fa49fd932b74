"""`tasker diff`: what a changed definition would do to the tasks that run."""

from __future__ import annotations

import pytest

from tasker import Tasker
from tests.integration.test_cli_tasks import prepared

OLD = """\
name: order
version: 1.0.0
step_templates:
- {name: check, handler_class: "diff_shop:go"}
- {name: sign, handler_class: "diff_shop:sign", depends_on_step: check}
- {name: ship, handler_class: "diff_shop:go", depends_on_step: sign}
"""
FRAUD = '- {name: fraud, handler_class: "diff_shop:go", depends_on_step: check}\n'
SHOP = '''\
"""Handlers of two versions of an order."""
from tasker import StepTemplate, TaskDefinition, Wait


def go(task, sequence, step):
    return {}


def sign(task, sequence, step):
    return Wait(3600, "needs a signature")


def plan(version, *more):
    return TaskDefinition(name="order", version=version, step_templates=[
        StepTemplate(name="check", handler_class=go),
        StepTemplate(name="sign", handler_class=sign, depends_on_step="check"),
        StepTemplate(name="ship", handler_class=go, depends_on_step="sign"),
        *more,
    ])


OLD, NEW = plan("1.0.0"), plan("1.1.0", StepTemplate(name="fraud", handler_class=go, depends_on_step="check"))
NOTHING = 7


def register(app):
    app.register(NEW)
'''
SETTINGS = "url: sqlite:///shop.db\ndefinitions: [tasks]\n"


@pytest.fixture
def shell(tmp_path, monkeypatch, capsys):
    """Give a shell in a project with one definition, and the changed one beside it."""
    import sys

    made = prepared(tmp_path, monkeypatch, capsys)
    monkeypatch.delitem(sys.modules, "diff_shop", raising=False)
    (tmp_path / "tasker.yaml").write_text(SETTINGS)
    (tmp_path / "diff_shop.py").write_text(SHOP)
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks/order.yaml").write_text(OLD)
    (tmp_path / "new.yaml").write_text(OLD.replace("1.0.0", "1.1.0") + FRAUD)
    return made


@pytest.fixture
def waiting(shell):
    """Give the id of an order that waits for its signature."""
    with Tasker(f"sqlite:///{shell.folder / 'shop.db'}", settings={}) as app:
        app.load_definitions(shell.folder / "tasks")
        task = app.submit(name="order")
        app.run_until_idle()
        assert app.task(task.id).step("sign").status == "waiting"
        return task.id


def kinds(done):
    """Sort JSON lines by their kind."""
    return {kind: [line for line in done.lines if line["kind"] == kind] for kind in ("definition", "task", "summary")}


def test_a_task_that_would_change_is_told(shell, waiting):
    """Definitions, tasks and a summary are printed, with the first position; the exit code is 1."""
    done = shell("diff", "tasks/order.yaml", "new.yaml")
    assert done.code == 1
    assert "default.order@1.0.0 -> 1.1.0:\n  version is 1.1.0; it was 1.0.0\n  fraud: added, behind check" in done.out
    [completed] = [one for one in shell.json("events", "--task", waiting).lines if one["type"] == "step.completed"]
    place = completed["position"]
    assert f"{waiting}  default.order@1.0.0  in_progress  new step, from position {place} on" in done.out
    assert f"@{place}: fraud would be added behind check" in done.out
    assert done.out.endswith("1 live tasks: 1 new step\n")
    lines = kinds(shell("diff", "tasks/order.yaml", "new.yaml", "--json"))
    [task] = lines["task"]
    assert (task["id"], task["verdict"], task["position"], task["would_offer"]) == (
        waiting, "new_step", place, ["fraud"],
    )  # fmt: skip
    assert lines["summary"] == [
        {"kind": "summary", "tasks": 1, "same": 0, "reordered": 0, "new_step": 1, "orphaned_step": 0, "stuck": 0}
        | {"undecided": 0}
    ]


def test_tasks_that_stay_the_same_are_counted(shell, waiting):
    """A change of settings alone changes no task: exit code 0, and --all names the tasks."""
    (shell.folder / "new.yaml").write_text(OLD.replace("1.0.0", "1.0.1") + "timeout_seconds: 60\n")
    done = shell("diff", "tasks", "new.yaml")
    assert (done.code, waiting in done.out) == (0, False)
    assert "timeout_seconds is 60; it was none" in done.out
    assert done.out.endswith("1 live tasks: 1 same\n")
    assert f"{waiting}  default.order@1.0.0  in_progress  same" in shell("diff", "tasks", "new.yaml", "--all").out


def test_a_step_that_lies_ahead(shell, waiting):
    """A change to which a task has not come yet is told without a position."""
    (shell.folder / "new.yaml").write_text(OLD.replace("check}", "check, skippable: true}").rsplit("- {", 1)[0])
    done = shell("diff", "tasks", "new.yaml")
    assert "orphaned step, ahead of it\n  ahead: ship, which is pending, would be gone" in done.out
    assert done.code == 1


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("tasks", "diff_shop:NEW"),
        ("tasks/order.yaml", "diff_shop:register"),
        (".", "new.yaml"),
        ("diff_shop:OLD", "new.yaml"),
        ("log", "diff_shop:NEW"),
    ],
)
def test_sides_are_files_folders_projects_names_or_the_log(shell, waiting, old, new):
    """However a side is named, the same definitions give the same verdict."""
    done = shell("diff", old, new, "--json")
    assert done.code == 1
    [task] = kinds(done)["task"]
    assert (task["id"], task["verdict"]) == (waiting, "new_step")
    [definition] = kinds(done)["definition"]
    assert {"kind": "added", "step": "fraud", "text": "added, behind check"} in definition["changes"]


def test_two_checkouts_of_one_project(shell, waiting, tmp_path):
    """Projects are loaded in processes of their own, so that modules of the same name do not mix, and may print."""
    other = tmp_path / "other"
    (other / "tasks").mkdir(parents=True)
    (other / "tasker.yaml").write_text("definitions: [tasks]\n")
    (other / "diff_shop.py").write_text('print("hello")\n' + SHOP.replace("def go(", "def gone("))
    (other / "tasks/order.yaml").write_text(OLD)
    broken = shell("diff", "tasks", "other")
    assert (broken.code, "tasks/order.yaml:4" in broken.err, "diff_shop:go" in broken.err) == (1, True, True)
    (other / "diff_shop.py").write_text('print("hello")\n' + SHOP)
    assert shell("diff", ".", "other").code == 0
    (other / "tasker.yaml").write_text("app: diff_shop:NOTHING\n")
    assert "other: " in shell("diff", "tasks", "other").err


def test_a_task_that_is_pinned_to_something_else(shell, waiting):
    """A wrong OLD is not taken for a harmless change: the definition is named, and the exit code is 1."""
    (shell.folder / "old.yaml").write_text(OLD.replace("1.0.0", "0.9.0"))
    done = shell("diff", "old.yaml", "new.yaml")
    assert (done.code, "undecided" in done.out) == (1, True)
    assert "1 live tasks were not decided; they are pinned to default.order@1.0.0 (" in done.err
    assert "log" in done.err


def test_without_a_log_the_definitions_are_compared(shell):
    """--no-log compares definitions alone; else a missing log is an error, and one of ended tasks has no live one."""
    done = shell("diff", "tasks", "new.yaml", "--no-log")
    assert (done.code, "fraud: added" in done.out) == (0, True)
    missing = shell("diff", "tasks", "new.yaml")
    assert (missing.code, "there is no log" in missing.err) == (1, True)
    assert shell("diff", "log", "new.yaml", "--no-log").code == 2
    shell("cancel", shell.submit("order"))
    done = shell("diff", "tasks", "new.yaml")
    assert (done.code, "No live task of these definitions" in done.out) == (0, True)


def test_only_some_definitions(shell, waiting):
    """--name and --namespace leave out all others; a name that is nowhere is refused with near ones."""
    (shell.folder / "tasks/other.yaml").write_text(OLD.replace("name: order", "name: other"))
    done = shell("diff", "tasks", "new.yaml", "--no-log")
    assert "default.other@1.0.0: removed" in done.out
    assert "other" not in shell("diff", "tasks", "new.yaml", "--no-log", "--name", "order").out
    wrong = shell("diff", "tasks", "new.yaml", "--name", "ordr")
    assert (wrong.code, "Did you mean 'order'" in wrong.err) == (1, True)
    assert shell("diff", "tasks", "new.yaml", "--namespace", "nowhere").code == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [("name: [", "new.yaml:"), (OLD + "nmae: x\n", "new.yaml:7"), ("", "new.yaml:1"), (OLD + FRAUD * 2, "new.yaml:8")],
)
def test_a_file_that_is_wrong_is_told_with_its_line(shell, text, said):
    """A side that does not parse, or breaks a rule, is an error with file:line."""
    (shell.folder / "new.yaml").write_text(text)
    done = shell("diff", "tasks", "new.yaml")
    assert (done.code, said in done.err) == (1, True), done.err


@pytest.mark.parametrize(
    ("new", "said"),
    [
        ("nowhere.yaml", "nowhere.yaml: expected a file or a directory"),
        ("empty", "expected at least one definition"),
        ("diff_shop:nobody", "has no 'nobody'"),
        ("no_module:x", "cannot import"),
        ("diff_shop:NOTHING", "expected a definition"),
    ],
)
def test_a_side_that_is_nothing_is_refused(shell, new, said):
    """What names no definition is refused, and says what was expected."""
    (shell.folder / "empty").mkdir()
    done = shell("diff", "tasks", new)
    assert (done.code, said in done.err) == (1, True), done.err


def test_new_is_never_the_log(shell):
    """The word log stands for what tasks are pinned to, which only the old side can be."""
    assert shell("diff", "tasks", "log").code == 2


def test_the_log_may_be_a_postgres_database(shell, postgres_url):
    """With --url the tasks of any log are decided, those of a copy of production's for instance."""
    with Tasker(postgres_url, settings={}) as app:
        app.load_definitions("tasks")
        waiting = app.submit(name="order")
        app.run_until_idle()
        fresh = app.submit(name="order")
    done = shell("diff", "tasks", "new.yaml", "--url", postgres_url, "--json")
    assert done.code == 1
    places = {one["id"]: (one["verdict"], one["position"] is None) for one in kinds(done)["task"]}
    assert places == {waiting.id: ("new_step", False), fresh.id: ("new_step", True)}
    assert shell("diff", "tasks", "tasks", "--url", postgres_url).code == 0
