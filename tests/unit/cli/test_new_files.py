"""`tasker init` and `tasker new`: which files are written, kept and replaced, and what is said about each."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tasker.cli import run
from tasker.cli.new.rendering import scalar
from tasker.definitions.yaml_tree import read


@pytest.fixture
def call(tmp_path, monkeypatch, capsys):
    """Give a way to call the command in an empty folder, without settings from outside."""
    for name in [name for name in os.environ if name.startswith("TASKER_") and name != "TASKER_NATIVE"]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)

    def called(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = run(list(arguments))
        return (code, *capsys.readouterr())

    return called


def files() -> dict[str, bytes]:
    """Give all files of the present folder."""
    return {path.as_posix(): path.read_bytes() for path in sorted(Path().rglob("*")) if path.is_file()}


def test_init_can_be_repeated(call):
    """The first call writes, the next keeps everything, also what was changed in between."""
    code, out, _ = call("init")
    assert (code, out.count("written")) == (0, len(files()))
    Path("tasker.yaml").write_text("concurrency: 3\n")
    before = files()
    code, out, _ = call("init")
    assert (code, out.count("kept"), "written" in out) == (0, len(before), False)
    assert files() == before


def test_init_writes_the_url(call):
    """`--url` becomes the setting."""
    call("init", "--url", "postgresql+psycopg://db/shop")
    assert 'url: "postgresql+psycopg://db/shop"\n' in Path("tasker.yaml").read_text()


def test_a_task_is_three_files(call):
    """`new task` writes handlers, definition and tests, under the names that the contract gives."""
    code, out, _ = call("new", "task", "OrderProcess")
    assert (code, out.count("written")) == (0, 5)
    assert files().keys() >= {
        "tasks/order_process.py",
        "config/tasker/tasks/order_process.yaml",
        "tests/tasks/test_order_process.py",
    }
    assert "`tasker init`" in out


def test_a_subscriber_is_two_files(call):
    """`new subscriber` writes the class and its test, and says how it is told of events."""
    code, out, _ = call("new", "subscriber", "pager_duty", "--events", "task.failed", "--events", "step.failed")
    assert (code, out.count("written")) == (0, 4)
    text = Path("subscribers/pager_duty_subscriber.py").read_text()
    assert 'subscribe_to = ("task.failed", "step.failed")' in text
    assert text.count("def handle_") == 2
    assert Path("tests/subscribers/test_pager_duty_subscriber.py").is_file()
    Path("tasker.yaml").write_text("concurrency: 3\n")
    assert (
        "- class: subscribers.pager_duty_subscriber:PagerDutySubscriber" in call("new", "subscriber", "pager_duty")[1]
    )


def test_what_is_there_is_kept_unless_forced(call):
    """A changed file stays, and says so; `--force` replaces it, but not what all of a project depends on."""
    call("new", "task", "refund")
    fresh = files()
    for name in ("tasks/refund.py", "tasks/__init__.py", "tests/conftest.py"):
        Path(name).write_text("# mine\n")
    code, out, _ = call("new", "task", "refund")
    assert (code, "kept      tasks/refund.py (there already; --force replaces it)" in out) == (0, True)
    assert Path("tasks/refund.py").read_text() == "# mine\n"
    code, out, _ = call("new", "task", "refund", "--force")
    assert (code, "replaced  tasks/refund.py" in out) == (0, True)
    assert files() == fresh | {"tasks/__init__.py": b"# mine\n", "tests/conftest.py": b"# mine\n"}


def test_the_settings_know_what_was_written(call):
    """In a prepared folder there is nothing to add for a task, and nothing for a subscriber that is listed."""
    call("init")
    assert "tasker.yaml" not in call("new", "task", "refund")[1]
    with Path("tasker.yaml").open("a") as settings:
        settings.write("subscribers:\n  - class: subscribers.team_subscriber:TeamSubscriber\n")
    assert "tasker.yaml" not in call("new", "subscriber", "team")[1]
    Path("tasker.yaml").write_text("concurrency: 3\n")
    assert "definitions: [config/tasker/tasks]" in call("new", "task", "refund")[1]
    Path("tasker.yaml").write_text("concurrency: x\n")
    code, out, _ = call("new", "task", "refund")
    assert (code, "The settings cannot be read: tasker.yaml:1" in out) == (0, True)


def test_a_project_is_a_folder(call):
    """`new project` writes a folder of its own, and keeps what it finds in it."""
    Path("shop").mkdir()
    Path("shop/README.md").write_text("mine")
    code, out, _ = call("new", "project", "shop", "--url", "sqlite:///shop.db")
    assert (code, "kept      shop/README.md" in out) == (0, True)
    assert files().keys() >= {
        "shop/pyproject.toml",
        "shop/tasker.yaml",
        "shop/.gitignore",
        "shop/tasks/order_process.py",
        "shop/subscribers/team_subscriber.py",
    }
    assert all(name.startswith("shop/") for name in files())
    assert 'url: "sqlite:///shop.db"' in Path("shop/tasker.yaml").read_text()


def test_json_lines(call):
    """With --json each file is one line, and nothing else is printed."""
    lines = [json.loads(line) for line in call("new", "task", "refund", "--json")[1].splitlines()]
    assert {"file": "tasks/refund.py", "state": "written"} in lines
    assert all(line.keys() == {"file", "state"} for line in lines)


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("new", "task", "7up"), "NAME:"),
        (("new", "task", "a", "--steps", "x,x"), "steps:"),
        (("new", "task", "a", "--version", "1"), "semantic version"),
        (("new", "task", "a", "--namespace", "a b"), "namespace:"),
        (("new", "task", "a", "--description", "a\nb"), "description:"),
        (("new", "task", "a", "--url", "memory://"), "--url"),
        (("new", "subscriber", "a", "--events", "gone"), "events:"),
        (("new", "subscriber", "a", "--events", "task.gone"), "events:"),
        (("new", "subscriber", "class"), "NAME:"),
        (("new", "project", "a/b"), "NAME:"),
        (("new", "task"), "NAME"),
    ],
)
def test_a_wrong_call_writes_nothing(call, arguments, word):
    """What cannot be generated ends with exit code 2 and a reason, and not a file is made."""
    code, _, err = call(*arguments)
    assert (code, word in err, files()) == (2, True, {})


@pytest.mark.parametrize("module", ["tasks", "subscribers"])
def test_a_module_is_not_hidden_by_a_package(call, module):
    """Where a module has the name of a folder to be made, nothing is written, for nobody could import it any more."""
    Path(f"{module}.py").write_text("x = 1\n")
    code, _, err = call("init")
    assert (code, f"found the module {module}.py" in err) == (1, True)
    assert list(files()) == [f"{module}.py"]


@pytest.mark.parametrize(("make", "word"), [(Path.touch, "found a file at tasks"), (Path.mkdir, "found a folder")])
def test_what_stands_in_the_way_is_named(call, make, word):
    """A file where a folder should be, or the other way round, is named before anything is written."""
    if make is Path.mkdir:
        Path("tasks/refund.py").mkdir(parents=True)
    else:
        Path("tasks").touch()
    before = files()
    code, _, err = call("new", "task", "refund")
    assert (code, word in err, files()) == (1, True, before)


def test_a_link_to_nowhere_is_kept(call):
    """A link is somebody's, also if nothing is at its end: it is never written through."""
    Path("tasks").mkdir()
    Path("tasks/refund.py").symlink_to("elsewhere.py")
    assert "kept      tasks/refund.py" in call("new", "task", "refund")[1]
    assert not Path("tasks/elsewhere.py").exists()


def test_where_nothing_can_be_written(call):
    """An error of the file system is told with the file that it is about."""
    Path("tasks").symlink_to("nowhere")
    code, _, err = call("new", "task", "refund")
    assert (code, "expected to write tasks/__init__.py, found" in err) == (1, True)


@pytest.mark.parametrize("text", ["order_process", "a b", "no", "Null", "1.0", "it's: so", "- a", "é ü", "#x", "~"])
def test_scalars_are_read_as_the_text(text):
    """Whatever a name or a description is, YAML reads the same text again."""
    assert read(f"key: {scalar(text)}\n") == {"key": text}
