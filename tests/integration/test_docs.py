"""The documents run: a reader who copies a block gets what the page says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs/guides").glob("*.md"))]
FENCE = re.compile(
    r"^(?P<indent> *)```(?P<language>\w+) *(?P<info>[^\n`]*)\n(?P<body>.*?)^(?P=indent)```", re.MULTILINE | re.DOTALL
)
#: Runs the blocks of one page as one program, each compiled for itself, so that a traceback shows the line of the page.
RUNNER = """
import sys
page, *blocks = sys.argv[1:]
for block in blocks:
    exec(compile(open(block, encoding="utf-8").read(), page, "exec", dont_inherit=True), globals())
"""


@dataclass(frozen=True)
class Block:
    """A fenced block of a page: `info` is what follows the language, `line` where its first line stands."""

    language: str
    info: str
    body: str
    line: int


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_the_python_of_a_page_runs(page: Path, tmp_path: Path) -> None:
    """The Python blocks of a page run in order, as one program in an empty folder.

    A fence may say more: `python no-run` is only compiled, and a block whose fence names a file (`python shop.py`,
    `yaml tasks/order.yaml`) is written there before the program starts.
    """
    work, scripts = tmp_path / "work", tmp_path / "blocks"
    work.mkdir()
    scripts.mkdir()
    for block in (b for b in blocks(page) if is_file(b)):
        target = work / block.info
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(block.body, encoding="utf-8")
    program = [b for b in blocks(page) if b.language == "python" and not b.info]
    paths = [scripts / f"{b.line}.py" for b in program]
    for path, block in zip(paths, program, strict=True):
        path.write_text("\n" * (block.line - 1) + block.body, encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": f"{work}{os.pathsep}{ROOT}"}
    done = subprocess.run(
        [sys.executable, "-c", RUNNER, page, *paths],
        cwd=work,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, f"{page.name} does not run:\n{done.stdout}{done.stderr}"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_the_blocks_of_a_page_are_well_formed(page: Path) -> None:
    """Every YAML block parses, and every Python block compiles, those that are not run too."""
    wrong = [f"{page.name}:{b.line}: {fault}" for b in blocks(page) if (fault := syntax_fault(b))]
    assert not wrong, "\n".join(wrong)


def test_blocks_are_found_with_their_lines(tmp_path: Path) -> None:
    """A block is found with its language, what follows it, and the line of its first line; an indented one too."""
    page = tmp_path / "page.md"
    page.write_text(
        "# T\n```python\na = 1\n```\n1. x\n   ```yaml tasks/a.yaml\n   b: 2\n   ```\n```bash\nls\n```\n",
        encoding="utf-8",
    )
    assert blocks(page) == [
        Block("python", "", "a = 1\n", 3),
        Block("yaml", "tasks/a.yaml", "b: 2\n", 7),
        Block("bash", "", "ls\n", 10),
    ]
    assert syntax_fault(Block("yaml", "", "a: [1\n", 1))
    assert syntax_fault(Block("python", "no-run", "def\n", 1))


def blocks(page: Path) -> list[Block]:
    """All fenced blocks of a page that name a language."""
    text = page.read_text(encoding="utf-8")
    return [
        Block(
            language=m["language"],
            info=m["info"].strip(),
            body="".join(line.removeprefix(m["indent"]) for line in m["body"].splitlines(keepends=True)),
            line=text.count("\n", 0, m.start("body")) + 1,
        )
        for m in FENCE.finditer(text)
    ]


def is_file(block: Block) -> bool:
    """Whether the fence names a file for the block."""
    return block.info not in {"", "no-run"} and bool(re.fullmatch(r"[\w./-]+\.\w+", block.info))


def syntax_fault(block: Block) -> str:
    """What is wrong with the form of a block; nothing if it is well-formed or of another language."""
    try:
        if block.language == "python":
            compile(block.body, "block", "exec", dont_inherit=True)
        elif block.language in {"yaml", "yml"}:
            list(yaml.safe_load_all(block.body))
    except (SyntaxError, yaml.YAMLError) as error:
        return str(error)
    return ""
