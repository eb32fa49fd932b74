"""The distribution: what it imports, what it shows, and what its metadata promises."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

import tasker_subscribers
from tasker.cli.loading import subscribe
from tasker.settings import Settings
from tests.architecture.source import ROOT
from tests.subscribers.history import shop
from tests.subscribers.services import KEY, SIGNING, TOKEN

FOLDER = ROOT / "subscribers"
MODULES = sorted((FOLDER / "tasker_subscribers").glob("*.py"))
#: Tasker's face: the package, and the errors, all of which live there.
FACE = {"tasker", "tasker.errors"}
LIBRARIES = {"slack_sdk": "slack_client", "sentry_sdk": "sentry_client", "httpx2": "channel"}


def imported(path: Path) -> set[str]:
    """The modules that a file imports."""
    nodes = list(ast.walk(ast.parse(path.read_text("utf-8"))))
    plain = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    return plain | {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_it_imports_the_face_only(path):
    """Of Tasker a module imports the face alone, and of libraries those whose home it is."""
    ours = {name for name in imported(path) if name.split(".")[0] == "tasker"}
    foreign = {library for library in LIBRARIES for name in imported(path) if name.split(".")[0] == library}
    assert ours <= FACE
    assert {LIBRARIES[library] for library in foreign} <= {path.stem}


def test_the_names():
    """The package gives five subscribers and nothing else by its list of names."""
    assert [getattr(tasker_subscribers, name).__name__ for name in tasker_subscribers.__all__] == [
        *("LogSubscriber", "PagerDutySubscriber", "SentrySubscriber", "SlackSubscriber", "WebhookSubscriber"),
    ]
    assert set(tasker_subscribers.__all__) <= set(dir(tasker_subscribers))
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        tasker_subscribers.Nothing  # noqa: B018 - looking is what is tested


def test_libraries_are_loaded_when_needed():
    """Neither the package nor the log subscriber loads a library of a service."""
    code = (
        f"import sys, tasker_subscribers as t; t.LogSubscriber(); print(sorted(set(sys.modules) & {set(LIBRARIES)!r}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": f"{ROOT}:{FOLDER}"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"


def test_the_readme(monkeypatch):
    """The settings of the README make subscribers, and its Python runs."""
    page = (FOLDER / "README.md").read_text("utf-8")
    blocks = re.findall(r"^```(\w+)\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    for name, value in (
        *(("SLACK_BOT_TOKEN", TOKEN), ("PAGERDUTY_ROUTING_KEY", KEY), ("SENTRY_DSN", "https://key@sentry.example/1")),
        *(("WAREHOUSE_URL", "https://warehouse.example"), ("WAREHOUSE_SECRET", SIGNING)),
    ):
        monkeypatch.setenv(name, value)
    listed = next(yaml.safe_load(text) for kind, text in blocks if kind == "yaml")
    with shop() as app:
        names = subscribe(app, Settings.of(listed))
    for kind, text in blocks:
        if kind == "python":
            exec(compile(text, "README.md", "exec"), {})
    assert names == ["slack", "pagerduty", "sentry", "warehouse", "log"]


def test_the_metadata():
    """The extras bring what the code asks for, and the package data says that the code is typed."""
    project = tomllib.loads((FOLDER / "pyproject.toml").read_text("utf-8"))
    root = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    extras = project["project"]["optional-dependencies"]
    assert set(extras) == {"slack", "pagerduty", "sentry", "all"}
    assert project["project"]["dependencies"][0].startswith(root["project"]["name"])
    assert project["project"]["requires-python"] == root["project"]["requires-python"]
    assert (FOLDER / "tasker_subscribers/py.typed").is_file()
    assert (FOLDER / "LICENSE").read_text("utf-8") == (ROOT / "LICENSE").read_text("utf-8")
