"""The guide about events and subscribers, beyond its Python: its commands run, and what its YAML lists can be made."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tasker.app.tasker import Tasker
from tasker.cli import run
from tasker.cli.loading import load, subscribe
from tasker.settings import Settings
from tests.integration.cli_kit import own_environment
from tests.integration.test_docs import Block, blocks, is_file

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/guides/events-and-subscribers.md"
SECRETS = {
    "SLACK_BOT_TOKEN": "xoxb-1",
    "PAGERDUTY_ROUTING_KEY": "0123456789abcdef0123456789abcdef",
    "SENTRY_DSN": "http://publickey@127.0.0.1:9/42",
    "WAREHOUSE_URL": "http://127.0.0.1:9/hook",
    "WAREHOUSE_SECRET": "a secret of more than 24 bytes".replace(" ", "-"),
}
MADE = """
from tasker.app.tasker import Tasker
from tasker.cli.loading import load, subscribe
from tasker.settings import Settings

settings = Settings.load()
with Tasker("memory://", settings={}) as app:
    load(app, settings, ())
    print(*subscribe(app, settings), sep="\\n")
"""
OWN = ("orders", "notify", "warehouse")  # modules of the page


@pytest.fixture
def folder(tmp_path):
    """Give a folder with the files of the page."""
    for block in blocks(PAGE):
        if is_file(block):
            (tmp_path / block.info).write_text(block.body, encoding="utf-8")
    return tmp_path


def called(folder: Path, *arguments: str, **variables: str) -> str:
    """Run Python in the folder and give what it printed."""
    path = f"{ROOT}:{ROOT / 'subscribers'}"
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=own_environment() | {"PYTHONPATH": path} | variables,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def listing(block: Block) -> list[dict]:
    """Give the subscribers that a block of settings lists."""
    return (yaml.safe_load(block.body) or {}).get("subscribers", []) if block.language == "yaml" else []


@pytest.fixture
def tasker(folder, monkeypatch, capsys):
    """Give what calls the command in the folder, without settings from outside; it must succeed, and say something."""
    for name in [name for name in os.environ if name.startswith("TASKER_") and name != "TASKER_NATIVE"]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", [str(folder), *sys.path])

    def call(line: str) -> str:
        capsys.readouterr()
        code = run(shlex.split(line)[2:])
        out, err = capsys.readouterr()
        assert (code, out != "") == (0, True), line + err
        return out

    without_own_modules()
    yield call
    without_own_modules()


def without_own_modules() -> None:
    """Forget the modules of the page."""
    for name in OWN:
        sys.modules.pop(name, None)


def worked() -> int:
    """Do what a worker does that stops as soon as there is nothing to do; give how much the warehouse has parked."""
    settings = Settings.load()
    with Tasker(settings=settings) as app:
        load(app, settings, ())
        subscribe(app, settings)
        app.run_until_idle()
        return len(app.subscriptions.parked("warehouse"))


def test_its_commands_run(tasker, folder):
    """Every line of a console block succeeds, in the folder of the page's files, where a worker has run before it."""
    said: dict[str, str] = {}
    parked = []
    for block in (block for block in blocks(PAGE) if block.language == "console"):
        parked.append(worked())
        for line in block.body.splitlines():
            assert line.startswith("$ tasker "), line
            said[line] = tasker(line)
    assert (folder / "api/order.fulfilled.v1.json").is_file()
    assert parked == [0, 1, 1]
    assert "PermanentError: no such shelf" in said["$ tasker subscriptions parked warehouse"]
    assert "retried" in said["$ tasker subscriptions parked retry warehouse --all"]
    assert said["$ tasker subscriptions redeliver failures --from 1 --dry-run"] == "0 would be sent, 0 failed\n"
    assert said["$ tasker subscriptions redeliver notify --from 1 --to 100"].endswith("1 sent, 0 failed\n")
    assert "discarded" in said["$ tasker subscriptions parked discard warehouse --all"]


def test_its_settings_can_be_loaded(folder):
    """Every list of subscribers makes what it names, with options that exist."""
    listings = [block for block in blocks(PAGE) if listing(block)]
    assert len(listings) == 2
    for block in listings:
        text = block.body if "app:" in block.body else f"app: orders:register\n{block.body}"
        (folder / "tasker.yaml").write_text(text, encoding="utf-8")
        made = called(folder, "-c", MADE, **SECRETS).split()
        assert len(made) == len(set(made)) == len(listing(block))
