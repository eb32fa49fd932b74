"""The guide about events and subscribers, beyond its Python: its commands run, and what its YAML lists can be made."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

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


def test_its_commands_run(folder):
    """Every line of a console block that calls the command succeeds, in the folder of the page's files."""
    lines = [line for block in blocks(PAGE) if block.language == "console" for line in block.body.splitlines()]
    assert lines
    for line in lines:
        assert line.startswith("$ tasker "), line
        assert called(folder, "-m", "tasker", *shlex.split(line)[2:]), line
    assert (folder / "api/order.fulfilled.v1.json").is_file()


def test_its_settings_can_be_loaded(folder):
    """Every list of subscribers makes what it names, with options that exist."""
    listings = [block for block in blocks(PAGE) if listing(block)]
    assert len(listings) == 2
    for block in listings:
        text = block.body if "app:" in block.body else f"app: orders:register\n{block.body}"
        (folder / "tasker.yaml").write_text(text, encoding="utf-8")
        made = called(folder, "-c", MADE, **SECRETS).split()
        assert len(made) == len(set(made)) == len(listing(block))
