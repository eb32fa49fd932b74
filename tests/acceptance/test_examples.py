"""The examples run: each in its own folder, with its own test, on every kind of log."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import postgres
from tests.acceptance.over_kafka import own_topics
from tests.integration.cli_kit import own_environment

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
NAMES = sorted(path.parent.name for path in EXAMPLES.glob("*/app.py"))


BACK_ENDS = ("memory", "sqlite", "postgresql")
OVER_KAFKA = ("dummy_task", "order_process")
"""Whose tests run over Kafka as they are; those of the others say when time passes, and no worker listens to that."""


@pytest.fixture(params=BACK_ENDS)
def environment(request, tmp_path):
    """Give the variables of a process that uses an empty log of each kind, and no settings of the caller."""
    match request.param:
        case "memory":
            yield own_environment() | {"TASKER_EXAMPLE_URL": "memory://"}
        case "sqlite":
            yield own_environment() | {"TASKER_EXAMPLE_URL": f"sqlite:///{tmp_path / 'example.db'}"}
        case _:
            with postgres.database() as url:
                yield own_environment() | {"TASKER_EXAMPLE_URL": url}


@pytest.fixture
def broker_environment(postgres_url):
    """Give the variables of processes that use an empty PostgreSQL log, and topics of their own."""
    return own_environment() | own_topics(postgres_url) | {"TASKER_EXAMPLE_URL": postgres_url}


@pytest.mark.parametrize("name", NAMES)
def test_the_test_of_an_example_passes(name, environment):
    """The test that lies in an example's folder passes when it is started there, as its README says."""
    _test(name, environment)


@pytest.mark.slow
@pytest.mark.parametrize("name", OVER_KAFKA)
def test_the_test_of_an_example_passes_over_kafka(name, broker_environment):
    """It passes too where requests come through a broker and `tasker kafka worker` runs the handlers."""
    _test(name, broker_environment, "-p", "tests.acceptance.over_kafka")


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


def _test(name, environment, *options):
    """Run the tests of an example in its folder; none may be skipped."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", ".", "-c", os.devnull]
    done = subprocess.run(
        [*command, *options, "."],
        cwd=EXAMPLES / name,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "skipped" not in done.stdout
