"""The command starts quickly, and says what it can and how it is used."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from tasker.cli import run

HEAVY = ("sqlalchemy", "alembic", "pydantic", "httpx2", "rich", "jsonschema", "orjson", "yaml")
LIGHT = f"""
import sys
from tasker.cli import run
code = run(["--help"])
print("LOADED", [name for name in {HEAVY!r} if name in sys.modules])
sys.exit(code)
"""
COMMANDS = [
    "init",
    "new",
    "demo",
    "worker",
    "serve",
    "auth",
    "submit",
    "tasks",
    "show",
    "why",
    "cancel",
    "pause",
    "resume",
    "retry",
    "resolve",
    "update",
    "annotate",
    "step",
    "events",
    "replay",
    "diff",
    "audit",
    "projections",
    "subscriptions",
    "workers",
    "kafka",
    "catalog",
    "erase",
    "archive",
    "diagram",
    "schemas",
    "db",
    "doctor",
]


def test_help_loads_nothing_heavy():
    """`tasker --help` imports none of the heavy libraries, and answers within a second (of three tries)."""
    seconds = []
    while len(seconds) < 3 and min(seconds, default=1) >= 1:
        begun = time.monotonic()
        done = subprocess.run([sys.executable, "-c", LIGHT], capture_output=True, text=True, timeout=30, check=False)
        seconds.append(time.monotonic() - begun)
        assert done.returncode == 0, done.stderr
        assert "LOADED []" in done.stdout
    assert min(seconds) < 1


def test_help_names_every_command(capsys):
    """The help lists every command of this release, each with a sentence that is not cut off."""
    assert run(["--help"]) == 0
    shown = capsys.readouterr().out
    listed = [line.split()[0] for line in shown.partition("Commands:")[2].splitlines() if line.strip()]
    assert sorted(listed) == sorted(COMMANDS)
    assert not [line for line in shown.splitlines()[1:] if line.endswith("...")]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name, capsys):
    """`--help` works behind every command."""
    assert run([name, "--help"]) == 0
    assert "Usage: tasker " + name in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [[], ["nope"], ["tasks", "--limit", "many"], ["tasks", "--nope"], ["show"], ["step"], ["step", "nope"], ["pause"]],
    ids=" ".join,
)
def test_wrong_use_exits_with_2(arguments, capsys, tmp_path, monkeypatch):
    """Wrong use says so on stderr, or shows the help, and exits with 2."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TASKER_URL", "memory://")
    assert run(arguments) == 2
    shown = capsys.readouterr()
    assert "Usage: tasker" in shown.out + shown.err or shown.err.startswith("Error: Invalid value")
    assert "Traceback" not in shown.err


def test_version(capsys):
    """`--version` names the release, without a command."""
    assert run(["--version"]) == 0
    assert capsys.readouterr().out.startswith("tasker ")


def test_python_m_tasker_is_the_same_command():
    """`python -m tasker` is `tasker`."""
    done = subprocess.run(
        [sys.executable, "-m", "tasker", "--help"], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 0
    assert done.stdout.startswith("Usage: tasker ")
