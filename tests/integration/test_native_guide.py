"""The guide about native handlers, beyond its Python: its C and Rust are compiled and run, no excerpt is made up."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tasker import Tasker
from tests import samples
from tests.integration.cli_kit import own_environment
from tests.integration.test_docs import blocks, is_file

ROOT = Path(__file__).resolve().parents[2]
RUST = ROOT / "rust_ext"
PAGE = ROOT / "docs/guides/native-handlers.md"
HEAD = """
set -euo pipefail
tasker() { "$PYTHON" -m tasker "$@"; }
python() { "$PYTHON" "$@"; }
"""
CARGO = {"CARGO_NET_OFFLINE": "true", "CARGO_PROFILE_RELEASE_OPT_LEVEL": "0"}
"""What it needs, the samples needed before; and quickly."""


@pytest.mark.slow
def test_its_commands_run(tmp_path):
    """Every line of the console blocks succeeds, and the task completes with what C and Rust answered."""
    samples.needed()
    for block in blocks(PAGE):
        if is_file(block):
            target = tmp_path / block.info
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(block.body, encoding="utf-8")
    shutil.copy(RUST / "handlers/json_handler/src/boundary.rs", tmp_path / "price/src")
    shutil.copy(RUST / "Cargo.lock", tmp_path / "price")
    lines = [line for block in blocks(PAGE) if block.language == "console" for line in block.body.splitlines()]
    assert all(line.startswith("$ ") for line in lines)
    variables = {name: value for name, value in own_environment().items() if name != "CARGO_TARGET_DIR"}
    done = subprocess.run(
        ["bash", "-c", HEAD + "\n".join(line[2:] for line in lines)],
        cwd=tmp_path,
        env=variables | CARGO | {"PYTHON": sys.executable},
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    with Tasker(f"sqlite:///{tmp_path / 'shop.db'}", settings={}) as log:
        (task,) = log.tasks().items
        assert task.status == "complete"
        assert task.step("price").results == {"total": 12}
        assert re.fullmatch("[0-9a-f]{16}", task.step("checksum").results["checksum"])


def test_its_excerpts_are_the_sources():
    """What the page shows of the samples stands in them, but for the indent."""
    source = _plain((RUST / "handlers/typed_handler/src/lib.rs").read_text(encoding="utf-8"))
    excerpts = [block.body for block in blocks(PAGE) if block.language == "rust" and not is_file(block)]
    assert excerpts
    assert [text for text in excerpts if _plain(text) not in source] == []


def test_it_tells_every_code():
    """The table of what may go wrong has the code of every error that the callers raise."""
    handlers = (ROOT / "tasker/handlers").glob("native*.py")
    raised = {code for path in handlers for code in re.findall(r'code="([A-Z_0-9]+)"', path.read_text())}
    told = set(re.findall(r"`([A-Z_0-9]{5,})`", PAGE.read_text(encoding="utf-8")))
    assert raised
    assert sorted(raised - told) == []


def _plain(text: str) -> str:
    return "\n".join(line.strip() for line in text.splitlines())
