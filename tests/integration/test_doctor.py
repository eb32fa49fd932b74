"""`tasker doctor`: clean where all is well, and else it names what is wrong and where."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.integration.cli_kit import ROOT, own_environment

PATIENCE = 120

pytestmark = pytest.mark.slow  # each call is a process


class Place:
    """A folder in which the command is called, each time in a process of its own."""

    def __init__(self, folder, **variables):
        """Take the folder, and variables for each call."""
        self.folder, self.variables = folder, variables

    def call(self, *words, code=0, **variables):
        """Call the command, which must end with this code; give what it printed."""
        done = subprocess.run(
            [sys.executable, "-m", "tasker", *words],
            cwd=self.folder,
            env=own_environment() | self.variables | variables,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout

    def report(self, *words, code=0):
        """Give what the doctor found."""
        return json.loads(self.call("doctor", "--json", *words, code=code))


@pytest.fixture
def project(tmp_path):
    """Give the folder of a new project."""
    Place(tmp_path).call("new", "project", "shop")
    return Place(tmp_path / "shop")


def runs(place):
    """Let the project's own task run, and give what the doctor says before and after."""
    [definition] = (place.folder / "config/tasker/tasks").iterdir()
    before = place.report()
    context = json.dumps({"id": 1})
    place.call("submit", definition.stem, "--context", context, "--wait")
    return before, place.report()


def test_a_new_project_is_clean_on_sqlite(project):
    """Before its first task there is no log, and all is well; after it the checks of health say so too."""
    before, after = runs(project)
    assert (before["ok"], before["wrong"], before["database"]["state"]) == (True, [], "not made yet")
    assert (after["ok"], after["database"]["state"]) == (True, "ready")
    assert after["project"] == {"state": "ready", "definitions": 1, "subscribers": 1}
    assert set(after["checks"].values()) == {"ok"}
    assert project.call("doctor").splitlines()[-1] == "All is well."


def test_a_new_project_is_clean_on_postgres(project, bare_url):
    """The same on a database that `tasker db upgrade` has made ready."""
    place = Place(project.folder, TASKER_URL=bare_url)
    assert place.report()["database"]["state"] == "not made yet"
    place.call("db", "upgrade")
    before, after = runs(place)
    assert (before["ok"], after["ok"]) == (True, True)
    assert (after["database"]["kind"], after["database"]["state"]) == ("PostgreSQL", "ready")
    assert set(after["checks"].values()) == {"ok"}


def test_a_clone_of_the_repository_is_clean(tmp_path):
    """Where this repository lies, nothing is wrong before anything was done in it."""
    found = Place(ROOT).report("--url", f"sqlite:///{tmp_path}/none.db")
    assert (found["ok"], found["project"]["state"]) == (True, "ready")


def test_what_the_settings_name_is_looked_at(project):
    """An app, a definition or a subscriber that cannot be loaded is told with its place, beside everything else."""
    settings = project.folder / "tasker.yaml"
    right = settings.read_text("utf-8")
    for good, bad in ((":register", ":registre"), (":TeamSubscriber", ":TeemSubscriber")):
        assert good in right
        settings.write_text(right.replace(good, bad), "utf-8")
        found = project.report(code=1)
        assert (found["ok"], found["wrong"], found["project"]["state"]) == (False, ["project"], "unusable")
        assert "tasker.yaml:" in found["project"]["says"]
        assert "versions" in found
    assert project.call("doctor", code=1).splitlines()[-1] == "Not well: project."


def test_a_missing_variable_is_named(project):
    """A variable that a step needs and this environment lacks is told; a worker elsewhere may have it."""
    [definition] = (project.folder / "config/tasker/tasks").iterdir()
    text = definition.read_text("utf-8")
    place = text.index("    handler_class:")
    definition.write_text(f'{text[:place]}    handler_config: {{key: "${{SHOP_KEY}}"}}\n{text[place:]}', "utf-8")
    found = project.report()
    assert (found["ok"], found["project"]["missing variables"]) == (True, "SHOP_KEY")
