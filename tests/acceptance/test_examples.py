"""The examples run: each in its own folder, with its own test, on every kind of log."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.cli_kit import own_environment

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
NAMES = sorted(path.parent.name for path in EXAMPLES.glob("*/app.py"))


@pytest.fixture(params=["memory", "sqlite"])
def environment(request, tmp_path):
    """Give the variables of a process that uses an empty log of each kind, and no settings of the caller."""
    url = "memory://" if request.param == "memory" else f"sqlite:///{tmp_path / 'example.db'}"
    return own_environment() | {"TASKER_EXAMPLE_URL": url}


@pytest.mark.parametrize("name", NAMES)
def test_the_test_of_an_example_passes(name, environment):
    """The test that lies in an example's folder passes when it is started there, as its README says."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", ".", "-c", os.devnull, "."]
    done = subprocess.run(
        command, cwd=EXAMPLES / name, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "skipped" not in done.stdout


@pytest.mark.parametrize("name", NAMES)
def test_the_program_of_an_example_runs(name, environment):
    """`python app.py` shows one task."""
    done = subprocess.run(
        [sys.executable, "app.py"],
        cwd=EXAMPLES / name,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "complete" in done.stdout


@pytest.mark.parametrize("name", NAMES)
def test_an_example_is_complete(name):
    """Each example has a README, settings for `tasker worker`, a program and a test."""
    here = {path.name for path in (EXAMPLES / name).iterdir()}
    assert here >= {"README.md", "tasker.yaml", "app.py", f"test_{name}.py"}
