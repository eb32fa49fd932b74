"""The examples run: each in its own folder with its own tests, and all of them on every kind of log."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests import samples
from tests.acceptance.over_kafka import PATIENCE, own_topics
from tests.integration.cli_kit import own_environment
from tests.integration.test_docs import blocks

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
NAMES = sorted(path.parent.name for path in EXAMPLES.glob("*/app.py"))
ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
"""The id of a task, which is another one in each run."""

SAY_WHEN_TIME_PASSES = {"notifications"}
"""Whose tests use a frozen clock, to which no worker in another process listens."""
COMPILED = "dummy_task"
"""Whose handlers are partly in Rust."""
PLUGINS = {"together": "tests.acceptance.together", "over Kafka": "tests.acceptance.over_kafka"}


@pytest.fixture
def here():
    """Give the examples that run on this machine: without Rust, and not in CI, all but one."""
    try:
        samples.needed()
    except pytest.skip.Exception:
        return [name for name in NAMES if name != COMPILED]
    return NAMES


@pytest.mark.parametrize("name", NAMES)
def test_the_test_of_an_example_passes(name):
    """The tests in an example's folder pass when they are started there, as its README says; the log is in memory."""
    if name == COMPILED:
        samples.needed()
    _test(EXAMPLES / name, own_environment(), ".")


def test_the_tests_of_the_examples_pass_on_sqlite(here, tmp_path):
    """They pass on a file, which they share."""
    environment = own_environment() | {"TASKER_EXAMPLE_URL": f"sqlite:///{tmp_path / 'examples.db'}"}
    _test(EXAMPLES, environment, "-p", PLUGINS["together"], *here)


def test_the_tests_of_the_examples_pass_on_postgresql(here, postgres_url):
    """They pass on a database, which they share."""
    _test(EXAMPLES, own_environment() | {"TASKER_EXAMPLE_URL": postgres_url}, "-p", PLUGINS["together"], *here)


@pytest.mark.slow
def test_the_tests_of_the_examples_pass_over_kafka(here, postgres_url):
    """They pass where requests come through a broker, and one `tasker kafka worker` runs the handlers of all."""
    environment = own_environment() | own_topics(postgres_url) | {"TASKER_EXAMPLE_URL": postgres_url}
    names = [name for name in here if name not in SAY_WHEN_TIME_PASSES]
    _test(EXAMPLES, environment, *(option for name in PLUGINS.values() for option in ("-p", name)), *names)


@pytest.mark.parametrize("name", NAMES)
def test_the_program_of_an_example_prints_what_its_readme_says(name):
    """`python app.py` shows what the example is about; where the README shows what is printed, it is that."""
    if name == COMPILED:
        samples.needed()
    done = subprocess.run(
        [sys.executable, "app.py"],
        cwd=EXAMPLES / name,
        env=own_environment(),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "complete" in done.stdout
    promised = [block.body for block in blocks(EXAMPLES / name / "README.md") if block.language == "text"]
    assert [ID.sub("ID", text) for text in promised] in ([], [ID.sub("ID", done.stdout)])


@pytest.mark.parametrize("name", NAMES)
def test_an_example_is_complete(name):
    """Each example has a README, settings for `tasker worker`, a program and a test."""
    here = {path.name for path in (EXAMPLES / name).iterdir()}
    assert here >= {"README.md", "tasker.yaml", "app.py", f"test_{name}.py"}


def _test(folder, environment, *arguments):
    """Run tests in a folder; none may be skipped."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", ".", "-c", os.devnull]
    done = subprocess.run(
        [*command, *arguments],
        cwd=folder,
        env=environment | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},  # the examples need none, and each costs time
        capture_output=True,
        text=True,
        timeout=5 * PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "skipped" not in done.stdout
