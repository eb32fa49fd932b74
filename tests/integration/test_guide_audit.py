"""The guide about audits, beyond its Python: its commands run in order, in the folder of its files."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.cli_kit import own_environment
from tests.integration.test_docs import blocks, is_file

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/guides/audit.md"
HEAD = """
set -euo pipefail
tasker() { "$PYTHON" -m tasker "$@"; }
python3() { "$PYTHON" "$@"; }
"""


@pytest.mark.slow
def test_its_commands_run(tmp_path):
    """Every line of the console blocks succeeds, one after the other."""
    for block in blocks(PAGE):
        if is_file(block):
            (tmp_path / block.info).write_text(block.body, encoding="utf-8")
    lines = [line for block in blocks(PAGE) if block.language == "console" for line in block.body.splitlines()]
    assert all(line.startswith("$ ") for line in lines)
    done = subprocess.run(
        ["bash", "-c", HEAD + "\n".join(line[2:] for line in lines)],
        cwd=tmp_path,
        env=own_environment() | {"PYTHON": sys.executable},
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 seals" in done.stdout
    assert done.stdout.count("The proof holds") == 4
    sealed, archived = ((tmp_path / name).read_text() for name in ("sealed.txt", "archived.txt"))
    assert sealed == archived != ""
    assert 0 < (tmp_path / "rest.jsonl").read_text().count("\n") < (tmp_path / "old.jsonl").read_text().count("\n")
    exported = [(tmp_path / name).read_text().count("\n") for name in ("few.jsonl", "events.jsonl")]
    assert 0 < exported[0] < exported[1]
